//! HTML and XHTML: the text as a person reads it, line by line, and where it stands in the markup.

use super::charset;
use super::elements::{RAW, VERBATIM};
use super::flow::Writer;
use super::markup::{MARKUP_BYTES_MAX, Markup, Token};
use super::rendition::{NARRATIVE_CHARACTERS_MAX, Reading, Refusal, not_decodable, too_long};
use super::tree::{OverLimit, Tree};
use crate::domain::narrative::UnreadReason;

/// Bytes in which a document must name its charset (WHATWG HTML, "prescan a byte stream": 1,024).
const CHARSET_PRESCAN_BYTES_MAX: usize = 1024;

/// Bytes of text that hold more characters than a narrative may, whatever they are: what follows is not read.
const TEXT_BYTES_MAX: usize = NARRATIVE_CHARACTERS_MAX * 4;

/// Reads HTML, or (`xml`) HTML written as XML. Charset by `content_type_charset`, else as the markup says.
pub(super) fn read(bytes: &[u8], content_type_charset: Option<&str>, xml: bool) -> Result<Reading, Refusal> {
    let named = named_charset(bytes);
    let declared = content_type_charset
        .map(|label| (label, "the content type"))
        .or(named.as_deref().map(|label| (label, "the markup")));
    let decoded = charset::decode(bytes, declared).map_err(|fault| not_decodable(&fault))?;
    let mut reading = read_markup(&decoded.text, xml)?;
    reading.notes.splice(0..0, decoded.notes);
    Ok(reading)
}

/// Reads markup whose characters are known.
pub(super) fn read_markup(source: &str, xml: bool) -> Result<Reading, Refusal> {
    let over = |what: String| Refusal::new(UnreadReason::TooLarge, format!("It holds {what}."));
    if source.len() > MARKUP_BYTES_MAX {
        let mib = MARKUP_BYTES_MAX >> 20;
        return Err(over(format!("{} bytes of markup, more than {mib} MiB", source.len())));
    }
    let mut markup = Markup::new(source, xml);
    let mut tree = Tree::new(source, xml);
    while let Some(token) = markup.next() {
        take(token, &mut markup, &mut tree, xml).map_err(|limit| over(limit.0))?;
        if tree.writer.visible.text.len() + tree.writer.hidden.text.len() > TEXT_BYTES_MAX {
            return Err(too_long(NARRATIVE_CHARACTERS_MAX + 1));
        }
    }
    let mut reading = reading_of(tree.finish());
    if markup.unended_tags > 0 {
        reading.notes.push(format!("{} tags never end, and are read as text", markup.unended_tags));
    }
    if let Some((what, from)) = markup.unended
        && source[from..].contains(char::is_alphanumeric)
    {
        let place = format!("from character {} of the markup", source[..from].chars().count());
        let detail = format!("{} begins there that never ends: a browser shows nothing of it.", element_phrase(what));
        reading.unread.push((place, Refusal::new(UnreadReason::Malformed, detail)));
    }
    Ok(reading)
}

/// "A comment", "An element `style`".
fn element_phrase(what: &str) -> String {
    match what.strip_prefix("a ") {
        Some(what) => format!("A {what}"),
        None => format!("An element `{what}`"),
    }
}

fn take<'t>(token: Token<'t>, markup: &mut Markup<'t>, tree: &mut Tree<'t>, xml: bool) -> Result<(), OverLimit> {
    match token {
        Token::Text(slice) => tree.writer.text(slice.range()),
        Token::Data(slice) => tree.writer.data(slice.range()),
        Token::Close(element) => tree.close(element)?,
        Token::Open(tag) => {
            let drawing = tree.in_drawing();
            tree.open(&tag)?;
            let raw = tag.element.is(RAW) && !drawing && !(xml && tag.self_closing);
            if tag.element.is(VERBATIM) && !tag.self_closing {
                markup.pass_line_end();
            }
            if raw {
                // Scripts and styles hold no references, and are not read.
                let content = markup.raw(tag.element);
                tree.writer.text(content.range());
            }
        }
    }
    Ok(())
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

fn reading_of(writer: Writer<'_>) -> Reading {
    let mut notes = Vec::new();
    if !writer.hidden.text.is_empty() {
        let characters = writer.hidden.text.chars().count();
        notes.push(format!("{characters} characters that the markup hides are kept apart"));
    }
    if writer.struck_text {
        notes.push("text that is struck through is among the text".to_owned());
    }
    Reading {
        body: writer.visible.text,
        map: writer.visible.map,
        headings: writer.headings,
        hidden: writer.hidden.text,
        hidden_map: writer.hidden.map,
        notes,
        ..Reading::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::plain;
    use super::*;
    use crate::domain::source_map::{Place, SourceMap};

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

    #[test]
    fn markup_that_nobody_tidied_is_read_as_a_browser_shows_it() {
        let table = [
            ("<p>a<p>b<div>c", "a\n\nb\n\nc"),
            ("<ul><li>a<li>b<ul><li>c</ul>d</ul>e", "- a\n- b\n- c\nd\ne"),
            ("<b>a<i>b</b>c</i>d", "abcd"),
            ("a<!-- x --!>b<!-->c", "abc"),
            ("a<br/>b</br>c", "a\nb\nc"),
            ("a&amp b&ltc&copy2024 R&D &notit; &unknown;", "a& b<c©2024 R&D ¬it; &unknown;"),
            ("5&#150;6 &#x2265; &#146;s &#0;", "5–6 ≥ ’s \u{fffd}"),
            ("<![if !mso]>a<![endif]><!--[if mso]>x<![endif]-->b", "ab"),
            ("<p class=MsoNormal>a<o:p></o:p></p><p>b<o:p>&nbsp;</o:p></p>", "a\n\nb"),
            ("<template>x</template><noscript>x</noscript><iframe>x</iframe>b", "b"),
            ("<svg><title>t</title><text>a</text></svg> <math><mi>x</mi><mo>=</mo><mn>5</mn></math>b", "a x=5b"),
            ("<svg><g><p>a</p>b", "a\n\nb"),
            ("<textarea>a\n b</textarea>c", "a\n b\nc"),
            ("<body><title>x</title>b", "b"),
            ("a<plaintext>b<p>c", "a\n\nb<p>c"),
            ("<p title=\"a>b\">c", "c"),
            ("<table>x<tr><td>a</td></tr>y</table>z", "x\na\ny\n\nz"),
            ("<table><caption>c<tr><td>a<td>b<tbody><tr><th>d</table>", "c\na | b\nd"),
            ("<table><tr><td>a<table><tr><td>b<td>c</table>d<td>e</table>f", "a\nb | c\nd | e\n\nf"),
            ("<td>a</td><td>b</td><tr><td>c", "a b\nc"),
            ("<dl><dt>a<dd>b<dt>c<dd>d</dl>", "a\nb\nc\nd"),
            ("<form><table><tr></form><td>a</table>b", "a\n\nb"),
            ("<pre>\na <b>b</b>  c\n\td</pre>", "a b  c\n\td"),
            ("<div style='white-space:pre-wrap'>a\n  b <span>c</span>\n</div>d", "a\n  b c\nd"),
            ("<span style='display:block'>a</span>b", "a\nb"),
            ("a<![CDATA[ 4 < 5 ]]>b", "a 4 < 5 b"),
            ("<p>Nodule <a bit larger", "Nodule <a bit larger"),
            ("<p class=\"x>a b</p>", "<p class=\"x>a b"),
            (
                "Response: <input type=radio checked>CR<input type=radio>PR <input value='12 mm'>",
                "Response: [x] CR [ ] PR 12 mm",
            ),
            ("<select><option>CR<option selected>PR</select>", "PR"),
            ("x<wbr>y&shy;z\u{200b}", "xyz"),
            ("a<html><head></head><body>b</body></html>c", "a\nbc"),
        ];
        for (markup, expected) in table {
            assert_eq!(body(markup), expected, "{markup}");
        }
    }

    #[test]
    fn hidden_text_is_known_although_its_elements_are_closed_crosswise() {
        let table = [
            ("<p><font style='display:none'>a</p><p>b</font>c", "c", "a\n\nb"),
            ("<span hidden>a<p>b</span>c</p>d", "", "a\n\nbc\n\nd"),
            ("<div><span hidden>a</div>b", "b", "a"),
            ("<i hidden>a<table><tr><td>b</i>c</table>d</i>e", "e", "a\n\nbc\n\nd"),
            ("<p><i hidden>a</p><table><tr><td>b</table>c", "b", "a\n\nc"),
            ("<table><tr hidden><td>a<tr><td>b<td hidden>c</table>", "b", "a | c"),
            ("<b><span hidden>a</b>b", "b", "a"),
            ("<select><option>a<option selected>b</select>", "b", "a"),
            ("<ol><li>a<li hidden>x<li>b</ol>", "1. a\n3. b", "2. x"),
        ];
        for (markup, visible, hidden) in table {
            let reading = read(markup.as_bytes(), None, false).expect("readable");
            assert_eq!((reading.body.as_str(), reading.hidden.as_str()), (visible, hidden), "{markup}");
        }
    }

    #[test]
    fn what_a_browser_would_swallow_is_told() {
        let reading = read(b"<p>Stable.</p><!-- <p>No new lesion.</p>", None, false).expect("readable");
        assert_eq!(reading.unread[0].0, "from character 14 of the markup");
        assert_eq!(
            reading.unread[0].1.detail,
            "A comment begins there that never ends: a browser shows nothing of it."
        );
        let reading = read(b"<p>Stable.</p><style>p{}", None, false).expect("readable");
        assert_eq!(reading.unread[0].1.reason, UnreadReason::Malformed);
        let reading = read(b"<p>Stable <b and so on", None, false).expect("readable");
        assert_eq!(reading.notes, ["1 tags never end, and are read as text"]);
        assert!(read(b"<p>Stable.</p></html><!--", None, false).expect("readable").unread.is_empty());
    }

    #[test]
    fn a_place_is_where_the_markup_has_it() {
        let markup = "<p title='é'>Naïve&nbsp;T&shy;cells &ge;&#160;5\n  <b>mm</b> R&amp;D</p>";
        let reading = read(markup.as_bytes(), None, false).expect("readable");
        assert_eq!(reading.body, "Naïve Tcells ≥ 5 mm R&D");
        let source = |part: &str| {
            let start = reading.body.find(part).expect("in the body");
            match reading.map.locate(&reading.body, &(start..start + part.len())) {
                Some(Place::Characters(place)) => {
                    markup.chars().skip(place.start).take(place.len()).collect::<String>()
                }
                other => panic!("{part}: {other:?}"),
            }
        };
        for (part, expected) in [
            ("Naïve", "Naïve"),
            ("aïv", "aïv"),
            ("Tcells", "T&shy;cells"),
            ("≥", "&ge;"),
            ("≥ 5", "&ge;&#160;5"),
            ("5 mm", "5\n  <b>mm"),
            ("&D", "&amp;D"),
        ] {
            assert_eq!(source(part), expected);
        }
    }

    #[test]
    fn each_line_of_a_heading_is_one() {
        let reading = read(b"<h2>Tumour board<br>Impression</h2>x", None, false).expect("readable");
        let titles: Vec<&str> = reading.headings.iter().map(|marked| &reading.body[marked.range.clone()]).collect();
        assert_eq!(titles, ["Tumour board", "Impression"]);
    }

    #[test]
    fn hostile_markup_ends_soon() {
        let once = "<div><span><b><i><table><tr><td><ul><li><p>";
        for piece in [
            "<b>",
            "<p><b>x",
            "<b><p>",
            "<table>",
            "<a><p>",
            "</x>",
            "<x>",
            "<b id=1><i><p></b>",
            "&amp",
            "<td>",
            "<svg>",
            "<li>",
        ] {
            let markup = format!("{once}{}", piece.repeat(200_000));
            let _ = read(markup.as_bytes(), None, false);
        }
        let formatting = (0..100_000).fold(String::new(), |markup, n| markup + &format!("<p><b id={n}>x"));
        assert!(read(formatting.as_bytes(), None, false).is_err());
        let deep = format!("{}{}", "<x>".repeat(4_000), "</y>".repeat(1_000_000));
        assert!(read(deep.as_bytes(), None, false).is_err());
    }

    /// Checks that each letter of a text stands where the map says.
    fn check_places(source: &str, body: &str, map: &SourceMap) -> Result<(), TestCaseError> {
        let source: Vec<char> = source.chars().collect();
        let mut last = 0;
        for (at, character) in body.char_indices() {
            match map.locate(body, &(at..at + character.len_utf8())) {
                Some(Place::Characters(place)) => {
                    let written: String = source[place.clone()].iter().collect();
                    prop_assert!(
                        written == character.to_string()
                            || written.starts_with('&')
                            || plain::visible(source[place.start]) == Some(character),
                        "{} is {}",
                        written,
                        character
                    );
                    prop_assert!(place.start >= last);
                    last = place.start;
                }
                // What the reader adds: gaps, list markers, cell separators, signs of form fields.
                _ => prop_assert!(character.is_whitespace() || "-|.[x]0123456789".contains(character), "{character}"),
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_word_has_a_place(
            markup in "(<p>|</p>|<table>|<td>|<tr>|</td>|</table>|<li>|<ul>|<ol>|<pre>|</pre>|<h1>|<span hidden>|</span>|<br>|<b hidden>|</b>                        | |\n|\u{a0}|a|bc|é|患|\u{ad}|&amp;|&ge|&nbsp;|&NotEqualTilde;|&#150;|\u{96}|<!-- c -->|<i>|</i>|<textarea>|</textarea>){0,50}"
        ) {
            let reading = read_markup(&markup, false).expect("readable");
            check_places(&markup, &reading.body, &reading.map)?;
            check_places(&markup, &reading.hidden, &reading.hidden_map)?;
            for marked in &reading.headings {
                prop_assert!(!reading.body[marked.range.clone()].contains('\n'));
            }
            for line in reading.body.split('\n').chain(reading.hidden.split('\n')) {
                prop_assert_eq!(line.trim_end(), line);
            }
        }

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
