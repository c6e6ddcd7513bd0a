//! The report among its renditions: which format is read, and which attachments of it are parts of one text.
//!
//! FHIR says that several attachments are renditions of one report. EHRs send parts too: a report and its addendum, two
//! pages, two exams. So the best format is read, and of its attachments all whose texts differ.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::choose::dense;
use super::isolation::Isolation;
use super::likeness::Words;
use super::rendition::{self, NARRATIVE_CHARACTERS_MAX, Reading, Recognised, Refusal};
use crate::domain::document::Attachment;
use crate::domain::narrative::UnreadReason;

/// Attachments of one format that are read: parts of one report are a handful, and each is compared with the others.
pub(super) const PARTS_MAX: usize = 32;

/// Share of words in common from which on two texts are the same one: a page header or a time of printing differs.
const SAME_TEXT_MIN: f64 = 0.9;

/// Characters below which the text of the best format may only point to another rendition, so that others are looked at.
const SHORT_CHARACTERS_MAX: usize = 300;

/// Words below which it may.
const POOR_WORDS_MAX: usize = 50;

/// How many times its words another rendition must have, if the text refers to one.
const RICHER_IF_REFERRED: usize = 5;

/// And if it does not.
const RICHER: usize = 20;

/// Words of a text that only refers to another one.
const POINTER_WORDS_MAX: usize = 25;

/// Words by which a text refers to another rendition.
const REFERRING: [&str; 8] = ["see", "attached", "attachment", "attachments", "enclosed", "pdf", "scanned", "document"];

/// An attachment whose format is known.
pub(super) struct Candidate<'a> {
    /// Index among the document's attachments.
    pub(super) index: usize,
    pub(super) attachment: &'a Attachment,
    pub(super) recognised: Recognised,
    pub(super) bytes: Cow<'a, [u8]>,
}

/// A candidate that was read.
pub(super) struct Part<'a> {
    pub(super) candidate: Candidate<'a>,
    pub(super) reading: Reading,
}

/// What became of the candidates.
#[derive(Default)]
pub(super) struct Outcome<'a> {
    /// Those that make the report, in the document's order.
    pub(super) parts: Vec<Part<'a>>,
    /// Those that were not read, by index, and why.
    pub(super) refusals: Vec<(usize, Refusal)>,
}

/// Reads the report.
pub(super) fn read<'a>(mut candidates: Vec<Candidate<'a>>, isolation: &'a Isolation) -> Outcome<'a> {
    candidates.sort_by_key(|candidate| candidate.recognised.format.rank());
    let mut search = Search { isolation, outcome: Outcome::default() };
    let mut passed_over = Vec::new();
    let mut left = candidates.into_iter().peekable();
    while let Some(rank) = left.peek().map(|next| next.recognised.format.rank()) {
        let group = take_rank(&mut left, rank);
        let mut texts = search.read_group(group, &mut passed_over);
        if texts.is_empty() {
            continue;
        }
        let characters: usize = texts.iter().map(|text| text.part.reading.body.chars().count()).sum();
        if characters < SHORT_CHARACTERS_MAX {
            texts = search.richer(texts, &mut left);
        }
        search.take(texts, passed_over);
        search.pass_over(left);
        break;
    }
    search.outcome
}

fn take_rank<'a>(left: &mut std::iter::Peekable<impl Iterator<Item = Candidate<'a>>>, rank: u8) -> Vec<Candidate<'a>> {
    std::iter::from_fn(|| left.next_if(|next| next.recognised.format.rank() == rank)).collect()
}

/// A text that may be a part of the report.
struct Text<'a> {
    part: Part<'a>,
    /// Its words, once they are needed: a report that is alone is compared with nothing.
    words: OnceCell<Words>,
    /// The text without white space, once it is needed.
    dense: OnceCell<String>,
}

impl<'a> Text<'a> {
    fn new(part: Part<'a>) -> Self {
        Self { part, words: OnceCell::new(), dense: OnceCell::new() }
    }

    fn words(&self) -> &Words {
        self.words.get_or_init(|| Words::of(&self.part.reading.body))
    }

    fn dense(&self) -> &str {
        self.dense.get_or_init(|| dense(&self.part.reading.body))
    }

    fn origin(&self) -> &str {
        &self.part.candidate.attachment.origin
    }

    /// Whether all that this text says is said by `other`, in words for a detail.
    fn said_by(&self, other: &Self) -> Option<String> {
        if other.dense().contains(self.dense()) {
            return Some(format!("Its text is in {} word for word.", other.origin()));
        }
        let likeness = self.words().likeness(other.words());
        let shorter = self.words().total() <= other.words().total();
        (likeness >= SAME_TEXT_MIN && shorter).then(|| {
            format!("It has {:.0} % of its words in common with {}, which was read.", likeness * 100.0, other.origin())
        })
    }
}

struct Search<'a> {
    isolation: &'a Isolation,
    outcome: Outcome<'a>,
}

impl<'a> Search<'a> {
    fn refuse(&mut self, candidate: &Candidate<'_>, reason: UnreadReason, detail: String) {
        self.outcome.refusals.push((candidate.index, Refusal::new(reason, detail)));
    }

    /// Reads all attachments of one rank, and leaves those whose texts another one says too.
    fn read_group(&mut self, group: Vec<Candidate<'a>>, passed_over: &mut Vec<String>) -> Vec<Text<'a>> {
        let mut texts: Vec<Text<'a>> = Vec::new();
        let mut failed = Vec::new();
        for (count, candidate) in group.into_iter().enumerate() {
            if count >= PARTS_MAX {
                let detail = format!("It is one of more than {PARTS_MAX} attachments of its format.");
                self.refuse(&candidate, UnreadReason::TooLarge, detail);
                continue;
            }
            match rendition::read(&candidate.recognised, &candidate.bytes, self.isolation) {
                Ok(reading) => self.add(&mut texts, Part { candidate, reading }),
                Err(refusal) => {
                    let origin = &candidate.attachment.origin;
                    failed.push(format!("read in place of {origin}, which could not be read"));
                    self.outcome.refusals.push((candidate.index, refusal));
                }
            }
        }
        if texts.is_empty() {
            passed_over.append(&mut failed);
        }
        texts
    }

    /// Adds a text, unless another one says it; takes out those that it says.
    fn add(&mut self, texts: &mut Vec<Text<'a>>, part: Part<'a>) {
        let text = Text::new(part);
        if let Some(detail) = texts.iter().find_map(|other| text.said_by(other)) {
            self.refuse(&text.part.candidate, UnreadReason::OtherRenditionChosen, detail);
            return;
        }
        let mut kept = Vec::with_capacity(texts.len() + 1);
        for other in texts.drain(..) {
            match other.said_by(&text) {
                Some(detail) => self.refuse(&other.part.candidate, UnreadReason::OtherRenditionChosen, detail),
                None => kept.push(other),
            }
        }
        kept.push(text);
        *texts = kept;
    }

    /// Looks for a rendition beside short texts that says far more: they may only say "see the attached PDF".
    fn richer(
        &mut self,
        poor: Vec<Text<'a>>,
        left: &mut std::iter::Peekable<impl Iterator<Item = Candidate<'a>>>,
    ) -> Vec<Text<'a>> {
        let words: usize = poor.iter().map(|text| text.words().total()).sum();
        let refers = poor.iter().any(|text| refers(&text.part.reading.body));
        let times = if refers { RICHER_IF_REFERRED } else { RICHER };
        if words >= POOR_WORDS_MAX {
            return poor;
        }
        while let Some(rank) = left.peek().map(|next| next.recognised.format.rank()) {
            let group = take_rank(left, rank);
            let before = self.outcome.refusals.len();
            let whole: Vec<_> = group.iter().map(|c| (c.index, another_rendition(c, poor[0].origin()))).collect();
            let rich = self.read_group(group, &mut Vec::new());
            if rich.is_empty() {
                if !refers {
                    // Nothing says that it was needed: it is one more rendition, whether it can be read or not.
                    self.outcome.refusals.truncate(before);
                    let refusals = whole
                        .into_iter()
                        .map(|(index, detail)| (index, Refusal::new(UnreadReason::OtherRenditionChosen, detail)));
                    self.outcome.refusals.extend(refusals);
                }
                continue;
            }
            if rich.iter().map(|text| text.words().total()).sum::<usize>() >= words.max(1) * times {
                return self.without_pointers(poor, rich);
            }
            for text in &rich {
                let detail = another_rendition(&text.part.candidate, poor[0].origin());
                self.refuse(&text.part.candidate, UnreadReason::OtherRenditionChosen, detail);
            }
        }
        poor
    }

    /// The rich texts, and those of the poor ones that say something of their own.
    fn without_pointers(&mut self, poor: Vec<Text<'a>>, mut rich: Vec<Text<'a>>) -> Vec<Text<'a>> {
        for text in poor {
            let pointer = text.words().total() <= POINTER_WORDS_MAX && refers(&text.part.reading.body);
            let said = rich.iter().any(|other| text.words().within(other.words()) >= SAME_TEXT_MIN);
            if !pointer && !said {
                rich.push(text);
                continue;
            }
            let what = if pointer { "refers to another rendition" } else { "is a small part of another rendition" };
            let chosen = rich[0].origin();
            let count = text.words().total();
            let detail = format!("It holds {count} words, which {what}; {chosen} was chosen, which says far more.");
            self.refuse(&text.part.candidate, UnreadReason::OtherRenditionChosen, detail);
        }
        rich
    }

    /// Makes the texts the report, in the document's order, as far as they fit into one narrative.
    fn take(&mut self, mut texts: Vec<Text<'a>>, passed_over: Vec<String>) {
        texts.sort_by_key(|text| text.part.candidate.index);
        let mut characters = 0;
        let mut parts = Vec::new();
        for Text { part, .. } in texts {
            let own = part.reading.body.chars().count() + part.reading.hidden.chars().count();
            if characters + own > NARRATIVE_CHARACTERS_MAX {
                self.outcome.refusals.push((part.candidate.index, rendition::too_long(characters + own)));
                continue;
            }
            characters += own;
            parts.push(part);
        }
        let count = parts.len();
        if count > 1 {
            for (number, part) in parts.iter_mut().enumerate() {
                part.reading.notes.push(format!("joined as part {} of {count}", number + 1));
            }
        }
        if let Some(first) = parts.first_mut() {
            first.reading.notes.extend(passed_over);
        }
        self.outcome.parts = parts;
    }

    /// The formats behind the one that was read.
    fn pass_over(&mut self, left: impl Iterator<Item = Candidate<'a>>) {
        let Some(taken) = self.outcome.parts.first().map(|part| part.candidate.attachment.origin.clone()) else {
            return;
        };
        for candidate in left {
            let detail = another_rendition(&candidate, &taken);
            self.refuse(&candidate, UnreadReason::OtherRenditionChosen, detail);
        }
    }
}

fn another_rendition(candidate: &Candidate<'_>, taken: &str) -> String {
    format!("It is {}; {taken} was chosen, another rendition of it.", candidate.recognised.phrase())
}

/// Whether a text has a word by which it may refer to another rendition.
fn refers(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.any(|word| REFERRING.iter().any(|referring| word.eq_ignore_ascii_case(referring)))
}
