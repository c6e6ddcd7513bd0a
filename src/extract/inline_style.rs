//! What an element's own attributes say about how it looks. Style sheets are not followed.

use super::markup::{Tag, attribute};

/// How an element looks, as far as it matters to a reader of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// Its content is not shown. `aria-hidden` does not hide: it is seen.
    pub(super) hides: bool,
    pub(super) strikes: bool,
    /// Begins and ends a line.
    pub(super) block: bool,
    /// Whether its white space is text, if that is said.
    pub(super) verbatim: Option<bool>,
}

/// Properties with the values that hide.
const HIDING: [(&str, &[&str]); 5] = [
    ("display", &["none"]),
    ("visibility", &["hidden", "collapse"]),
    ("mso-hide", &["all"]),
    ("font-size", &["0", "0px", "0pt", "0em"]),
    ("opacity", &["0"]),
];

impl Style {
    pub(super) fn of(tag: &Tag<'_>) -> Self {
        let mut style = Self::default();
        let mut hidden = [false; HIDING.len()];
        for rule in attribute(tag, "style").unwrap_or_default().split(';') {
            let Some((property, value)) = rule.split_once(':') else { continue };
            let (property, value) = (property.trim(), value.split('!').next().unwrap_or_default().trim());
            style.take(property, value);
            // Of two rules for one property the last counts.
            if let Some(at) = HIDING.iter().position(|(hiding, _)| property.eq_ignore_ascii_case(hiding)) {
                hidden[at] = is_one_of(value, HIDING[at].1);
            }
        }
        style.hides = attribute(tag, "hidden").is_some() || hidden.contains(&true);
        style
    }

    fn take(&mut self, property: &str, value: &str) {
        if property.eq_ignore_ascii_case("display") {
            self.block = is_one_of(value, &["block", "list-item", "table", "table-row", "flex", "grid"]);
        } else if property.eq_ignore_ascii_case("white-space") {
            self.verbatim = Some(is_one_of(value, &["pre", "pre-wrap", "pre-line", "break-spaces"]));
        } else if property.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("text-decoration")) {
            self.strikes |= value.to_ascii_lowercase().contains("line-through");
        }
    }
}

fn is_one_of(value: &str, known: &[&str]) -> bool {
    known.iter().any(|known| value.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::super::markup::{Markup, Token};
    use super::*;

    fn style(tag: &str) -> Style {
        match Markup::new(tag, false).next() {
            Some(Token::Open(tag)) => Style::of(&tag),
            _ => panic!("no tag: {tag}"),
        }
    }

    #[test]
    fn what_hides_is_known_in_every_writing() {
        for tag in [
            "<p hidden>",
            "<p HIDDEN=''>",
            "<p style='display:none'>",
            "<p style='color:red; Display : NONE !important'>",
            "<p style=\"visibility:hidden\">",
            "<p style=mso-hide:all>",
            "<p style='font-family:&quot;Arial&quot;;display:none'>",
            "<p style='font-size:0'>",
        ] {
            assert!(style(tag).hides, "{tag}");
        }
        for tag in [
            "<p>",
            "<p aria-hidden=true>",
            "<p style='display:block'>",
            "<p style='x-display:none'>",
            "<p style='display:none;display:block'>",
        ] {
            assert!(!style(tag).hides, "{tag}");
        }
    }

    #[test]
    fn white_space_blocks_and_strokes_are_known() {
        assert_eq!(style("<p style='white-space: pre-wrap'>").verbatim, Some(true));
        assert_eq!(style("<p style='white-space: nowrap'>").verbatim, Some(false));
        assert!(style("<span style='display:block'>").block);
        assert!(style("<span style='text-decoration: line-through red'>").strikes);
        assert!(!style("<span style='é:x;text-decoratioé:line-through'>").strikes);
    }
}
