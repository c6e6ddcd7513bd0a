//! The public C-CDA documents, read whole: against an independent look at their XML.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;

/// The C-CDA documents beside this repository.
fn fixtures() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "xml") {
                found.push(path);
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/ccda");
    let mut found = Vec::new();
    walk(&folder, &mut found);
    if found.is_empty() {
        eprintln!("skipped: {} is not there", folder.display());
    }
    found.sort();
    found
}

/// The character data of titles and texts of sections by another reader than the product's: a scan for signs, which
/// well-formed documents without CDATA allow. And the number of sections with text.
fn scanned(xml: &str) -> (String, usize) {
    let mut stack: Vec<&str> = Vec::new();
    let (mut text, mut sections, mut counted) = (String::new(), 0, false);
    for piece in xml.split('<').skip(1) {
        if piece.starts_with(['!', '?']) {
            // A comment may hold `<`: what follows it up to its end is part of it.
            assert!(!piece.starts_with("![CDATA["));
            continue;
        }
        let Some((tag, characters)) = piece.split_once('>') else { continue };
        let name = tag.trim_start_matches('/').split([' ', '\t', '\n', '\r', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            stack.pop();
        } else if !tag.ends_with('/') {
            stack.push(name);
            counted &= name != "section";
        }
        let at = stack.iter().rposition(|name| *name == "section");
        if at.is_some_and(|at| stack.get(at + 1).is_some_and(|name| *name == "text" || *name == "title")) {
            if !characters.trim().is_empty() && !counted && stack[at.unwrap_or_default() + 1] == "text" {
                counted = true;
                sections += 1;
            }
            text.push_str(characters);
        }
    }
    for (reference, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#160;", " ")] {
        text = text.replace(reference, character);
    }
    (text.replace("&amp;", "&"), sections)
}

/// Letters and digits, which no layout changes.
pub(super) fn letters(text: &str) -> impl Iterator<Item = char> + Clone {
    text.chars().filter(|c| !c.is_whitespace() && *c != '\u{feff}')
}

/// How many of `wanted` are in `found`, in this order.
pub(super) fn kept(wanted: &str, found: &str) -> (usize, usize) {
    let mut found = letters(found);
    let (mut count, mut total) = (0, 0);
    for letter in letters(wanted) {
        total += 1;
        // A letter that is missing would swallow the rest; look a little ahead only.
        let mut ahead = found.clone().take(200);
        if let Some(skipped) = ahead.position(|candidate| candidate == letter) {
            found.nth(skipped);
            count += 1;
        }
    }
    (count, total)
}

fn without_comments(xml: &str) -> String {
    let mut out = String::new();
    let mut rest = xml;
    while let Some((before, comment)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    out + rest
}

#[test]
fn every_document_of_the_fixtures_is_read_whole_and_in_order() {
    let mut refused: BTreeMap<String, String> = BTreeMap::new();
    for path in fixtures() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("readable");
        let reading = match read_as(Some("text/xml"), &bytes) {
            Ok(reading) => reading,
            Err(refusal) => {
                refused.insert(name, refusal.detail);
                continue;
            }
        };
        let xml = without_comments(&String::from_utf8_lossy(&bytes));
        let (wanted, sections) = scanned(&xml);
        let (count, total) = kept(&wanted, &reading.body);
        assert_eq!(count, total, "{name}: characters of the narrative");
        let with_text = reading.headings.iter().filter(|marked| marked.kind.is_some()).count();
        assert!(with_text >= sections, "{name}: {with_text} headings of {sections} sections");
        check(&reading).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        check_paths(&reading, &String::from_utf8_lossy(&bytes), &name);
    }
    for (name, detail) in &refused {
        let expected = match name.as_str() {
            name if name.starts_with("nonXMLBody Example") => "fragment of a CDA document",
            "UD.sample.xml" | "Unstructured_Document_reference.xml" => "not fetched",
            "CDA_with_Embedded_PDF.xml" | "Unstructured_Document_embed.xml" => "PDF",
            _ => "nothing",
        };
        assert!(detail.contains(expected), "{name}: {detail}");
    }
}

/// Every place is the path of an element whose text holds what was read of it.
fn check_paths(reading: &Reading, xml: &str, name: &str) {
    let document = roxmltree::Document::parse(xml.trim_start_matches('\u{feff}')).expect("well-formed");
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for word in reading.body.split([' ', '\n']).filter(|word| word.len() > 3) {
        let start = word.as_ptr() as usize - reading.body.as_ptr() as usize;
        let Some(Place::Element(path)) = reading.map.locate(&reading.body, &(start..start + word.len())) else {
            continue;
        };
        if path.contains("nonXMLBody") {
            continue;
        }
        let text = known.entry(path.to_string()).or_insert_with(|| {
            let mut node = document.root();
            for step in path.split('/').skip(1) {
                let (tag, number) = step.trim_end_matches(']').split_once('[').unwrap_or((step, "1"));
                let number: usize = number.parse().expect("a number");
                node = node
                    .children()
                    .filter(|child| child.tag_name().name() == tag)
                    .nth(number - 1)
                    .unwrap_or_else(|| panic!("{name}: {path} leads nowhere"));
            }
            node.descendants().filter(roxmltree::Node::is_text).filter_map(|node| node.text()).collect()
        });
        assert!(text.contains(word), "{name}: {path} does not hold the word");
    }
}
