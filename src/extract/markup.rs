//! A cheap look over markup before it is parsed: what it would cost, and what XML means differently from HTML.
//!
//! html5ever follows the HTML standard, whose tree construction walks the stack of open elements for many tags,
//! re-opens formatting elements in every block, and compares every attribute of a tag with all before it. Each of
//! these is quadratic on hostile input, so the input is measured first.

use std::borrow::Cow;

/// Bytes of markup: what is left of `body_bytes_max` (25 MiB) after base64 or JSON escapes, with room.
pub(super) const MARKUP_BYTES_MAX: usize = 24 << 20;

/// Elements within elements: word processors reach 60, mail clients that quote each other 200.
pub(super) const MARKUP_DEPTH_MAX: usize = 1_000;

/// Nodes of the tree, at about 200 bytes each: a 5,000-page HTML export has fewer.
pub(super) const MARKUP_NODES_MAX: usize = 1_000_000;

/// Attributes of one tag: hand-written markup has ten, frameworks thirty.
pub(super) const TAG_ATTRIBUTES_MAX: usize = 500;

/// Stack entries that parsing may visit, at about a nanosecond each.
const MARKUP_STEPS_MAX: usize = 500_000_000;

/// Elements without an end tag.
const VOID: [&str; 16] = [
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "link", "meta",
    "param", "source", "wbr",
];

/// Elements whose content is characters, never tags.
const RAW: [&str; 6] = ["script", "style", "textarea", "title", "xmp", "noframes"];

/// Elements that are re-opened in the next block when they were not closed.
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Elements that end an open paragraph.
const ENDS_PARAGRAPH: [&str; 30] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "ul",
    "details",
];

/// Elements that an end tag inside them does not reach out of.
const SCOPE: [&str; 8] = ["table", "td", "th", "caption", "button", "object", "marquee", "applet"];

/// Elements that stop the search for an inline element to close.
fn is_special(name: &str) -> bool {
    ENDS_PARAGRAPH.contains(&name) || SCOPE.contains(&name) || ["body", "tr", "tbody"].contains(&name)
}

/// The markup is over this limit, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OverLimit(pub(super) String);

/// Measures `markup`. For XML it also gives what an HTML parser reads alike: `<x/>` as `<x></x>` (HTML ignores the
/// slash, so that `<title/>` would swallow the document), and CDATA as text.
pub(super) fn prepared(markup: &str, xml: bool) -> Result<Cow<'_, str>, OverLimit> {
    if markup.len() > MARKUP_BYTES_MAX {
        let mib = MARKUP_BYTES_MAX >> 20;
        return Err(OverLimit(format!("{} bytes of markup, more than {mib} MiB", markup.len())));
    }
    let mut rewritten = String::new();
    let mut copied = 0;
    let mut cost = Cost::default();
    let mut at = 0;
    while let Some(found) = markup[at..].find('<') {
        let start = at + found;
        let token = Token::at(markup, start);
        at = token.end;
        cost.count(&token)?;
        if xml && let Some(as_html) = token.as_html(markup, start) {
            rewritten.push_str(&markup[copied..start]);
            rewritten.push_str(&as_html);
            copied = token.end;
        }
        // After a rewritten `<script/>` there is no raw text to skip.
        let empty = xml && token.self_closing;
        if !empty
            && token.opens
            && let Some(name) = RAW.iter().find(|name| **name == token.name)
        {
            at = raw_end(markup, at, name);
            cost.close(name);
        }
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(markup));
    }
    rewritten.push_str(&markup[copied..]);
    Ok(Cow::Owned(rewritten))
}

/// Where the content of a raw element ends.
fn raw_end(markup: &str, from: usize, name: &str) -> usize {
    let rest = &markup.as_bytes()[from..];
    rest.windows(name.len() + 2)
        .position(|window| window.starts_with(b"</") && window[2..].eq_ignore_ascii_case(name.as_bytes()))
        .map_or(markup.len(), |found| from + found)
}

/// A tag, comment, declaration or stray `<`.
struct Token {
    name: String,
    opens: bool,
    closes: bool,
    self_closing: bool,
    attributes: usize,
    /// One past its last byte.
    end: usize,
}

impl Token {
    fn at(markup: &str, start: usize) -> Self {
        let rest = &markup[start..];
        let until = |mark: &str| rest.find(mark).map_or(markup.len(), |found| start + found + mark.len());
        let other =
            |end| Self { name: String::new(), opens: false, closes: false, self_closing: false, attributes: 0, end };
        if rest.starts_with("<!--") {
            return other(until("-->"));
        }
        if rest.starts_with("<![CDATA[") {
            return other(until("]]>"));
        }
        if rest.starts_with("<!") || rest.starts_with("<?") {
            return other(until(">"));
        }
        let closes = rest.starts_with("</");
        let name_start = if closes { 2 } else { 1 };
        if !rest[name_start..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            return other(start + 1);
        }
        let name_end = rest[name_start..]
            .find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/')
            .map_or(rest.len(), |found| name_start + found);
        let (attributes, length) = tag_length(&rest.as_bytes()[name_end..]);
        let end = start + name_end + length;
        Self {
            name: rest[name_start..name_end].to_ascii_lowercase(),
            opens: !closes,
            closes,
            self_closing: markup[start..end].ends_with("/>"),
            attributes,
            end,
        }
    }

    /// The same in HTML, if HTML reads this XML differently.
    fn as_html(&self, markup: &str, start: usize) -> Option<String> {
        let source = &markup[start..self.end];
        if let Some(data) = source.strip_prefix("<![CDATA[") {
            let data = data.strip_suffix("]]>").unwrap_or(data);
            return Some(data.replace('&', "&amp;").replace('<', "&lt;"));
        }
        let rewrite = self.opens && self.self_closing && !VOID.contains(&self.name.as_str());
        rewrite.then(|| format!("{}></{}>", &source[..source.len() - 2], self.name))
    }
}

/// Attributes and bytes of a tag after its name, its `>` included.
fn tag_length(rest: &[u8]) -> (usize, usize) {
    let mut attributes = 0;
    let mut quote = None;
    let mut blank = false;
    for (at, byte) in rest.iter().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'>') => return (attributes, at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, _) => {
                attributes += usize::from(blank && !byte.is_ascii_whitespace());
                blank = byte.is_ascii_whitespace() || *byte == b'/';
            }
        }
    }
    (attributes, rest.len())
}

/// What parsing would cost, by a rough copy of the parser's stack.
#[derive(Default)]
struct Cost {
    open: Vec<String>,
    formatting: usize,
    nodes: usize,
    steps: usize,
}

impl Cost {
    fn count(&mut self, token: &Token) -> Result<(), OverLimit> {
        if token.opens {
            self.open(&token.name);
        } else if token.closes {
            self.close(&token.name);
        }
        self.nodes += 2;
        self.steps += self.open.len() + self.formatting;
        if token.attributes > TAG_ATTRIBUTES_MAX {
            return Err(OverLimit(format!(
                "{} attributes in one tag, more than {TAG_ATTRIBUTES_MAX}",
                token.attributes
            )));
        }
        if self.open.len() > MARKUP_DEPTH_MAX {
            return Err(OverLimit(format!("elements nested more than {MARKUP_DEPTH_MAX} deep")));
        }
        if self.nodes > MARKUP_NODES_MAX || self.steps > MARKUP_STEPS_MAX {
            return Err(OverLimit(format!("more than {MARKUP_NODES_MAX} elements, or as much work by their nesting")));
        }
        Ok(())
    }

    fn open(&mut self, name: &str) {
        if ENDS_PARAGRAPH.contains(&name) {
            self.pop(&["p"], &SCOPE);
            self.nodes += self.formatting;
        }
        match name {
            "li" => self.pop(&["li"], &["ul", "ol", "table"]),
            "dd" | "dt" => self.pop(&["dd", "dt"], &["dl", "table"]),
            "td" | "th" => self.pop(&["td", "th"], &["table"]),
            "tr" | "tbody" | "thead" | "tfoot" => self.pop(&["tr"], &["table"]),
            "option" => self.pop(&["option"], &["select"]),
            _ => {}
        }
        if !VOID.contains(&name) {
            self.formatting += usize::from(FORMATTING.contains(&name));
            self.open.push(name.to_owned());
        }
    }

    fn close(&mut self, name: &str) {
        if FORMATTING.contains(&name) {
            self.formatting = self.formatting.saturating_sub(1);
            if let Some(at) = self.open.iter().rposition(|open| open == name) {
                self.open.remove(at);
            }
        } else if is_special(name) {
            self.pop(&[name], if name == "p" { &SCOPE } else { &["table"] });
        } else if let Some(at) = self.open.iter().rposition(|open| open == name || is_special(open))
            && self.open[at] == name
        {
            self.open.truncate(at);
        }
    }

    /// Closes the innermost of `names`, unless one of `stops` is further in.
    fn pop(&mut self, names: &[&str], stops: &[&str]) {
        for at in (0..self.open.len()).rev() {
            let open = self.open[at].as_str();
            if names.contains(&open) {
                self.open.truncate(at);
                return;
            }
            if stops.contains(&open) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn over(markup: &str) -> bool {
        prepared(markup, false).is_err()
    }

    #[test]
    fn deep_nesting_is_refused_and_sloppy_markup_is_not() {
        assert!(over(&"<div>".repeat(MARKUP_DEPTH_MAX + 1)));
        assert!(over(&"<span><p></span></p>".repeat(MARKUP_DEPTH_MAX + 1)));
        assert!(!over(&"<p>never closed".repeat(10 * MARKUP_DEPTH_MAX)));
        assert!(!over(&format!("<ul>{}</ul>", "<li>never closed".repeat(10 * MARKUP_DEPTH_MAX))));
        assert!(!over(&format!("<table>{}", "<tr><td>a<td>b".repeat(10 * MARKUP_DEPTH_MAX))));
        assert!(!over(&"<div><b>x</b><br></div>".repeat(10 * MARKUP_DEPTH_MAX)));
        assert!(!over("<script>if (a<b) '<div>'</script>"));
    }

    #[test]
    fn many_attributes_and_many_open_formatting_elements_are_refused() {
        let attributes = (0..=TAG_ATTRIBUTES_MAX).map(|n| format!(" a{n}=1")).collect::<Vec<_>>().concat();
        assert!(over(&format!("<p{attributes}>x")));
        let formatting = (0..900).map(|n| format!("<b id={n}>")).collect::<Vec<_>>().concat();
        assert!(over(&format!("<p>{formatting}{}", "<p>x".repeat(2_000))));
    }

    #[test]
    fn xml_is_rewritten_where_html_would_read_it_differently() {
        let table = [
            ("<head><title/></head><p>x</p>", "<head><title></title></head><p>x</p>"),
            ("a<br/>b", "a<br/>b"),
            ("<p><![CDATA[4 < 5 & x]]></p>", "<p>4 &lt; 5 &amp; x</p>"),
            ("<a name=\"x/>\" />y", "<a name=\"x/>\" ></a>y"),
        ];
        for (xml, html) in table {
            assert_eq!(prepared(xml, true).as_deref(), Ok(html));
        }
        assert_eq!(prepared("<title/>x", false).as_deref(), Ok("<title/>x"));
    }

    proptest! {
        #[test]
        fn no_markup_makes_the_look_panic(markup in "(<|>|/|div|!--|p|b|\"| |=|<!\\[CDATA\\[|\\]\\]>|é|script|</){0,60}") {
            let _ = prepared(&markup, true);
            let _ = prepared(&markup, false);
        }
    }
}
