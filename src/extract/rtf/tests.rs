use std::collections::HashMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization as _;

use super::*;
use crate::domain::narrative::SectionKind;
use crate::domain::source_map::Place;

fn reading(rtf: &[u8]) -> Reading {
    read(rtf).expect("readable")
}

/// The RTF around a body, with fonts of many charsets.
fn whole(body: &str) -> Vec<u8> {
    let fonts = r"{\fonttbl{\f0\fswiss\fcharset0 Arial;}{\f1\fnil\fcharset204{\*\fname Arial;}Arial Cyr;}
        {\f2\froman\fcharset2 Symbol;}{\f3\fnil\fcharset128 MS Mincho;}{\f4\fnil\fcharset134 SimSun;}
        {\f5\fnil\fcharset129 Batang;}{\f6\fnil\fcharset136 PMingLiU;}{\f7\fnil\fcharset2 Wingdings;}
        {\f8\fnil\fcharset0\cpg1253 Greek;}{\f9\fnil\fcharset177 David;}{\f10\fnil\fcharset130 Johab;}}";
    let styles = r"{\stylesheet{\s0 Normal;}{\s1\sb240 heading 1;}{\s2\outlinelevel1 Kopfzeile B;}{\*\cs10 Default;}}";
    let colours = r"{\colortbl;\red0\green0\blue0;}{\*\generator Riched20 10.0;}";
    let head = r"{\rtf1\ansi\ansicpg1252\deff0\uc1";
    format!("{head}{fonts}{colours}{styles}\\viewkind4\\pard\\plain {body}}}").into_bytes()
}

fn body(rtf: &str) -> String {
    reading(&whole(rtf)).body
}

/// What is written, and what is read.
const CHARACTERS: &[(&str, &str)] = &[
    (r"plain \b bold\b0  and {\i italic}", "plain bold and italic"),
    (r"\{braces\} and back\\slash", "{braces} and back\\slash"),
    ("line ends \r\nare n\none", "line ends are none"),
    (r"5\~mm T1\_weighted meta\-stasis", "5 mm T1-weighted metastasis"),
    (r"r\'e9ponse \'96 \'93x\'94 \'80", "réponse – “x” €"),
    (r"\emdash\endash\bullet  \lquote a\rquote  \ldblquote b\rdblquote", "—–• ‘a’ “b”"),
    (r"a\emspace b\enspace c\qmspace d", "a b c d"),
    (r"\u8805?5 \u8804\'3f 3 \u-3913?", "≥5 ≤ 3 •"),
    (r"{\uc0\u8805 5}\uc2 \u960\'a6\'d0r", "≥5πr"),
    (r"\uc1\u8212\emdash x \u8211\_y \u8220{?}z", "—x –y “?z"),
    (r"\u8805\tab x\u8805\par y", "≥\tx≥\ny"),
    (r"\u-10179?\u-8704? {\uc0\u55357\u56832}", "😀 😀"),
    (r"\u128512?", "😀"),
    (r"{\upr{naive}{\*\ud{na\u239\'efve}}}", "naïve"),
    (r"\f1\'cf\'f0\'e8\'e2\'e5\'f2\f0 \'e9", "Приветé"),
    (r"{\f3\'83e\'83X\'83\'67} {\f3\'93\'fa\'96\'7b}", "テスト 日本"),
    (r"{\f4\'d3\'a1\'cb\'a2}{\f5\'c7\'d1}{\f6\'b4\'fa}{\f10\'d0\'65}", "印刷한測한"),
    (r"{\f8\'e1\'e2} {\rtlch\af9\f0\'f9\'ec\ltrch x}", "αβ שלx"),
    (r"{\f2\'b3}5 {\f2 m}g {\f2\'b1} {\f2 no words are written in it}", "≥5 μg ± no words are written in it"),
    (r"{\f7\'fc} {\f7\'fe}", "✓ ☑"),
    (r"{\mac}x", "x"),
    ("tab\tas it stands\\\ttoo\\tab end", "tab\tas it stands\ttoo\tend"),
    (r"{\f99\'e9} {\f0\'e9", "é é"),
    (r"H{\sub 2}O 10{\super 3}", "H2O 103"),
    (r"unknown \foo12 words\bar-3  {\baz x}", "unknown words x"),
    (r"\'zz kept \'", "zz kept"),
    (r"5\6 mm", "56 mm"),
    ("zero\0 width\\zwj s\\zwnj", "zero widths"),
    (r"a\'09b\'0ac", "a\tb\nc"),
];

const BLOCKS: &[(&str, &str)] = &[
    (r"a\par b\line c\par\par d", "a\nb\nc\n\nd"),
    ("a\\\nb\\\r\nc", "a\nb\nc"),
    (r"\pard\sa200 a\par b\par\pard\sa0 c\par d", "a\n\nb\n\nc\nd"),
    (r"\pard\sb240 a\par b\par\pard c", "a\n\nb\nc"),
    (r"a\page b\sect c\column d", "a\n\nb\n\nc\n\nd"),
    (r"a  \par  b \tab\par c", "a\nb\nc"),
    (r"\par\par a\par\par", "a"),
    (r"{\pntext\f2\'b7\tab}{\*\pn\pnlvlblt\pnf2{\pntxtb\'b7}}one\par{\listtext\f7\'a7\tab}two", "- one\n- two"),
    (r"{\listtext 1.\tab}one\par{\listtext\pard\plain\hich\af0\dbch\af0\loch\f0 o\tab}two", "1. one\n- two"),
    (r"\trowd\cellx1\cellx2\intbl a\cell b\cell\row\intbl c\cell d\cell\row\pard e", "a | b\nc | d\n\ne"),
    (r"x\par\trowd\cellx1\intbl a\cell\cell b\cell\cell\row\pard y", "x\n\na |  | b\n\ny"),
    (r"\trowd\intbl a\par b\cell\par c\par\cell\row\pard", "a\nb | c"),
    (r"\trowd\clmgf\cellx1\clmrg\cellx2\cellx3\intbl a\cell\cell b\cell\row", "a | b"),
    (
        r"\trowd\cellx1\intbl x\cell{\itap2 a\nestcell b\nestcell{\*\nesttableprops\trowd\cellx1\nestrow}{\nonesttables\par}\itap2 c\nestcell d\nestcell{\*\nesttableprops\trowd\nestrow}{\nonesttables\par}}\intbl\itap1\cell y\cell\row",
        "x | a | b\nc | d | y",
    ),
    (r"\intbl a\cell b\cell\trowd\cellx1\row\pard\intbl c\cell\trowd\row", "a | b\nc"),
    (r"text{\footnote{\super\chftn} a note\par} more\par end", "text more\nend\n\na note"),
    (
        r"one {\shp{\*\shpinst\shpleft0{\sp{\sn x}{\sv 1}}{\shptxt\pard in a box\par}}{\shprslt{\*\do{\dptxbx{\dptxbxtext again}}}}}two\par three",
        "one two\n\nin a box\n\nthree",
    ),
    (r"{\*\do\dobxpage\dptxbx{\dptxbxtext\pard a box\par}\dpx1}\par x", "a box\n\nx"),
    (r#"{\field{\*\fldinst{HYPERLINK "https://example.org"}}{\fldrslt{\ul here}}} x"#, "here x"),
    (r#"{\field{\*\fldinst SYMBOL 179 \\f "Symbol" \\s 10}{\fldrslt\f2\fs20}}5"#, "≥5"),
    (
        r"{\field{\*\fldinst{ FORMCHECKBOX }{\*\formfield{\fftype1\ffres25{\*\ffname Check1}\ffdefres1}}}{\fldrslt}} yes
        {\field{\*\fldinst{FORMCHECKBOX}{\*\formfield{\fftype1\ffres0\ffdefres1}}}{\fldrslt}} no",
        "☒ yes        ☐ no",
    ),
    (r"{\field{\*\fldinst FORMDROPDOWN{\*\formfield{\fftype2\ffres1{\*\ffl CR}{\*\ffl PR}}}}{\fldrslt}}", "PR"),
    (r"{\field{\*\fldinst IF {\field{\*\fldinst PAGE}{\fldrslt 7}}}{\fldrslt x}}", "x"),
    (r"{\*\unknown hidden {\b x}}a{\info{\title T}}{\*\bkmkstart m}b{\*\bkmkend m}{\xe index}c", "abc"),
    (r"a{\*\bkmkstart}{\pict\wmetafile8 0102{\*\blipuid x}ff}{\object{\*\objdata 00}{\result{\b r}}}b", "arb"),
    ("a\\bin3 }}}b{\\pict\\bin2 {{}c", "abc"),
    (
        r"{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 5{\*\htmltag84 &nbsp;}\htmlrtf \'a0\htmlrtf0 mm\htmlrtf\par}\htmlrtf0 x",
        "5 mm\nx",
    ),
    (r"{*\generator lost}{*\b kept}", "*kept"),
    (r"{\mmath{\*\moMath{\mf{\mfPr{\mctrlPr x}}{\mnum{\mr 1}}{\mden{\mr 2}}}}{\*\mmathPict{\pict 00}}}", "12"),
    (r"{{\NeXTGraphic x.tiff \width10}}a", "a"),
    (r"a\chpgn  b\chdate  c", "a b c"),
    (r"{\title ignored}{\b title} \b\header kept", "title kept"),
];

#[test]
fn characters_are_read_as_a_word_processor_shows_them() {
    for (given, expected) in CHARACTERS {
        assert_eq!(body(given), *expected, "{given}");
    }
}

#[test]
fn blocks_are_read_as_a_word_processor_shows_them() {
    for (given, expected) in BLOCKS {
        assert_eq!(body(given), *expected, "{given}");
    }
}

#[test]
fn what_the_document_says_of_its_bytes_is_heard() {
    for (rtf, expected) in [
        (b"{\\rtf1\\mac x\\'8e}".as_slice(), "xé"),
        (b"{\\rtf1\\pc 5 \\'e6m}", "5 µm"),
        (b"{\\rtf1\\pca \\'81}", "ü"),
        (b"{\\rtf1\\ansi\\ansicpg1251{\\fonttbl{\\f0\\fcharset0 Arial;}}\\f0\\'cf\\'f0}", "Пр"),
        (b"{\\rtf1\\ansi\\ansicpg0 \\'e9}", "é"),
        (b"{\\rtf1\\ansi\\ansicpg936 \\'d3\\'a1}", "印"),
        (b"{\\rtf1\\ansi\\ansicpg936{\\fonttbl\\f0\\fnil\\fcharset0 A;}\\f0 \\'93x\\'94 \\'d3\\'a1}", "“x” 印"),
        (
            b"{\\rtf1\\ansi{\\fonttbl{\\f0\\fnil A;}{\\f3\\fnil{\\*\\panose 05050102}Symbol;}}\\f0 a {\\f3 \\'b3} b",
            "a ≥ b",
        ),
        (b"{\\rtf1\\ansi\\deff1{\\fonttbl\\f0\\fnil A;\\f1\\fnil\\fcharset238 B;}\\'9c\\plain\\'9c}", "śś"),
        (b"{\\rtf1\\ansi\\ansicpg65001 \\'e2\\'89\\'a5}", "≥"),
        (b"{\\rtf1\\ansi r\xe9ponse}", "réponse"),
        ("{\\rtf1\\ansi réponse ≥ \\u233ée}".as_bytes(), "réponse ≥ ée"),
        (b"\xef\xbb\xbf \r\n{\\rtf1 x}", "x"),
        (b"{\\rtf x", "x"),
        (b"{\\rtf1 a}\0\r\n", "a"),
        (b"{\\rtf1 a\\par b}{\\rtf1\\ansicpg1251 \\'cf}", "a\nb\n\nП"),
        (b"{\\rtf1 a}}b\\par c}", "a\nb\nc"),
        (b"{\\rtf1{\\stylesheet{\\s1 x;}}{\\b a", "a"),
    ] {
        assert_eq!(reading(rtf).body, expected, "{}", String::from_utf8_lossy(rtf));
    }
}

#[test]
fn what_is_hidden_deleted_or_a_comment_is_kept_apart_and_told() {
    let rtf = r"Stable{\v  not seen} disease.{\deleted\revauth1 Progression.}{\revised\revauth1  New.}
        {\*\atnid A}{\*\atnauthor B}{\*\annotation{\*\atndate 1}\pard Sure?\par}\v too\v0\par {\v a line\par}end";
    let reading = reading(&whole(rtf));
    assert_eq!(reading.body, "Stable disease. New.\nend");
    assert_eq!(reading.hidden, "not seen\nProgression.\n\nSure?\n\ntoo\na line");
    assert_eq!(
        reading.notes,
        [
            "18 characters that are hidden are kept apart",
            "12 characters that were deleted are kept apart",
            "5 characters of comments are kept apart"
        ]
    );
}

#[test]
fn headers_and_footers_stand_behind_the_text_each_once() {
    let rtf = r"{\header\pard MRN: 1\par Ward 2\par}{\headerf MRN: 1\par Ward 2\par}{\footer Page {\field{\*\fldinst PAGE}{\fldrslt 1}}\par}
        Stable.\sect{\headerr\pard\plain MRN: 1\par Ward 2}";
    let reading = reading(&whole(rtf));
    assert_eq!(reading.body.trim(), "Stable.\n\nMRN: 1\nWard 2\n\nPage 1");
    let marked: Vec<_> = reading.headings.iter().map(|m| (m.kind, &reading.body[m.range.clone()])).collect();
    assert_eq!(marked, [(Some(SectionKind::Header), "MRN: 1"), (Some(SectionKind::Footer), "Page 1")]);
}

#[test]
fn headings_are_known_by_style_or_outline_level() {
    let rtf = r"\pard\s1 Findings\par\pard A.\par\pard\outlinelevel0 Impression\par\pard\s2 B\line C\par\pard\s1\outlinelevel9 D\par
        \pard\b E\b0\par\pard\s2{\listtext 1.\tab}F\par G";
    let reading = reading(&whole(rtf));
    let marked: Vec<_> = reading.headings.iter().map(|marked| &reading.body[marked.range.clone()]).collect();
    assert_eq!(marked, ["Findings", "Impression", "1. F", "G"]);
    assert!(reading.body.starts_with("Findings\n\nA.\n\nImpression\n\n"), "{}", reading.body);
}

#[test]
fn what_is_not_read_is_told() {
    let reading =
        reading(b"{\\rtf1 a{\\pict 00}{\\*\\shppict{\\pict 00}}{\\nonshppict{\\pict 00}}{\\*\\objdata 00}} @ y");
    let parts: Vec<_> = reading.unread.iter().map(|(part, _)| part.as_str()).collect();
    assert_eq!(parts, ["2 pictures", "1 embedded object", "4 bytes behind its end"]);
    let refusal = read(b"{\\rtf1{\\pict 00}}").expect_err("no text");
    assert_eq!(refusal.reason, UnreadReason::Empty);
    let refusal = read(b"no rtf").expect_err("no RTF");
    assert_eq!(refusal.reason, UnreadReason::Malformed);
    assert_eq!(self::reading(b"{\\rtf1{\\b a").notes, ["it ends within 2 open groups: its end may be missing"]);
    assert!(self::reading(b"{\\rtf1 a}{\\rtf1 b}").notes.is_empty());
    assert_eq!(self::reading(b"{\\rtf1\\strike a").notes.len(), 2);
    assert_eq!(self::reading(b"{\\rtf1\\u55357?a\\ansicpg4711 b}").notes.len(), 2);
}

#[test]
fn each_part_has_its_place() {
    let rtf = br"{\rtf1 Nodule \u8805?5\~mm, r\'e9ponse.\par\pard Stable {\b disease}}";
    let reading = reading(rtf);
    assert_eq!(reading.body, "Nodule ≥5 mm, réponse.\nStable disease");
    for (words, source) in [
        ("Nodule", "Nodule"),
        ("≥", r"\u8805?"),
        ("5 mm", r"5\~mm"),
        ("éponse", r"\'e9ponse"),
        ("Stable", "Stable"),
        ("e disease", r"e {\b disease"),
    ] {
        let at = reading.body.find(words).expect("in the body");
        let place = reading.map.locate(&reading.body, &(at..at + words.len()));
        let Some(Place::Characters(place)) = place else { panic!("a place of {words}") };
        assert_eq!(String::from_utf8_lossy(&rtf[place]), source);
    }
}

#[test]
fn hostile_input_ends_quickly() {
    let refused = |rtf: Vec<u8>| read(&rtf).expect_err("refused").reason;
    let after_head = |unit: &[u8], count: usize| [b"{\\rtf1 ".to_vec(), unit.repeat(count)].concat();
    assert_eq!(refused(after_head(b"{", GROUP_DEPTH_MAX)), UnreadReason::TooLarge);
    assert_eq!(refused(after_head(b"x", 9_000_000)), UnreadReason::TooLarge);
    assert_eq!(refused(vec![b' '; RTF_BYTES_MAX + 1]), UnreadReason::Malformed);
    for unit in [
        "}",
        "{}",
        "{\\*\\x",
        "\\bin9999999",
        "\\u8805?",
        "{\\fonttbl",
        "\\cell",
        "\\row ",
        "\\'",
        "{\\field",
        "\\uc30000",
    ] {
        let _ = read(&after_head(unit.as_bytes(), 9_000));
    }
    let fonts = (0..100_000).map(|font| format!("{{\\f{font} A;}}")).collect::<Vec<_>>().concat();
    assert_eq!(
        reading(format!("{{\\rtf1{{\\fonttbl{fonts}}}\\uc30000\\u8805 all of this is left out}}").as_bytes()).body,
        "≥"
    );
}

/// Words: runs of letters and digits. A soft hyphen parts no word.
fn words(text: &str) -> Vec<String> {
    let text: String = text.nfc().filter(|c| *c != '\u{ad}').collect();
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The harmonic mean of the shares of words that both texts have, each as often as it is there.
fn f1(found: &[String], expected: &[String]) -> f64 {
    let mut counts: HashMap<&String, usize> = HashMap::new();
    for word in expected {
        *counts.entry(word).or_default() += 1;
    }
    let common = found
        .iter()
        .filter(|word| {
            counts.get_mut(word).is_some_and(|n| {
                *n > 0 && {
                    *n -= 1;
                    true
                }
            })
        })
        .count();
    if found.len() + expected.len() == 0 { 1.0 } else { 2.0 * common as f64 / (found.len() + expected.len()) as f64 }
}

#[test]
fn files_of_others_give_the_words_that_are_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/rtf");
    let Ok(files) = fs::read_dir(&folder) else {
        eprintln!("skipped files_of_others_give_the_words_that_are_expected: no ../shared/fixtures/rtf");
        return;
    };
    let mut names: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "rtf"));
    names.sort();
    for path in names {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let found = reading(&fs::read(&path).expect("bytes"));
        let mut expected = fs::read_to_string(path.with_extension("txt")).expect("text");
        if name == "hyperlinks" {
            // The expectation has addresses of links, which no reader of the page sees.
            expected = expected.replace("(\"https://www.wikipedia.org\")", "").replace("(\"duckduckgo.com/\")", "");
        }
        let (found_words, expected_words) = (words(&found.body), words(&expected));
        let score = f1(&found_words, &expected_words);
        eprintln!(
            "{name}: F1 {score:.4} of {} words, in order: {}",
            expected_words.len(),
            found_words == expected_words
        );
        assert!(score >= 0.99, "{name}: {score}\n{}\n---\n{expected}", found.body);
    }
}

/// Every part of the text has a place in the source, and what is one character there is that character.
fn check(rtf: &[u8]) -> Result<(), TestCaseError> {
    let Ok(reading) = read(rtf) else { return Ok(()) };
    for (text, map) in [(&reading.body, &reading.map), (&reading.hidden, &reading.hidden_map)] {
        prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        prop_assert!(text.lines().all(|line| !line.ends_with([' ', '\t'])) && !text.contains("\n\n\n"));
        for (at, character) in text.char_indices() {
            match map.locate(text, &(at..at + character.len_utf8())) {
                Some(Place::Characters(place)) => {
                    prop_assert!(place.end <= rtf.len() && !place.is_empty());
                    let same = place.len() > 1
                        || rtf[place.start] >= 0x80
                        || !character.is_ascii()
                        || char::from(rtf[place.start]) == character;
                    prop_assert!(same, "{character:?} at {place:?}");
                }
                Some(_) => prop_assert!(false, "another kind of place"),
                None => prop_assert!(" |\n".contains(character), "{character:?} has no place"),
            }
        }
    }
    for marked in &reading.headings {
        let line = &reading.body[marked.range.clone()];
        prop_assert!(reading.body.lines().any(|other| other == line), "{line:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        check(&[b"{\\rtf1".as_slice(), &bytes].concat())?;
    }

    #[test]
    fn any_rtf_has_its_places(
        rtf in r"(\{|\}|\\par |\\cell |\\row |\\trowd|\\intbl|\\itap2|\\nestcell |\\nestrow|\\u8805\?|\\'e9|\\uc[02] |\{\\\*\\|\
            |\\tab | |x|yz |\\line|\\outlinelevel0 |\\pard |\{\\footnote |\{\\shptxt |\{\\header |\{\\listtext |\\v |\\v0 |\
            |\\deleted |\{\\field|\{\\fldinst|\\sa200 |\\f2 |\{\\annotation |\\~|\\-|\\u-10179|\\page|é|\t|\*|\\plain ){0,60}"
    ) {
        check(&whole(&rtf))?;
    }
}
