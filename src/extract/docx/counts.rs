//! What was met that is no text, or not the text itself, and how that is told.

use crate::domain::narrative::UnreadReason;
use crate::extract::rendition::Refusal;

/// Characters that are kept apart, and things that are not read.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hidden: usize,
    pub(super) deleted: usize,
    pub(super) comments: usize,
    pub(super) struck: bool,
    pub(super) pictures: usize,
    pub(super) objects: usize,
    pub(super) diagrams: usize,
    pub(super) imports: usize,
}

impl Counts {
    pub(super) fn notes(&self) -> Vec<String> {
        let counted = [
            (self.hidden, "that are hidden are kept apart"),
            (self.deleted, "that were deleted are kept apart"),
            (self.comments, "of comments are kept apart"),
        ];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        let mut notes: Vec<String> = counted.map(|(count, what)| format!("{count} characters {what}")).collect();
        if self.struck {
            notes.push("text that is struck through is among the text".to_owned());
        }
        notes
    }

    /// What has text that is not read.
    pub(super) fn unread(&self) -> Vec<(String, Refusal)> {
        let parts = [
            (self.pictures, "picture", "pictures"),
            (self.objects, "embedded object", "embedded objects"),
            (self.diagrams, "chart or diagram", "charts or diagrams"),
            (self.imports, "imported document", "imported documents"),
        ];
        let told = |(count, one, many)| {
            let part = format!("{count} {}", if count == 1 { one } else { many });
            (part, Refusal::new(UnreadReason::FormatNotSupported, format!("Text in {many} is not read.")))
        };
        parts.into_iter().filter(|(count, ..)| *count > 0).map(told).collect()
    }
}
