//! Faults of XML that have one meaning only, and what is meant.

use std::collections::HashMap;

use roxmltree::Error;
use scraper::Html;

/// Different references of HTML that are looked up: a document uses a dozen.
const REFERENCES_MAX: usize = 300;

/// Bytes of the name of a character reference: HTML's longest is `CounterClockwiseContourIntegral`.
const REFERENCE_BYTES_MAX: usize = 32;

/// The text without the fault that was found in it, and what is to be noted; nothing if it cannot be mended.
pub(super) fn of(text: &str, fault: &Error) -> Option<(String, String)> {
    match fault {
        Error::UnknownNamespace(prefix, _) => {
            let note = format!("a namespace prefix that nobody declared is taken for one of its own ({prefix})");
            let note = if is_name(prefix) { note } else { return None };
            Some((declared(text, prefix)?, note))
        }
        Error::UnknownEntityReference(..)
        | Error::MalformedEntityReference(_)
        | Error::NonXmlChar(..)
        | Error::InvalidComment(_)
        | Error::InvalidCharacterData(_)
        | Error::InvalidName(_)
        | Error::InvalidChar(..)
        | Error::InvalidChar2(..) => {
            let note = "references or characters that XML does not know are read as in HTML, or dropped";
            Some((mended(text), note.to_owned()))
        }
        _ => None,
    }
}

fn is_name(prefix: &str) -> bool {
    prefix.len() <= 20
        && prefix.starts_with(|c: char| c.is_ascii_alphabetic())
        && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// The text with a declaration of `prefix` in its root element.
fn declared(text: &str, prefix: &str) -> Option<String> {
    let mut at = 0;
    loop {
        let start = at + text[at..].find('<')?;
        let rest = &text[start..];
        if rest.starts_with("<!--") {
            at = start + rest.find("-->")?;
        } else if rest.starts_with("<?") || rest.starts_with("<!") {
            at = start + 2;
        } else {
            let name = rest.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/')?;
            let (before, after) = text.split_at(start + name);
            return Some(format!("{before} xmlns:{prefix}=\"urn:undeclared:{prefix}\"{after}"));
        }
    }
}

/// The text without comments and control characters, and with references that XML knows.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut known = HashMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let length = if rest.starts_with("<![CDATA[") {
            let length = rest.find("]]>").map_or(rest.len(), |end| end + 3);
            out.extend(rest[..length].chars().filter(|c| is_xml(*c)));
            length
        } else if rest.starts_with('&') {
            reference(rest, &mut out, &mut known)
        } else if let Some(after) = rest.strip_prefix("]]>") {
            out.push_str("]]&gt;");
            rest.len() - after.len()
        } else if rest.starts_with('<') && !begins_tag(&rest[1..]) {
            out.push_str("&lt;");
            1
        } else {
            // The sign that the piece begins with was looked at.
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let length = rest[first..].find(['<', '&', ']']).map_or(rest.len(), |next| first + next);
            out.extend(rest[..length].chars().filter(|c| is_xml(*c)));
            length
        };
        rest = &rest[length..];
    }
    out
}

/// Whether a `<` before `rest` can begin something: in "<5 mm" it cannot.
fn begins_tag(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '!' | '?' | '_' | ':'))
}

/// XML 1.0, production 2 (Char).
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Writes what the `&` that `rest` begins with stands for: how many bytes that were.
fn reference<'t>(rest: &'t str, out: &mut String, known: &mut HashMap<&'t str, Option<String>>) -> usize {
    let body = rest.as_bytes()[1..].iter().take(REFERENCE_BYTES_MAX);
    let length = body.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'#').count();
    let name = &rest[1..=length];
    if !rest[1 + length..].starts_with(';') || name.is_empty() {
        out.push_str("&amp;");
        return 1;
    }
    let whole = &rest[..length + 2];
    if let Some(digits) = name.strip_prefix('#') {
        let number = match digits.strip_prefix(['x', 'X']) {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
            None => digits.parse().ok(),
        };
        match number.map(char::from_u32) {
            Some(Some(character)) if is_xml(character) => out.push_str(whole),
            Some(_) => {}
            None => out.push_str(&whole.replace('&', "&amp;")),
        }
    } else if matches!(name, "amp" | "lt" | "gt" | "quot" | "apos") {
        out.push_str(whole);
    } else {
        if known.len() < REFERENCES_MAX {
            known.entry(name).or_insert_with(|| of_html(whole));
        }
        match known.get(name) {
            Some(Some(characters)) => out.push_str(characters),
            _ => out.push_str(&whole.replace('&', "&amp;")),
        }
    }
    whole.len()
}

/// The characters that a reference like `&nbsp;` stands for in HTML.
fn of_html(reference: &str) -> Option<String> {
    let text: String = Html::parse_fragment(reference).root_element().text().collect();
    (text != reference && !text.contains(['<', '&'])).then_some(text)
}
