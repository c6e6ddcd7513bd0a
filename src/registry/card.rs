//! A model's card: what it is good for and what not, in words. It lies beside the model as `README.md`.

use std::io::Read as _;
use std::path::Path;

use tracing::warn;

/// The file beside a model's files.
const FILE: &str = "README.md";

/// Largest card that is served: a card is a page or two, not a book.
const CARD_BYTES_MAX: u64 = 1024 * 1024;

/// Longest summary: what fits a note that is read beside other things.
const SUMMARY_CHARACTERS_MAX: usize = 600;

/// The card of the model in the executable.
const BUILT_IN: &str = include_str!("../../models/default/README.md");

/// A model's card, as Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card(String);

impl Card {
    /// The card of the model in the executable.
    pub(super) fn built_in() -> Self {
        Self(BUILT_IN.to_owned())
    }

    /// The card in a model's folder. A model without one is no fault; one that cannot be read is told in the log.
    pub(super) fn of(model: &Path) -> Option<Self> {
        let path = model.join(FILE);
        if !path.is_file() {
            return None;
        }
        let mut text = String::new();
        let read = std::fs::File::open(&path).and_then(|file| file.take(CARD_BYTES_MAX + 1).read_to_string(&mut text));
        match read {
            Ok(bytes) if bytes as u64 <= CARD_BYTES_MAX => Some(Self(text)),
            Ok(_) => {
                warn!(path = %path.display(), "a model's card is larger than {CARD_BYTES_MAX} bytes and is not served");
                None
            }
            Err(error) => {
                warn!(path = %path.display(), error = %error, "a model's card cannot be read and is not served");
                None
            }
        }
    }

    /// The whole card.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its first paragraph, on one line, without the marks of emphasis; a long one is cut at a word, and shows it. None
    /// if the card has headings only.
    pub fn summary(&self) -> Option<String> {
        let is_prose = |block: &&str| !block.starts_with(['#', '<', '|', '`', '>', '-', '*', '!', '[']);
        let body = without_front_matter(&self.0).replace("\r\n", "\n");
        let paragraph = body
            .split("\n\n")
            // A heading may stand right above its text.
            .map(|block| block.trim().lines().skip_while(|line| line.starts_with('#')).collect::<Vec<_>>().join(" "))
            .find(|block| !block.trim().is_empty() && is_prose(&block.trim()))?;
        let words: Vec<_> = paragraph.split_whitespace().collect();
        Some(cut(&words.join(" ").replace("**", "").replace("__", "").replace('`', "")))
    }
}

/// The text after the YAML between two lines of `---` that model hubs put first.
fn without_front_matter(text: &str) -> &str {
    let rest = text.strip_prefix("---").filter(|rest| rest.starts_with(['\n', '\r']));
    let end = rest.and_then(|rest| rest.find("\n---").map(|at| &rest[at + 4..]));
    end.unwrap_or(text)
}

fn cut(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(SUMMARY_CHARACTERS_MAX) else { return text.to_owned() };
    let short = &text[..end];
    let word = short.rfind(' ').unwrap_or(end);
    format!("{} …", short[..word].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_the_first_paragraph() {
        for (card, expected) in [
            ("# Model\n\nReads **reports**\nand says `Yes`.\n\nMore.", Some("Reads reports and says Yes.")),
            ("# Model\nRight below.\n\nMore.", Some("Right below.")),
            ("---\nlicense: mit\n---\n\n# Model\n\n![image](x.png)\n\n| a |\n|---|\n\nWords.", Some("Words.")),
            ("# Model\r\n\r\nOne.\r\n\r\nTwo.", Some("One.")),
            ("# Only a heading", None),
            ("", None),
        ] {
            assert_eq!(Card(card.to_owned()).summary().as_deref(), expected, "{card}");
        }
    }

    #[test]
    fn a_long_paragraph_is_cut_at_a_word() {
        let summary = Card("wörter ".repeat(500)).summary().expect("a summary");
        assert!(summary.ends_with("wörter …"), "{summary}");
        assert!(summary.chars().count() <= SUMMARY_CHARACTERS_MAX + 2);
    }

    #[test]
    fn the_built_in_model_has_a_card_with_a_summary() {
        let summary = Card::built_in().summary().expect("a summary");
        assert!(summary.contains("responded to treatment"), "{summary}");
    }

    #[test]
    fn a_card_that_cannot_be_served_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Card::of(folder.path()), None);
        for bad in [vec![b'a'; usize::try_from(CARD_BYTES_MAX).expect("small") + 1], vec![0xff, 0xfe]] {
            std::fs::write(folder.path().join(FILE), bad).expect("written");
            assert_eq!(Card::of(folder.path()), None);
        }
        std::fs::write(folder.path().join(FILE), "a card").expect("written");
        assert_eq!(Card::of(folder.path()).expect("a card").text(), "a card");
    }
}
