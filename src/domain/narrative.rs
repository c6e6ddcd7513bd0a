//! The plain text drawn from a document, with its sections and sentences as byte spans.

use std::fmt;

/// A byte range of one [`Narrative`]'s text; both ends lie on character boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// The span, or nothing if the range is reversed, outside `text`, or cuts a character.
    pub fn new(text: &str, start: usize, end: usize) -> Option<Self> {
        text.get(start..end).map(|_| Self { start, end })
    }

    /// First byte.
    pub const fn start(self) -> usize {
        self.start
    }

    /// One past the last byte.
    pub const fn end(self) -> usize {
        self.end
    }

    /// Length in bytes.
    pub const fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it holds nothing.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Whether `other` lies within this span.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What the span holds. The text must be the one that the span was made for.
    ///
    /// # Panics
    /// If `text` is another text and shorter, or has other character boundaries.
    pub fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

/// What a section of a report is for. The decision reads some kinds as the current status and others not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SectionKind {
    /// IMPRESSION, CONCLUSION, OPINION, final diagnosis: what the author concludes.
    Impression,
    /// FINDINGS, RESULTS, and organ lines.
    Findings,
    /// ASSESSMENT, ASSESSMENT AND PLAN, interval events, hospital course.
    Assessment,
    /// PLAN, RECOMMENDATION, follow-up: the future.
    Plan,
    /// COMPARISON.
    Comparison,
    /// TECHNIQUE, PROCEDURE.
    Technique,
    /// INDICATION, REASON FOR EXAM, CLINICAL INFORMATION.
    Indication,
    /// HISTORY: present illness, oncologic and treatment history.
    History,
    /// Past medical, social and surgical history, allergies, medication lists.
    PastHistory,
    /// FAMILY HISTORY.
    FamilyHistory,
    /// ADDENDUM: a later word, which counts over the earlier ones.
    Addendum,
    /// Letterhead, patient banner, page header.
    Header,
    /// Page footer, page number, disclaimer.
    Footer,
    /// Who signed, and when.
    Signature,
    /// Text that the rendition hides from its reader.
    Hidden,
    /// Anything else, also text before the first heading.
    Other,
}

impl SectionKind {
    /// The code used in JSON and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Impression => "impression",
            Self::Findings => "findings",
            Self::Assessment => "assessment",
            Self::Plan => "plan",
            Self::Comparison => "comparison",
            Self::Technique => "technique",
            Self::Indication => "indication",
            Self::History => "history",
            Self::PastHistory => "past-history",
            Self::FamilyHistory => "family-history",
            Self::Addendum => "addendum",
            Self::Header => "header",
            Self::Footer => "footer",
            Self::Signature => "signature",
            Self::Hidden => "hidden",
            Self::Other => "other",
        }
    }
}

/// A part of the narrative under one heading. Sections follow each other, and together hold the whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is for.
    pub kind: SectionKind,
    /// The heading, without its colon; none for text before the first heading.
    pub title: Option<Span>,
    /// The whole section, its heading included.
    pub span: Span,
}

/// A sentence, list item or table row. Sentences do not overlap, are in order, and hold every letter and digit of
/// the text but the headings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Where it is, without surrounding whitespace.
    pub span: Span,
    /// Index into [`Narrative::sections`].
    pub section: usize,
}

/// One rendition that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRendition {
    /// FHIR path of the element, like `DiagnosticReport.presentedForm[0]`.
    pub origin: String,
    /// The media type that it was read as, like `text/html`.
    pub format: String,
    /// Unicode characters that it gave to the narrative.
    pub characters: usize,
    /// What a reader should know: a charset that was guessed, a content type that was wrong. Never report text.
    pub notes: Vec<String>,
}

/// One rendition, or a part of one, that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadRendition {
    /// FHIR path of the element.
    pub origin: String,
    /// Why.
    pub reason: UnreadReason,
    /// One sentence for a person, without report text: what was there and what could be done.
    pub detail: String,
}

/// Why a rendition was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnreadReason {
    /// Another rendition of the same document was chosen.
    OtherRenditionChosen,
    /// No reader for this format.
    FormatNotSupported,
    /// The bytes are not what they claim, and nothing else that is known.
    ContentNotRecognised,
    /// Base64, charset or markup that cannot be decoded.
    Malformed,
    /// Only a URL is given, and the source is not one that we may fetch from.
    NotFetched,
    /// Nothing in it.
    Empty,
    /// Over a named limit.
    TooLarge,
    /// Pages that are pictures: there is no text to read.
    NoTextLayer,
    /// It asks for a password.
    Encrypted,
}

impl UnreadReason {
    const ALL: [Self; 9] = [
        Self::OtherRenditionChosen,
        Self::FormatNotSupported,
        Self::ContentNotRecognised,
        Self::Malformed,
        Self::NotFetched,
        Self::Empty,
        Self::TooLarge,
        Self::NoTextLayer,
        Self::Encrypted,
    ];

    /// The reason with this [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The code used in SQL, JSON and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::OtherRenditionChosen => "other-rendition-chosen",
            Self::FormatNotSupported => "format-not-supported",
            Self::ContentNotRecognised => "content-not-recognised",
            Self::Malformed => "malformed",
            Self::NotFetched => "not-fetched",
            Self::Empty => "empty",
            Self::TooLarge => "too-large",
            Self::NoTextLayer => "no-text-layer",
            Self::Encrypted => "encrypted",
        }
    }
}

/// What was read and what was not. Nothing is left out in silence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Renditions that the narrative holds, in its order.
    pub read: Vec<ReadRendition>,
    /// Everything else that the document offered.
    pub unread: Vec<UnreadRendition>,
}

/// The plain text of one document, made once and never changed; spans into it stay true.
#[derive(Clone, PartialEq, Eq)]
pub struct Narrative {
    text: String,
    sections: Vec<Section>,
    sentences: Vec<Sentence>,
    coverage: Coverage,
}

impl Narrative {
    /// Puts the parts together.
    ///
    /// # Panics
    /// If a span does not fit the text, or a sentence names a section that is not there: a fault of the caller.
    pub fn new(text: String, sections: Vec<Section>, sentences: Vec<Sentence>, coverage: Coverage) -> Self {
        for span in sections.iter().map(|s| s.span).chain(sentences.iter().map(|s| s.span)) {
            assert!(text.get(span.start..span.end).is_some(), "a span lies outside its narrative");
        }
        assert!(sentences.iter().all(|s| s.section < sections.len()), "a sentence names a missing section");
        Self { text, sections, sentences, coverage }
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its sections, in order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Its sentences, in order.
    pub fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// What was read and what was not.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The kind of the section that a sentence belongs to.
    pub fn kind_of(&self, sentence: &Sentence) -> SectionKind {
        self.sections[sentence.section].kind
    }

    /// A span's offset and length in Unicode code points, as FHIR's derivation-reference extension wants them.
    pub fn code_points(&self, span: Span) -> (usize, usize) {
        let offset = self.text[..span.start].chars().count();
        (offset, span.of(&self.text).chars().count())
    }
}

impl fmt::Debug for Narrative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Narrative")
            .field("bytes", &self.text.len())
            .field("sections", &self.sections.len())
            .field("sentences", &self.sentences.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_never_cuts_a_character() {
        let text = "a–b";
        assert!(Span::new(text, 1, 2).is_none());
        assert_eq!(Span::new(text, 1, 4).map(|span| span.of(text)), Some("–"));
        assert!(Span::new(text, 4, 9).is_none());
    }

    #[test]
    fn offsets_for_fhir_count_code_points_not_bytes() {
        let text = "naïve – stable".to_owned();
        let span = Span::new(&text, text.find("stable").expect("in the text"), text.len()).expect("a span");
        let narrative = Narrative::new(text, Vec::new(), Vec::new(), Coverage::default());
        assert_eq!(narrative.code_points(span), (8, 6));
    }

    #[test]
    fn debug_does_not_print_the_text() {
        let narrative = Narrative::new("PHI-CANARY".to_owned(), Vec::new(), Vec::new(), Coverage::default());
        assert!(!format!("{narrative:?}").contains("CANARY"));
    }
}
