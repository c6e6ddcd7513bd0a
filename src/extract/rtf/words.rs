//! The control words that matter to a reader of text.

use std::sync::LazyLock;

/// What a control word does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Stands for a character.
    Character(char),
    /// Ends a paragraph, a line, a page.
    Paragraph,
    Line,
    Page,
    Tab,
    /// Tables.
    RowDefaults,
    CellMerged,
    CellDefined,
    Cell,
    Row,
    NestedCell,
    NestedRow,
    /// A character by its number, and how many that stand in for it follow.
    Unicode,
    UnicodeSkip,
    /// Which code page text is in.
    CodePage,
    CodePageNamed(u16),
    Font,
    AssociatedFont,
    LeftToRight,
    RightToLeft,
    DefaultFont,
    FontCharset,
    FontCodePage,
    /// Properties of characters.
    Plain,
    Hidden,
    Deleted,
    Struck,
    /// Properties of paragraphs.
    ParagraphDefaults,
    Style,
    OutlineLevel,
    SpaceBefore,
    SpaceAfter,
    AutomaticSpace,
    ContextualSpace,
    InTable,
    TableDepth,
    /// Fields of forms.
    FormKind,
    FormResult,
    FormDefault,
    /// The start of another RTF.
    Rtf,
    /// Says where the text of its group goes.
    Destination(Destination),
}

/// Where the text of a group goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// Nowhere, nor does anything that is in it.
    Skipped,
    /// Nowhere; something that is in it may be text.
    Outer,
    Picture,
    Object,
    FontTable,
    StyleSheet,
    Header,
    Footer,
    Note,
    Comment,
    TextBox,
    /// A list marker.
    Marker,
    Field,
    FieldCode,
    FormField,
    FormItem,
    /// A text twice: for old readers, and in a group that only newer ones know.
    Twice,
    /// That group.
    Newer,
    Shape,
    ShapeCode,
    ShapeFallback,
}

const CHARACTERS: [(&str, char); 20] = [
    ("bullet", '•'),
    ("emdash", '—'),
    ("endash", '–'),
    ("emspace", ' '),
    ("enspace", ' '),
    ("qmspace", ' '),
    ("lquote", '‘'),
    ("rquote", '’'),
    ("ldblquote", '“'),
    ("rdblquote", '”'),
    // What no reader sees: it is a fallback like the others, and then dropped.
    ("zwbo", '\u{200b}'),
    ("zwnbo", '\u{2060}'),
    ("zwj", '\u{200b}'),
    ("zwnj", '\u{200b}'),
    ("ltrmark", '\u{200b}'),
    ("rtlmark", '\u{200b}'),
    ("chftn", '\u{200b}'),
    ("chftnsep", '\u{200b}'),
    ("chftnsepc", '\u{200b}'),
    ("chatn", '\u{200b}'),
];

const PROPERTIES: [(&str, Word); 55] = [
    ("par", Word::Paragraph),
    ("line", Word::Line),
    ("lbr", Word::Line),
    ("page", Word::Page),
    ("sect", Word::Page),
    ("column", Word::Page),
    ("tab", Word::Tab),
    ("trowd", Word::RowDefaults),
    ("clmrg", Word::CellMerged),
    ("cellx", Word::CellDefined),
    ("cell", Word::Cell),
    ("row", Word::Row),
    ("nestcell", Word::NestedCell),
    ("nestrow", Word::NestedRow),
    ("u", Word::Unicode),
    ("uc", Word::UnicodeSkip),
    ("ansicpg", Word::CodePage),
    ("ansi", Word::CodePageNamed(1252)),
    ("mac", Word::CodePageNamed(10000)),
    ("pc", Word::CodePageNamed(437)),
    ("pca", Word::CodePageNamed(850)),
    ("f", Word::Font),
    ("af", Word::AssociatedFont),
    ("ltrch", Word::LeftToRight),
    ("rtlch", Word::RightToLeft),
    ("deff", Word::DefaultFont),
    ("fcharset", Word::FontCharset),
    ("cpg", Word::FontCodePage),
    ("plain", Word::Plain),
    ("v", Word::Hidden),
    ("deleted", Word::Deleted),
    // Text that was moved away from here.
    ("mvf", Word::Deleted),
    ("strike", Word::Struck),
    ("striked", Word::Struck),
    ("pard", Word::ParagraphDefaults),
    ("s", Word::Style),
    ("outlinelevel", Word::OutlineLevel),
    ("sb", Word::SpaceBefore),
    ("sa", Word::SpaceAfter),
    ("sbauto", Word::AutomaticSpace),
    ("saauto", Word::AutomaticSpace),
    ("contextualspace", Word::ContextualSpace),
    ("intbl", Word::InTable),
    ("itap", Word::TableDepth),
    ("fftype", Word::FormKind),
    ("ffres", Word::FormResult),
    ("ffdefres", Word::FormDefault),
    ("rtf", Word::Rtf),
    // Old Word's date, time and page number have no text in the file.
    ("chdate", Word::Character('\u{200b}')),
    ("chdpl", Word::Character('\u{200b}')),
    ("chdpa", Word::Character('\u{200b}')),
    ("chtime", Word::Character('\u{200b}')),
    ("chpgn", Word::Character('\u{200b}')),
    ("sectnum", Word::Character('\u{200b}')),
    ("softline", Word::Character('\u{200b}')),
];

/// Destinations of which something is text, or said.
const DESTINATIONS: [(&str, Destination); 37] = [
    ("pict", Destination::Picture),
    ("NeXTGraphic", Destination::Picture),
    ("objdata", Destination::Object),
    ("fonttbl", Destination::FontTable),
    ("stylesheet", Destination::StyleSheet),
    ("header", Destination::Header),
    ("headerl", Destination::Header),
    ("headerr", Destination::Header),
    ("headerf", Destination::Header),
    ("footer", Destination::Footer),
    ("footerl", Destination::Footer),
    ("footerr", Destination::Footer),
    ("footerf", Destination::Footer),
    ("footnote", Destination::Note),
    ("annotation", Destination::Comment),
    ("shptxt", Destination::TextBox),
    ("dptxbxtext", Destination::TextBox),
    ("listtext", Destination::Marker),
    ("pntext", Destination::Marker),
    ("field", Destination::Field),
    ("fldinst", Destination::FieldCode),
    ("formfield", Destination::FormField),
    ("ffl", Destination::FormItem),
    ("upr", Destination::Twice),
    ("ud", Destination::Newer),
    ("shp", Destination::Shape),
    ("shpinst", Destination::ShapeCode),
    ("shprslt", Destination::ShapeFallback),
    ("shpgrp", Destination::Outer),
    ("do", Destination::Outer),
    ("dptxbx", Destination::Outer),
    ("shppict", Destination::Outer),
    ("nesttableprops", Destination::Outer),
    // Formulas: the words in them are text, and go where the rest goes.
    ("moMath", Destination::Newer),
    ("moMathPara", Destination::Newer),
    ("mmath", Destination::Newer),
    ("fldrslt", Destination::Newer),
];

/// Destinations of which nothing is text.
const SKIPPED: &str = "colortbl info pn sp sn sv nonshppict nonesttables themedata colorschememapping datastore \
    listtable listoverridetable listpicture latentstyles rsidtbl generator filetbl revtbl xmlnstbl xmlopen xmlclose \
    xmlattrname xmlattrvalue fldtype datafield bkmkstart bkmkend atnid atnauthor atntime atndate atnref atnparent \
    atrfstart atrfend xe tc tcn rxe template userprops docvar mmathPr wgrffmtfilter pgptbl protusertbl background \
    fontemb fontfile falt panose fname objclass objname objalias objsect objtime aftnsep aftnsepc aftncn ftnsep \
    ftnsepc ftncn blipuid blipclsid picprop keycode oldcprops oldpprops oldtprops oldsprops htmltag mhtmltag ffname \
    ffdeftext ffformat ffhelptext ffstattext ffentrymcr ffexitmcr title subject author operator keywords comment \
    doccomm manager company category hlinkbase creatim revtim printim buptim passwordhash writereservation \
    writereservhash password linkval propname staticval mchr mbegChr mendChr msepChr mtype mtagnamemathpr defchp \
    defpap pgdsctbl pgdsc gridtbl private1 lsdlockedexcept txe yxe nextfile mvfmf mvfml mvtof mvtol";

/// Control words of one first letter and length.
type Bucket = Vec<(&'static [u8], Word)>;

/// The control words, by their first letter and length, so that few are compared.
static WORDS: LazyLock<Vec<Bucket>> = LazyLock::new(|| {
    let mut buckets = vec![Vec::new(); BUCKETS];
    let characters = CHARACTERS.into_iter().map(|(name, character)| (name, Word::Character(character)));
    let destinations = DESTINATIONS.into_iter().map(|(name, destination)| (name, Word::Destination(destination)));
    let skipped = SKIPPED.split_whitespace().map(|name| (name, Word::Destination(Destination::Skipped)));
    for (name, word) in characters.chain(PROPERTIES).chain(destinations).chain(skipped) {
        buckets[bucket(name.as_bytes())].push((name.as_bytes(), word));
    }
    buckets
});

const LENGTH_MAX: usize = 17;
const BUCKETS: usize = 32 * (LENGTH_MAX + 1);

/// Names are ASCII letters, and not empty.
fn bucket(name: &[u8]) -> usize {
    usize::from(name[0] & 31) * (LENGTH_MAX + 1) + name.len().min(LENGTH_MAX)
}

/// What the control word of this name does, if it matters.
pub(super) fn word(name: &[u8]) -> Option<Word> {
    let found = WORDS[bucket(name)].iter().find(|(known, _)| *known == name).map(|(_, word)| *word);
    // The properties of formulas come as groups of their own: `\mfPr`.
    found.or_else(|| (name.len() > 3 && name.ends_with(b"Pr")).then_some(Word::Destination(Destination::Skipped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_whole_name() {
        assert_eq!(word(b"par"), Some(Word::Paragraph));
        assert_eq!(word(b"pard"), Some(Word::ParagraphDefaults));
        assert_eq!(word(b"emdash"), Some(Word::Character('—')));
        assert_eq!(word(b"colorschememapping"), Some(Word::Destination(Destination::Skipped)));
        assert_eq!(word(b"mfPr"), Some(Word::Destination(Destination::Skipped)));
        assert_eq!(word(b"b"), None);
    }

    #[test]
    fn no_word_is_there_twice() {
        for bucket in WORDS.iter() {
            for (at, (name, _)) in bucket.iter().enumerate() {
                assert!(!bucket[..at].iter().any(|(other, _)| other == name), "{}", String::from_utf8_lossy(name));
            }
        }
    }
}
