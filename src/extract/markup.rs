//! Markup into tags and text, by byte offsets into it.
//!
//! As a browser does (WHATWG HTML, "tokenization"), but for what a browser would drop without a word: CDATA sections are
//! text, and so is a tag that never ends.

use std::ops::Range;

use super::elements::{Element, LEFT_OUT};

/// Bytes of markup: what is left of `body_bytes_max` (25 MiB) after base64 or JSON escapes, with room.
pub(super) const MARKUP_BYTES_MAX: usize = 24 << 20;

/// Bytes that may be looked through in vain for the ends of tags; what is left then is text.
const VAIN_BYTES_MAX: usize = 64 << 20;

/// A part of the markup. Comments and declarations are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// Text with character references.
    Text(Slice),
    /// Text as it is.
    Data(Slice),
    Open(Tag<'t>),
    Close(Element<'t>),
}

/// Bytes of the markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Slice {
    pub(super) const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A start tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag<'t> {
    pub(super) element: Element<'t>,
    /// What follows the name.
    pub(super) attributes: &'t str,
    /// Where that is.
    pub(super) attributes_at: usize,
    /// True if it ends with `/>`.
    pub(super) self_closing: bool,
}

/// The parts of some markup, one after the other.
pub(super) struct Markup<'t> {
    source: &'t str,
    at: usize,
    /// What stands behind the text that was given last.
    waiting: Option<Token<'t>>,
    /// In XML a processing instruction ends with `?>`, and every element may be empty.
    xml: bool,
    /// Where the last `>` is: no tag after it ends.
    last_end: usize,
    vain: usize,
    /// Tags that never end, and are read as text.
    pub(super) unended_tags: usize,
    /// Comments, scripts and the like that never end, and what is in them: its name and where it begins.
    pub(super) unended: Option<(&'t str, usize)>,
}

impl<'t> Markup<'t> {
    pub(super) fn new(source: &'t str, xml: bool) -> Self {
        let last_end = source.rfind('>').unwrap_or(0);
        Self { source, at: 0, waiting: None, xml, last_end, vain: 0, unended_tags: 0, unended: None }
    }

    /// The next part.
    pub(super) fn next(&mut self) -> Option<Token<'t>> {
        if let Some(token) = self.waiting.take() {
            return Some(token);
        }
        while self.at < self.source.len() {
            let start = self.at;
            let (open, markup) = self.next_markup(start);
            let (token, end) = markup.unwrap_or((None, self.source.len()));
            self.at = end;
            if open > start {
                self.waiting = token;
                return Some(Token::Text(Slice { start, end: open }));
            }
            if token.is_some() {
                return token;
            }
        }
        None
    }

    /// Where the next markup begins, and what it is with its end; the end of the source if there is none. A `<` that
    /// begins nothing is text.
    fn next_markup(&mut self, from: usize) -> (usize, Option<(Option<Token<'t>>, usize)>) {
        let mut look = from;
        while let Some(found) = self.source[look..].find('<') {
            let open = look + found;
            if let Some(markup) = self.markup_at(open) {
                return (open, Some(markup));
            }
            look = open + 1;
        }
        (self.source.len(), None)
    }

    /// What begins at the `<` at `open` and where it ends; none if it begins nothing, no token if there is nothing to
    /// read in it.
    fn markup_at(&mut self, open: usize) -> Option<(Option<Token<'t>>, usize)> {
        let rest = &self.source[open..];
        match rest.as_bytes().get(1)? {
            b'!' => Some(self.declaration(open)),
            b'?' => Some((None, self.until(open, if self.xml { "?>" } else { ">" }, "a processing instruction"))),
            b'/' => match rest.as_bytes().get(2)? {
                byte if byte.is_ascii_alphabetic() => {
                    let (tag, end) = self.tag(open, open + 2)?;
                    Some((Some(Token::Close(tag.element)), end))
                }
                b'>' => Some((None, open + 3)),
                _ => Some((None, self.until(open, ">", "a comment"))),
            },
            byte if byte.is_ascii_alphabetic() => {
                let (tag, end) = self.tag(open, open + 1).filter(|_| !is_a_sign(&rest[1..]))?;
                Some((Some(Token::Open(tag)), end))
            }
            _ => None,
        }
    }

    /// A comment, DOCTYPE or CDATA section.
    fn declaration(&mut self, open: usize) -> (Option<Token<'t>>, usize) {
        let rest = &self.source[open..];
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let start = open + rest.len() - data.len();
            let length = data.find("]]>");
            let end = length.map_or(self.source.len(), |length| start + length);
            return (Some(Token::Data(Slice { start, end })), length.map_or(end, |_| end + 3));
        }
        let Some(comment) = rest.strip_prefix("<!--") else { return (None, self.until(open, ">", "a declaration")) };
        for (index, end) in [(">", 5), ("->", 6)] {
            if comment.starts_with(index) {
                return (None, open + end);
            }
        }
        let plain = comment.find("-->").map(|found| found + 3);
        let loud = comment[..plain.unwrap_or(comment.len())].find("--!>").map(|found| found + 4);
        match loud.or(plain) {
            Some(length) => (None, open + 4 + length),
            None => (None, self.never_ends("a comment", open)),
        }
    }

    /// One past the next `mark`.
    fn until(&mut self, open: usize, mark: &str, what: &'t str) -> usize {
        match self.source[open..].find(mark) {
            Some(found) => open + found + mark.len(),
            None => self.never_ends(what, open),
        }
    }

    fn never_ends(&mut self, what: &'t str, open: usize) -> usize {
        self.unended.get_or_insert((what, open));
        self.source.len()
    }

    /// The tag at `open` whose name begins at `name`, and where it ends; none if it never does.
    fn tag(&mut self, open: usize, name: usize) -> Option<(Tag<'t>, usize)> {
        if open > self.last_end || self.vain > VAIN_BYTES_MAX {
            self.unended_tags += 1;
            return None;
        }
        let bytes = self.source.as_bytes();
        let named = bytes[name..].iter().take_while(|byte| !is_name_end(**byte)).count();
        let Some(end) = tag_end(bytes, name + named) else {
            self.vain += bytes.len() - open;
            self.unended_tags += 1;
            return None;
        };
        let attributes = &self.source[name + named..end - 1];
        let name = &self.source[name..name + named];
        let bare = name.strip_prefix("xhtml:").or(name.strip_prefix("html:")).filter(|_| self.xml);
        let self_closing = attributes.ends_with('/');
        let attributes_at = end - 1 - attributes.len();
        Some((Tag { element: Element::of(bare.unwrap_or(name)), attributes, attributes_at, self_closing }, end))
    }

    /// The content of a raw element (script, style, title) whose start tag was just read, up to its end tag.
    pub(super) fn raw(&mut self, element: Element<'t>) -> Slice {
        let start = self.at;
        let mut look = start;
        while element.name != "plaintext"
            && let Some(found) = self.source[look..].find("</")
        {
            let name = look + found + 2;
            let after = name + element.name.len();
            if self
                .source
                .as_bytes()
                .get(name..after)
                .is_some_and(|it| it.eq_ignore_ascii_case(element.name.as_bytes()))
                && self.source.as_bytes().get(after).is_none_or(|byte| is_name_end(*byte))
            {
                self.at = look + found;
                return Slice { start, end: self.at };
            }
            look = name;
        }
        self.at = self.source.len();
        if element.is(LEFT_OUT) {
            self.never_ends(element.name, start);
        }
        Slice { start, end: self.at }
    }

    /// Passes over a line end that follows at once: that after `<pre>` is no text.
    pub(super) fn pass_line_end(&mut self) {
        let rest = &self.source[self.at..];
        self.at += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with(['\n', '\r'])) };
    }
}

/// Bytes of a tag that are looked at to see whether it is one.
const TAG_BYTES_LOOKED: usize = 200;

/// Whether the `<` before `rest` is one that somebody wrote for "less than", as in `SUVmax<liver; size <5 mm</p>`: what follows
/// it is no element's name, and another `<` comes before its `>`.
fn is_a_sign(rest: &str) -> bool {
    let (name, attributes) = rest.split_at(rest.bytes().take_while(|byte| !is_name_end(*byte)).count());
    if name.contains([':', '-']) || Element::of(name).is_known() {
        return false;
    }
    let next = attributes.bytes().take(TAG_BYTES_LOOKED).find(|byte| b"<>\"'".contains(byte));
    next == Some(b'<')
}

const fn is_name_end(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/' | b'>')
}

/// One past the `>` of a tag whose attributes begin at `at`.
fn tag_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut attributes = Attributes { bytes, at };
    while attributes.next()?.is_some() {}
    Some(attributes.at)
}

/// The value of an attribute, as it is written; empty if it has none.
pub(super) fn attribute<'t>(tag: &Tag<'t>, name: &str) -> Option<&'t str> {
    attribute_at(tag, name).map(|range| &tag.attributes[range])
}

/// Where that value is in the tag's attributes.
pub(super) fn attribute_at(tag: &Tag<'_>, name: &str) -> Option<Range<usize>> {
    if tag.attributes.len() <= name.len() {
        return None;
    }
    // The end of the attributes is as good as the `>` that was there.
    let mut attributes = Attributes { bytes: tag.attributes.as_bytes(), at: 0 };
    while let Some(Some((found, value))) = attributes.next() {
        if tag.attributes.as_bytes()[found].eq_ignore_ascii_case(name.as_bytes()) {
            return Some(value);
        }
    }
    None
}

struct Attributes<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Attributes<'_> {
    /// Name and value of the next attribute; `Some(None)` behind the `>` of the tag, none if the bytes end before.
    #[expect(clippy::option_option, reason = "the end of the tag and the end of the bytes are two ends")]
    fn next(&mut self) -> Option<Option<(Range<usize>, Range<usize>)>> {
        self.skip(|byte| byte.is_ascii_whitespace() || byte == b'/');
        if self.peek()? == b'>' {
            self.at += 1;
            return Some(None);
        }
        let start = self.at;
        self.at += 1;
        self.skip(|byte| !is_name_end(byte) && byte != b'=');
        let name = start..self.at;
        let behind_name = self.at;
        self.skip(|byte| byte.is_ascii_whitespace());
        if self.peek() != Some(b'=') {
            self.at = behind_name;
            return Some(Some((name, behind_name..behind_name)));
        }
        self.at += 1;
        self.skip(|byte| byte.is_ascii_whitespace());
        let quote = self.peek().filter(|byte| matches!(byte, b'"' | b'\''));
        if let Some(quote) = quote {
            let start = self.at + 1;
            let length = self.bytes[start..].iter().position(|byte| *byte == quote)?;
            self.at = start + length + 1;
            return Some(Some((name, start..start + length)));
        }
        let start = self.at;
        self.skip(|byte| !byte.is_ascii_whitespace() && byte != b'>');
        Some(Some((name, start..self.at)))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, while_true: impl Fn(u8) -> bool) {
        self.at += self.bytes[self.at..].iter().take_while(|byte| while_true(**byte)).count();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(source: &str, xml: bool) -> Vec<String> {
        let mut markup = Markup::new(source, xml);
        let mut parts = Vec::new();
        while let Some(token) = markup.next() {
            parts.push(match token {
                Token::Text(slice) => source[slice.range()].to_owned(),
                Token::Data(slice) => format!("={}", &source[slice.range()]),
                Token::Open(tag) => {
                    let raw = tag.element.is(super::super::elements::RAW).then(|| markup.raw(tag.element));
                    raw.map_or_else(|| format!("<{}", tag.element.name), |raw| format!("!{}", &source[raw.range()]))
                }
                Token::Close(element) => format!("/{}", element.name),
            });
        }
        parts
    }

    #[test]
    fn tags_text_and_comments_are_told_apart() {
        let table: [(&str, &[&str]); 27] = [
            ("SUV<liver; PSA <0.1</p>", &["SUV<liver; PSA <0.1", "/p"]),
            ("T<N. size<5mm</p>", &["T<N. size<5mm", "/p"]),
            ("<p>a</p>", &["<p", "a", "/p"]),
            ("a<br/>b<BR>c", &["a", "<br", "b", "<br", "c"]),
            ("<p title='a>b' class=\"c>d\">x", &["<p", "x"]),
            ("<p title=a'b>x</p>", &["<p", "x", "/p"]),
            ("<p \"x>y", &["<p", "y"]),
            ("4 < 5 <6 <", &["4 < 5 <6 <"]),
            ("a<!-- <p> -- > -->b", &["a", "b"]),
            ("a<!-->b<!--->c", &["a", "b", "c"]),
            ("a<!-- x --!>b", &["a", "b"]),
            ("a<![if !mso]>b<![endif]>c", &["a", "b", "c"]),
            ("a<!--[if mso]><p>x</p><![endif]-->b", &["a", "b"]),
            ("<!DOCTYPE html><?xml version='1.0'?>a", &["a"]),
            ("<![CDATA[4 < 5 & x]]>y", &["=4 < 5 & x", "y"]),
            ("<script>if (a</b>c) '</scripts>'</script>x", &["!if (a</b>c) '</scripts>'", "/script", "x"]),
            ("<TITLE>a</title >b", &["!a", "/title", "b"]),
            ("<style>p{}", &["!p{}"]),
            ("<plaintext>a</plaintext>", &["!a</plaintext>"]),
            ("</>a</ x>b", &["a", "b"]),
            ("a<p class=\"x>never ends", &["a<p class=\"x>never ends"]),
            ("a<b", &["a<b"]),
            ("a</div", &["a</div"]),
            ("<o:p></o:p>", &["<o:p", "/o:p"]),
            ("<a<b>c", &["<a<b", "c"]),
            ("<p/a=b/>c", &["<p", "c"]),
            ("", &[]),
        ];
        for (source, expected) in table {
            assert_eq!(parts(source, false), expected, "{source}");
        }
        assert_eq!(parts("<?x a > b ?>c<html:p>d", true), ["c", "<p", "d"]);
    }

    #[test]
    fn attributes_are_found() {
        let value = |source, name| match Markup::new(source, false).next() {
            Some(Token::Open(tag)) => attribute(&tag, name),
            _ => None,
        };
        assert_eq!(value("<p a=1 B = 'x y' c>", "b"), Some("x y"));
        assert_eq!(value("<p a=1 B=\"x'y\" c>", "c"), Some(""));
        assert_eq!(value("<p/hidden/>", "hidden"), Some(""));
        assert_eq!(value("<ol start=3>", "start"), Some("3"));
        assert_eq!(value("<p title='hidden'>", "hidden"), None);
        assert_eq!(value("<p a=>", "a"), Some(""));
    }

    #[test]
    fn what_never_ends_is_told() {
        let unended = |source| {
            let mut markup = Markup::new(source, false);
            while let Some(token) = markup.next() {
                if let Token::Open(tag) = token
                    && tag.element.is(super::super::elements::RAW)
                {
                    markup.raw(tag.element);
                }
            }
            (markup.unended, markup.unended_tags)
        };
        assert_eq!(unended("a<!-- b"), (Some(("a comment", 1)), 0));
        assert_eq!(unended("<style>b"), (Some(("style", 7)), 0));
        assert_eq!(unended("<p>a<b x='c"), (None, 1));
        assert_eq!(unended("<p>a</p><textarea>b"), (None, 0));
    }

    #[test]
    fn tags_that_never_end_cost_little() {
        for piece in ["<a ", "<a ='", "</a x", "<a b=\"", "<!x", "<!--", "<![CDATA[", "<script>"] {
            let source = piece.repeat(300_000);
            let mut markup = Markup::new(&source, false);
            while markup.next().is_some() {}
            let source = format!("{source}>");
            let mut markup = Markup::new(&source, false);
            while markup.next().is_some() {}
        }
    }

    proptest! {
        #[test]
        fn parts_are_in_order(source in "(<|>|/|div|!--|--|p|b|\"|'| |=|<!\\[CDATA\\[|\\]\\]>|é|script|</|\\?){0,60}", xml: bool) {
            let mut markup = Markup::new(&source, xml);
            let mut at = 0;
            while let Some(token) = markup.next() {
                if let Token::Text(slice) | Token::Data(slice) = token {
                    prop_assert!(slice.start >= at && source.get(slice.range()).is_some());
                    at = slice.end;
                }
            }
        }
    }
}
