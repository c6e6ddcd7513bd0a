//! The elements of HTML, and what a reader of text must know of each.

/// Stands apart from what is around it.
pub(super) const APART: u32 = 1;
/// Begins and ends a line.
pub(super) const LINE: u32 = 1 << 1;
/// Never text to a reader.
pub(super) const LEFT_OUT: u32 = 1 << 2;
/// Has no end tag.
pub(super) const VOID: u32 = 1 << 3;
/// Its content is characters, never tags.
pub(super) const RAW: u32 = 1 << 4;
/// Its start ends an open paragraph.
pub(super) const ENDS_PARAGRAPH: u32 = 1 << 5;
/// An end tag of an inline element does not reach out of it ("special" in the HTML standard).
pub(super) const SPECIAL: u32 = 1 << 6;
/// No end tag reaches out of it, but those of tables ("scope" in the HTML standard).
pub(super) const SCOPE: u32 = 1 << 7;
/// Goes on in the next block when it was not closed.
pub(super) const FORMATTING: u32 = 1 << 8;
/// Its white space is text.
pub(super) const VERBATIM: u32 = 1 << 9;
/// A heading of some level.
pub(super) const HEADING: u32 = 1 << 10;
/// Its text is struck through.
pub(super) const STRUCK: u32 = 1 << 11;
/// Not shown unless an attribute says so.
pub(super) const CLOSED: u32 = 1 << 12;
/// Has a place in tables only.
pub(super) const OF_TABLE: u32 = 1 << 13;
/// Formatting that was not closed outside of it does not go on within it.
pub(super) const REGION: u32 = 1 << 14;
/// Is no part of a drawing or formula: its start ends them.
pub(super) const LEAVES_DRAWING: u32 = 1 << 15;
/// A part of a drawing or formula that holds HTML.
pub(super) const HOLDS_HTML: u32 = 1 << 16;
/// Holds list items.
pub(super) const LIST: u32 = 1 << 17;
/// Has no place: its tags are passed over.
pub(super) const PASSED: u32 = 1 << 18;

const BLOCK: u32 = APART | ENDS_PARAGRAPH | SPECIAL;
const TITLE: u32 = BLOCK | HEADING | LEAVES_DRAWING;
const RAW_OUT: u32 = RAW | LEFT_OUT | SPECIAL;
const INLINE: u32 = FORMATTING | LEAVES_DRAWING;
const CELL: u32 = OF_TABLE | SPECIAL | SCOPE | REGION;
const ROWS: u32 = OF_TABLE | SPECIAL | LINE;
const SINGLE: u32 = VOID | SPECIAL;

/// By name, sorted. Names that are not here are inline and without meaning.
const ELEMENTS: [(&str, u32); 118] = [
    ("a", FORMATTING),
    ("address", BLOCK),
    ("annotation-xml", HOLDS_HTML),
    ("applet", SPECIAL | SCOPE | REGION),
    ("area", SINGLE),
    ("article", BLOCK),
    ("aside", BLOCK),
    ("b", INLINE),
    ("base", SINGLE),
    ("basefont", SINGLE),
    ("bgsound", SINGLE),
    ("big", INLINE),
    ("blockquote", BLOCK | LEAVES_DRAWING),
    ("body", LINE | SPECIAL | LEAVES_DRAWING),
    ("br", SINGLE | LEAVES_DRAWING),
    ("button", SPECIAL),
    ("caption", OF_TABLE | SPECIAL | SCOPE | REGION | LINE),
    ("center", BLOCK | LEAVES_DRAWING),
    ("code", INLINE),
    ("col", SINGLE | OF_TABLE),
    ("colgroup", OF_TABLE | SPECIAL),
    ("datalist", CLOSED),
    ("dd", LINE | ENDS_PARAGRAPH | SPECIAL | LEAVES_DRAWING),
    ("del", STRUCK),
    ("desc", HOLDS_HTML),
    ("details", BLOCK),
    ("dialog", ENDS_PARAGRAPH | LINE | CLOSED),
    ("dir", BLOCK | LIST),
    ("div", LINE | ENDS_PARAGRAPH | SPECIAL | LEAVES_DRAWING),
    ("dl", BLOCK | LEAVES_DRAWING),
    ("dt", LINE | ENDS_PARAGRAPH | SPECIAL | LEAVES_DRAWING),
    ("em", INLINE),
    ("embed", SINGLE | LEAVES_DRAWING),
    ("fieldset", BLOCK),
    ("figcaption", LINE | ENDS_PARAGRAPH | SPECIAL),
    ("figure", BLOCK),
    ("font", FORMATTING),
    ("footer", BLOCK),
    ("foreignobject", HOLDS_HTML | SCOPE | SPECIAL),
    ("form", BLOCK),
    ("frame", SINGLE),
    ("frameset", PASSED),
    ("h1", TITLE),
    ("h2", TITLE),
    ("h3", TITLE),
    ("h4", TITLE),
    ("h5", TITLE),
    ("h6", TITLE),
    ("head", PASSED),
    ("header", BLOCK),
    ("hgroup", LINE | ENDS_PARAGRAPH | SPECIAL),
    ("hr", SINGLE | APART | ENDS_PARAGRAPH | LEAVES_DRAWING),
    ("html", PASSED),
    ("i", INLINE),
    ("iframe", RAW_OUT),
    ("image", SINGLE),
    ("img", SINGLE | LEAVES_DRAWING),
    ("input", SINGLE),
    ("keygen", SINGLE),
    ("legend", LINE),
    ("li", LINE | ENDS_PARAGRAPH | SPECIAL | LEAVES_DRAWING),
    ("link", SINGLE),
    ("listing", BLOCK | VERBATIM | LEAVES_DRAWING),
    ("main", BLOCK),
    ("marquee", SPECIAL | SCOPE | REGION),
    ("math", 0),
    ("menu", BLOCK | LIST | LEAVES_DRAWING),
    ("meta", SINGLE | LEAVES_DRAWING),
    ("mi", HOLDS_HTML),
    ("mn", HOLDS_HTML),
    ("mo", HOLDS_HTML),
    ("ms", HOLDS_HTML),
    ("mtext", HOLDS_HTML),
    ("nav", BLOCK),
    ("nobr", INLINE),
    ("noembed", RAW_OUT),
    ("noframes", RAW_OUT),
    ("noscript", RAW_OUT),
    ("object", SPECIAL | SCOPE | REGION),
    ("ol", BLOCK | LIST | LEAVES_DRAWING),
    ("optgroup", LINE),
    ("option", LINE | CLOSED),
    ("p", BLOCK | LEAVES_DRAWING),
    ("param", SINGLE),
    ("plaintext", BLOCK | VERBATIM | RAW),
    ("pre", BLOCK | VERBATIM | LEAVES_DRAWING),
    ("s", INLINE | STRUCK),
    ("script", RAW_OUT),
    ("search", LINE | ENDS_PARAGRAPH | SPECIAL),
    ("section", BLOCK),
    ("select", SPECIAL),
    ("small", INLINE),
    ("source", SINGLE),
    ("span", LEAVES_DRAWING),
    ("strike", INLINE | STRUCK),
    ("strong", INLINE),
    ("style", RAW_OUT),
    ("sub", LEAVES_DRAWING),
    ("summary", LINE | ENDS_PARAGRAPH | SPECIAL),
    ("sup", LEAVES_DRAWING),
    ("svg", 0),
    ("table", APART | SPECIAL | SCOPE | LEAVES_DRAWING),
    ("tbody", ROWS),
    ("td", CELL),
    ("template", LEFT_OUT | SPECIAL | SCOPE | REGION),
    ("textarea", LINE | RAW | VERBATIM | SPECIAL),
    ("tfoot", ROWS),
    ("th", CELL),
    ("thead", ROWS),
    ("title", RAW_OUT),
    ("tr", ROWS),
    ("track", SINGLE),
    ("tt", INLINE),
    ("u", INLINE),
    ("ul", BLOCK | LIST | LEAVES_DRAWING),
    ("var", LEAVES_DRAWING),
    ("wbr", SINGLE),
    ("xmp", BLOCK | RAW | VERBATIM),
];

/// Bytes of the longest name.
const NAME_BYTES_MAX: usize = 14;

/// An element by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'t> {
    /// In lower case if it is known, else as it was written.
    pub(super) name: &'t str,
    traits: u32,
}

impl<'t> Element<'t> {
    /// The element with this name, in whatever case.
    pub(super) fn of(name: &'t str) -> Self {
        let mut lower = [0; NAME_BYTES_MAX];
        if let Some(lower) = lower.get_mut(..name.len()) {
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            if let Ok(found) = ELEMENTS.binary_search_by(|(known, _)| known.as_bytes().cmp(lower)) {
                let (name, traits) = ELEMENTS[found];
                return Self { name, traits };
            }
        }
        Self { name, traits: 0 }
    }

    /// Whether HTML has an element of this name.
    pub(super) fn is_known(self) -> bool {
        const INLINE_WITHOUT_TRAITS: [&str; 14] = [
            "abbr", "bdi", "bdo", "cite", "data", "dfn", "kbd", "label", "map", "meter", "output", "q", "span", "time",
        ];
        self.traits != 0 || INLINE_WITHOUT_TRAITS.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    /// Whether it has one of these traits.
    pub(super) const fn is(self, traits: u32) -> bool {
        self.traits & traits != 0
    }

    /// Whether both have the same name.
    pub(super) fn same(self, other: Element<'_>) -> bool {
        self.name.eq_ignore_ascii_case(other.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_written_as_it_is_searched() {
        assert!(ELEMENTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(ELEMENTS.iter().map(|(name, _)| name.len()).max(), Some(NAME_BYTES_MAX));
    }

    #[test]
    fn elements_are_known_in_any_case() {
        assert!(Element::of("TABLE").is(APART) && Element::of("Td").is(REGION));
        assert_eq!(Element::of("o:p"), Element { name: "o:p", traits: 0 });
        assert!(Element::of("Custom-Element-Name").same(Element::of("custom-element-name")));
    }
}
