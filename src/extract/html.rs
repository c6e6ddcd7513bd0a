//! HTML and XHTML: the text as a person reads it, line by line.

use scraper::{Html, Node};

use super::charset;
use super::markup;
use super::plain;
use super::rendition::{Marked, Reading, Refusal, not_decodable};
use crate::domain::narrative::UnreadReason;

/// Bytes in which a document must name its charset (WHATWG HTML, "prescan a byte stream": 1,024).
const CHARSET_PRESCAN_BYTES_MAX: usize = 1024;

/// Between the cells of a table row.
const CELL_SEPARATOR: &str = " | ";

/// Elements that are never text to a reader.
const LEFT_OUT: [&str; 7] = ["head", "script", "style", "template", "noscript", "noframes", "title"];

/// Elements that stand apart from what is around them.
const APART: [&str; 25] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "details",
    "dl",
    "fieldset",
    "figure",
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
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
];

/// Elements that begin and end a line.
const LINE: [&str; 14] = [
    "body",
    "caption",
    "dd",
    "div",
    "dt",
    "figcaption",
    "html",
    "legend",
    "li",
    "option",
    "summary",
    "tbody",
    "thead",
    "tr",
];

/// Reads HTML, or (`xml`) HTML written as XML. Charset by `content_type_charset`, else as the markup says.
pub(super) fn read(bytes: &[u8], content_type_charset: Option<&str>, xml: bool) -> Result<Reading, Refusal> {
    let named = named_charset(bytes);
    let declared = content_type_charset
        .map(|label| (label, "the content type"))
        .or(named.as_deref().map(|label| (label, "the markup")));
    let decoded = charset::decode(bytes, declared).map_err(|fault| not_decodable(&fault))?;
    let markup = markup::prepared(&decoded.text, xml)
        .map_err(|over| Refusal::new(UnreadReason::TooLarge, format!("It holds {}.", over.0)))?;
    let mut writer = Writer::default();
    walk(&Html::parse_document(&markup), &mut writer);
    let mut reading = writer.finish();
    reading.notes.splice(0..0, decoded.notes);
    Ok(reading)
}

/// The charset in `<meta charset>`, `<meta http-equiv>` or the XML declaration.
fn named_charset(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(CHARSET_PRESCAN_BYTES_MAX)];
    let head: String = head.iter().map(|byte| char::from(*byte).to_ascii_lowercase()).collect();
    let declaration = head.strip_prefix("<?xml").and_then(|rest| rest.split("?>").next()).unwrap_or_default();
    let value = declaration.split_once("encoding=").or_else(|| {
        let (_, meta) = head.split_once("<meta")?;
        meta.split_once("charset=")
    });
    let value = value?.1.trim_start_matches(['"', '\'', ' ']);
    let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c)).unwrap_or(value.len());
    let label = &value[..end];
    // Whoever could read this as ASCII knows that it is not UTF-16.
    (!label.is_empty() && !label.starts_with("utf-16")).then(|| label.to_owned())
}

/// Visits the tree in document order, without recursion: its depth is the sender's choice.
fn walk(document: &Html, writer: &mut Writer) {
    let mut node = document.tree.root();
    loop {
        if writer.open(node.value()) {
            if let Some(child) = node.first_child() {
                node = child;
                continue;
            }
            writer.close(node.value());
        }
        loop {
            if let Some(next) = node.next_sibling() {
                node = next;
                break;
            }
            let Some(parent) = node.parent() else { return };
            writer.close(parent.value());
            node = parent;
        }
    }
}

/// What separates two pieces of text; the larger one wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Cells(usize),
    Line,
    Blank,
}

/// A growing text and the gap before its next word.
#[derive(Default)]
struct Flow {
    text: String,
    gap: Gap,
}

impl Flow {
    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// Writes the gap that is due.
    fn settle(&mut self) {
        if !self.text.is_empty() {
            match self.gap {
                Gap::None => {}
                Gap::Space => self.text.push(' '),
                Gap::Cells(count) => (0..count).for_each(|_| self.text.push_str(CELL_SEPARATOR)),
                Gap::Line => self.text.push('\n'),
                Gap::Blank => self.text.push_str("\n\n"),
            }
        }
        self.gap = Gap::None;
    }
}

/// Turns opened and closed nodes into text.
#[derive(Default)]
struct Writer {
    visible: Flow,
    hidden: Flow,
    /// Elements that hide, and are open.
    hiding: usize,
    /// `pre` elements that are open.
    verbatim: usize,
    /// Lists that are open; ordered ones with the number of their next item.
    lists: Vec<Option<i64>>,
    /// The marker of a list item of which nothing is written yet.
    marker: Option<String>,
    /// Table rows that are open: whether something of it is written.
    rows: Vec<bool>,
    /// True within a cell of which nothing is written yet.
    cell_starts: bool,
    /// True within a heading.
    in_heading: bool,
    /// Where the text of that heading begins.
    heading: Option<usize>,
    headings: Vec<Marked>,
    struck: usize,
    struck_text: bool,
}

impl Writer {
    /// Takes in a node; false if its children are not to be visited.
    fn open(&mut self, node: &Node) -> bool {
        match node {
            Node::Text(text) => self.write(text),
            Node::Element(element) => {
                let name = element.name();
                if LEFT_OUT.contains(&name) {
                    return false;
                }
                if hides(element) {
                    self.hiding += 1;
                    self.hidden.widen(Gap::Line);
                }
                self.open_element(name, element);
            }
            Node::Comment(_) | Node::Doctype(_) | Node::ProcessingInstruction(_) => return false,
            Node::Document | Node::Fragment => {}
        }
        true
    }

    fn open_element(&mut self, name: &str, element: &scraper::node::Element) {
        self.surround(name);
        match name {
            "br" if self.flow().gap == Gap::Line => self.part(Gap::Blank),
            "br" => self.part(Gap::Line),
            "pre" => self.verbatim += 1,
            "ul" | "menu" | "dir" => self.lists.push(None),
            "ol" => self.lists.push(Some(element.attr("start").and_then(|n| n.trim().parse().ok()).unwrap_or(1))),
            "li" => self.marker = Some(self.next_marker(element.attr("value"))),
            "tr" => self.rows.push(false),
            "td" | "th" => self.open_cell(),
            "del" | "s" | "strike" => self.struck += 1,
            _ if is_heading(name) => (self.in_heading, self.heading) = (true, None),
            _ => {}
        }
    }

    fn close(&mut self, node: &Node) {
        let Node::Element(element) = node else { return };
        let name = element.name();
        self.surround(name);
        match name {
            "pre" => self.verbatim -= 1,
            "ul" | "menu" | "dir" | "ol" => drop(self.lists.pop()),
            "li" => self.marker = None,
            "td" | "th" => self.cell_starts = false,
            "tr" => self.close_row(),
            "del" | "s" | "strike" => self.struck -= 1,
            _ if is_heading(name) => {
                self.in_heading = false;
                if let Some(start) = self.heading.take() {
                    self.headings.push(Marked { range: start..self.visible.text.len(), kind: None });
                }
            }
            _ => {}
        }
        if hides(element) {
            self.hiding -= 1;
        }
    }

    fn flow(&mut self) -> &mut Flow {
        if self.hiding > 0 { &mut self.hidden } else { &mut self.visible }
    }

    /// Widens the gap, unless a cell begins here: the block at its start does not push it to another line.
    fn part(&mut self, gap: Gap) {
        if !self.cell_starts {
            self.flow().widen(gap);
        }
    }

    /// The gap before and after an element.
    fn surround(&mut self, name: &str) {
        let nested = !self.lists.is_empty() || !self.rows.is_empty();
        if APART.contains(&name) || matches!(name, "ul" | "table" | "menu" | "dir") {
            self.part(if nested { Gap::Line } else { Gap::Blank });
        } else if LINE.contains(&name) {
            self.part(Gap::Line);
        }
    }

    fn next_marker(&mut self, value: Option<&str>) -> String {
        match self.lists.last_mut() {
            Some(Some(next)) => {
                let number = value.and_then(|n| n.trim().parse().ok()).unwrap_or(*next);
                *next = number.saturating_add(1);
                format!("{number}. ")
            }
            _ => "- ".to_owned(),
        }
    }

    fn open_cell(&mut self) {
        let wrote = self.rows.last().copied().unwrap_or(false);
        if wrote {
            let flow = self.flow();
            flow.gap = if let Gap::Cells(count) = flow.gap { Gap::Cells(count + 1) } else { Gap::Cells(1) };
        }
        self.cell_starts = true;
    }

    fn close_row(&mut self) {
        self.cell_starts = false;
        let wrote = self.rows.pop().unwrap_or(false);
        if let Some(outer) = self.rows.last_mut() {
            *outer |= wrote;
        }
        let flow = self.flow();
        if matches!(flow.gap, Gap::Cells(_)) {
            flow.gap = Gap::Line;
        }
        self.part(Gap::Line);
    }

    fn write(&mut self, text: &str) {
        if self.verbatim > 0 {
            for (index, line) in text.split('\n').enumerate() {
                if index > 0 {
                    self.break_line();
                }
                self.write_verbatim(line);
            }
            return;
        }
        let blank = |c: char| c.is_whitespace() || c == '\u{a0}';
        let mut words = text.split(blank).filter(|word| !word.is_empty());
        let Some(first) = words.next() else {
            if !text.is_empty() {
                self.flow().widen(Gap::Space);
            }
            return;
        };
        if text.starts_with(blank) {
            self.flow().widen(Gap::Space);
        }
        self.write_word(first);
        for word in words {
            self.flow().widen(Gap::Space);
            self.write_word(word);
        }
        if text.ends_with(blank) {
            self.flow().widen(Gap::Space);
        }
    }

    /// A line end within `pre`.
    fn break_line(&mut self) {
        let gap = if self.flow().gap >= Gap::Line { Gap::Blank } else { Gap::Line };
        self.flow().widen(gap);
    }

    fn write_verbatim(&mut self, line: &str) {
        let line = line.trim_end();
        if !line.is_empty() {
            self.write_word(line);
        }
    }

    fn write_word(&mut self, word: &str) {
        let marker = self.marker.take();
        if let Some(row) = self.rows.last_mut() {
            *row = true;
        }
        self.cell_starts = false;
        self.struck_text |= self.struck > 0;
        let hiding = self.hiding > 0;
        let flow = self.flow();
        flow.settle();
        flow.text.push_str(marker.as_deref().unwrap_or_default());
        let start = flow.text.len();
        flow.text.extend(word.chars().filter_map(plain::visible));
        if !hiding && self.in_heading {
            self.heading.get_or_insert(start);
        }
    }

    fn finish(self) -> Reading {
        let mut notes = Vec::new();
        if !self.hidden.text.is_empty() {
            let characters = self.hidden.text.chars().count();
            notes.push(format!("{characters} characters that the markup hides are kept apart"));
        }
        if self.struck_text {
            notes.push("text that is struck through is among the text".to_owned());
        }
        Reading {
            body: self.visible.text,
            headings: self.headings,
            hidden: self.hidden.text,
            notes,
            ..Reading::default()
        }
    }
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// Whether the element hides its content from a reader. `aria-hidden` does not: it is seen.
fn hides(element: &scraper::node::Element) -> bool {
    let styled = element.attr("style").is_some_and(|style| {
        let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        style.split(';').any(|rule| {
            let rule = rule.trim_end_matches("!important");
            matches!(rule, "display:none" | "visibility:hidden" | "visibility:collapse" | "mso-hide:all")
        })
    });
    styled || element.attr("hidden").is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(markup: &str) -> String {
        read(markup.as_bytes(), None, false).expect("readable").body
    }

    #[test]
    fn blocks_become_lines_and_spaces_collapse() {
        let table = [
            ("<p>One\n   two</p><p>three</p>", "One two\n\nthree"),
            ("<div>a</div><div>b<br>c<br><br>d</div>", "a\nb\nc\n\nd"),
            ("x <b>y</b><i>z</i> , &lt;5&nbsp;mm &amp; &ge;3 &#8211; &eacute;", "x yz , <5 mm & ≥3 – é"),
            ("<h2>Impression</h2><p>Stable.</p>", "Impression\n\nStable."),
            ("<pre>a\n  b  c\n\nd</pre>", "a\n  b  c\n\nd"),
            ("<ul><li>a</li><li>b<ul><li>c</ul></li></ul>", "- a\n- b\n- c"),
            ("<ol start=3><li>a<li value=7>b<li>c</ol>", "3. a\n7. b\n8. c"),
            ("no tags at all", "no tags at all"),
            ("<!-- c --><script>x()</script><style>p{}</style><p>a</p>", "a"),
            ("<head><title>T</title></head><body>a</body>", "a"),
        ];
        for (markup, expected) in table {
            assert_eq!(body(markup), expected, "{markup}");
        }
    }

    #[test]
    fn tables_are_read_row_by_row() {
        let table = [
            ("<table><tr><th>Lesion<th>Now<tr><td>Liver<td>12 mm</table>", "Lesion | Now\nLiver | 12 mm"),
            ("<table><tr><td><p>a</p></td><td><p>b</p></td></tr></table>c", "a | b\n\nc"),
            (
                "<table><tr><td>a</td><td></td><td>b</td><td></td></tr><tr><td></td><td>c</td></tr></table>",
                "a |  | b\nc",
            ),
            ("<table><tr><td>a</td><td><table><tr><td>b</td><td>c</td></tr></table></td></tr></table>", "a | b | c"),
        ];
        for (markup, expected) in table {
            assert_eq!(body(markup), expected, "{markup}");
        }
    }

    #[test]
    fn hidden_text_is_kept_apart() {
        let markup = "<p>Seen<span style='Display : none !important'>one</span>.</p><p hidden>two</p>\
                      <p aria-hidden='true'>also seen</p><div style=\"visibility:hidden\">three</div>";
        let reading = read(markup.as_bytes(), None, false).expect("readable");
        assert_eq!(reading.body, "Seen.\n\nalso seen");
        assert_eq!(reading.hidden, "one\n\ntwo\n\nthree");
        assert_eq!(reading.notes.len(), 1);
    }

    #[test]
    fn headings_are_known_by_their_place() {
        let reading = read(b"<p>x</p><h3>Tumour <b>board</b></h3><p>y</p>", None, false).expect("readable");
        let titles: Vec<&str> = reading.headings.iter().map(|marked| &reading.body[marked.range.clone()]).collect();
        assert_eq!(titles, ["Tumour board"]);
    }

    #[test]
    fn the_charset_may_be_in_the_content_type_the_markup_or_nowhere() {
        let text = |bytes: &[u8], charset| read(bytes, charset, false).expect("readable").body;
        assert_eq!(text(b"<p>\xe9</p>", Some("iso-8859-1")), "é");
        assert_eq!(text(b"<meta charset=iso-8859-1><p>\xe9</p>", None), "é");
        assert_eq!(text(b"<meta http-equiv=x content='text/html; charset=windows-1252'>\x96", None), "–");
        assert_eq!(text(b"<?xml version='1.0' encoding='ISO-8859-1'?><p>\xe9</p>", None), "é");
        assert_eq!(text("<p>é</p>".as_bytes(), None), "é");
        assert_eq!(text(b"\xff\xfe<\0p\0>\0\xe9\0", None), "é");
    }

    #[test]
    fn xhtml_with_empty_elements_loses_nothing() {
        let markup = "<html xmlns='http://www.w3.org/1999/xhtml'><head><title/></head><body><a name='x'/>\
                      <script src='x'/><p>Stable<![CDATA[ & <5 mm]]></p></body></html>";
        assert_eq!(read(markup.as_bytes(), None, true).expect("readable").body, "Stable & <5 mm");
    }

    #[test]
    fn hostile_nesting_is_refused_by_name() {
        let refusal = read("<div>".repeat(100_000).as_bytes(), None, false).expect_err("too deep");
        assert_eq!(refusal.reason, UnreadReason::TooLarge);
    }

    proptest! {
        #[test]
        fn arbitrary_markup_never_panics(
            markup in "(<p>|</p>|<table>|<td>|<tr>|</td>|<li>|<ul>|</ul>|<ol>|<pre>|</pre>|<h1>|</h1>|<span hidden>\
                        |</span>|<del>|<br>|<svg>|<select>|<frameset>|<template>| |\n|a|&amp;|&#0;|<!--|-->|<b>|</b>){0,50}"
        ) {
            let _ = read(markup.as_bytes(), None, false);
            let _ = read(markup.as_bytes(), None, true);
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = read(text.as_bytes(), None, false);
        }
    }
}
