//! What the commands that read texts share: the model that they use, rows of NDJSON, and their errors.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, empty, stderr, stdin};
use std::path::PathBuf;

use bytes::Bytes;
use serde::Serialize;

use crate::classify::model::{Model, ModelError};
use crate::classify::provider::{ExecutionProvider, MissingProvider, ProviderSettings};
use crate::classify::session::SessionSettings;
use crate::classify::{Classifier, ClassifierSettings, ClassifyError, Unit};
use crate::domain::document::{
    About, Attachment, AttachmentContent, AttachmentRole, Disposition, ResourceType, SourceDocument,
};
use crate::domain::narrative::{Coverage, Narrative, ReadRendition, Section, SectionKind, Sentence, Span};
use crate::extract::{self, Isolation};

/// Why a command cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The model cannot be loaded.
    #[error("loading the model")]
    Model(#[source] ModelError),
    /// The model cannot be started or run.
    #[error("asking the model")]
    Classify(#[source] ClassifyError),
    /// The input cannot be read.
    #[error("reading the input")]
    Read(#[source] std::io::Error),
    /// The output cannot be written.
    #[error("writing the output")]
    Write(#[source] std::io::Error),
    /// A file cannot be opened.
    #[error("opening {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A row of the data is not what it should be.
    #[error("line {line}: {fault}")]
    Row {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong with it, without its content.
        fault: &'static str,
    },
    /// A calibration needs both readings of reports.
    #[error("a calibration is fitted to whole reports: leave out --unit sentence")]
    CalibrateSentences,
    /// The store failed.
    #[error(transparent)]
    Store(crate::store::StoreError),
    /// There is nothing to measure.
    #[error("no row is labelled without being ambiguous")]
    NoRows,
}

/// Which model answers, and with what.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ModelArgs {
    /// Folder or zip of the model to use instead of the built-in one
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,
    /// How the model is run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// How a model is run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RunArgs {
    /// Processor threads for the model [default: all]
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
    /// What does the arithmetic: the processor, or a device
    #[arg(long, value_enum, value_name = "NAME", default_value_t)]
    pub execution_provider: ExecutionProvider,
    /// What to do where that is not there: stop, or use the processor
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub execution_provider_missing: MissingProvider,
}

impl RunArgs {
    pub(super) fn session_settings(&self) -> SessionSettings {
        let settings = SessionSettings::default();
        SessionSettings {
            threads: self.threads.map_or(settings.threads, std::num::NonZeroUsize::get),
            provider: ProviderSettings { provider: self.execution_provider, missing: self.execution_provider_missing },
            ..settings
        }
    }
}

impl ModelArgs {
    /// Loads the model.
    pub fn load(&self) -> Result<Model, CommandError> {
        Model::open(self.model.as_deref()).map_err(CommandError::Model)
    }

    /// Loads the model and starts its thread.
    pub fn start(&self) -> Result<Classifier, CommandError> {
        let settings = ClassifierSettings { session: self.run.session_settings(), ..ClassifierSettings::default() };
        let classifier = Classifier::start(self.load()?, settings).map_err(CommandError::Classify)?;
        say_fallback(classifier.fallback());
        Ok(classifier)
    }
}

/// Says on stderr that the processor is used instead of the provider that was asked for.
pub(super) fn say_fallback(fallback: Option<&str>) {
    if let Some(fallback) = fallback {
        // A notice that cannot be shown is no reason to stop.
        let _ = writeln!(stderr(), "responsum: the execution provider {fallback}");
    }
}

/// The files one after the other, or the standard input if there is none.
pub fn open(files: &[PathBuf]) -> Result<Box<dyn BufRead>, CommandError> {
    if files.is_empty() {
        return Ok(Box::new(BufReader::new(stdin())));
    }
    let mut all: Box<dyn Read> = Box::new(empty());
    for path in files {
        let file = File::open(path).map_err(|source| CommandError::Open { path: path.clone(), source })?;
        // A file may lack the end of its last line.
        all = Box::new(all.chain(file).chain(b"\n".as_slice()));
    }
    Ok(Box::new(BufReader::new(all)))
}

/// Reads the next line that is not blank, without its end, and counts all; nothing at the end of the input.
pub(super) fn next_line<'a>(
    input: &mut impl BufRead,
    buffer: &'a mut Vec<u8>,
    line: &mut usize,
) -> Result<Option<&'a [u8]>, CommandError> {
    loop {
        buffer.clear();
        if input.read_until(b'\n', buffer).map_err(CommandError::Read)? == 0 {
            return Ok(None);
        }
        *line += 1;
        if !buffer.iter().all(u8::is_ascii_whitespace) {
            return Ok(Some(buffer.trim_ascii()));
        }
    }
}

/// Writes one value as a line of JSON, at once: whoever reads along must not wait for a full buffer.
pub(super) fn write_line(output: &mut impl Write, value: &impl Serialize) -> Result<(), CommandError> {
    let mut line = serde_json::to_vec(value).map_err(|error| CommandError::Write(error.into()))?;
    line.push(b'\n');
    output.write_all(&line).and_then(|()| output.flush()).map_err(CommandError::Write)
}

/// The narrative of a plain text: of a report its sections and sentences, of a sentence the text as it is.
pub(super) fn narrative_of(text: &str, unit: Unit) -> Narrative {
    match unit {
        Unit::Document => {
            let document = single_attachment("text", Some("text/plain; charset=utf-8"), text.as_bytes());
            // A PDF in a JSON string is nobody's report; it would be read apart all the same.
            extract::narrative(document, &Isolation::of_this_program())
        }
        Unit::Sentence => one_sentence(text),
    }
}

/// A text or file as a document with one attachment.
pub(super) fn single_attachment(origin: &str, content_type: Option<&str>, bytes: &[u8]) -> SourceDocument {
    SourceDocument {
        resource_type: ResourceType::DocumentReference,
        logical_id: None,
        disposition: Disposition::Annotate,
        about: About::default(),
        identifiers: Vec::new(),
        replaces: Vec::new(),
        attachments: vec![Attachment {
            origin: origin.to_owned(),
            role: AttachmentRole::Report,
            content_type: content_type.map(str::to_owned),
            content: AttachmentContent::Bytes(Bytes::copy_from_slice(bytes)),
        }],
    }
}

fn one_sentence(text: &str) -> Narrative {
    let coverage = Coverage {
        read: vec![ReadRendition {
            origin: "text".to_owned(),
            format: "text/plain".to_owned(),
            characters: text.chars().count(),
            notes: Vec::new(),
        }],
        unread: Vec::new(),
    };
    // The whole of a text always lies on its character boundaries.
    let span = Span::new(text, 0, text.len()).expect("the whole text");
    let section = Section { kind: SectionKind::Other, title: None, span };
    Narrative::new(text.to_owned(), vec![section], vec![Sentence { span, section: 0 }], coverage)
}

/// Where the characters of a narrative are in the text that it was drawn from.
///
/// A narrative of plain text leaves out or replaces white space and invisible characters, and keeps all others in
/// their order.
pub(super) struct Origin {
    /// For each character of the narrative that can be seen: byte in the narrative, code point in the text.
    visible: Vec<(usize, usize)>,
}

impl Origin {
    /// Aligns them; nothing if the narrative holds anything that the text does not.
    pub(super) fn of(narrative: &str, text: &str) -> Option<Self> {
        let seen = |character: &char| !character.is_whitespace();
        let mut given = text.chars().enumerate();
        let mut visible = Vec::with_capacity(narrative.len());
        for (byte, character) in narrative.char_indices().filter(|(_, character)| seen(character)) {
            let (code_point, _) = given.find(|(_, other)| *other == character)?;
            visible.push((byte, code_point));
        }
        Some(Self { visible })
    }

    /// The span's first and one past its last code point in the text.
    pub(super) fn code_points(&self, span: Span) -> Option<(usize, usize)> {
        let first = self.visible.partition_point(|(byte, _)| *byte < span.start());
        let end = self.visible.partition_point(|(byte, _)| *byte < span.end());
        let start = self.visible.get(first)?.1;
        let last = self.visible.get(end.checked_sub(1)?)?.1;
        (start <= last).then_some((start, last + 1))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::classify::testing::tiny_model;

    pub(in crate::command) fn tiny_classifier() -> &'static Classifier {
        static CLASSIFIER: OnceLock<Classifier> = OnceLock::new();
        CLASSIFIER.get_or_init(|| {
            Classifier::start(tiny_model().clone(), ClassifierSettings::default()).expect("a classifier")
        })
    }

    #[test]
    fn blank_lines_are_counted_and_passed_over() {
        let (mut input, mut buffer, mut line) = (b"\n  \r\na\r\n\nb".as_slice(), Vec::new(), 0);
        let next = next_line(&mut input, &mut buffer, &mut line).expect("a line").map(<[u8]>::to_vec);
        assert_eq!((next.as_deref(), line), (Some(b"a".as_slice()), 3));
        let next = next_line(&mut input, &mut buffer, &mut line).expect("a line").map(<[u8]>::to_vec);
        assert_eq!((next.as_deref(), line), (Some(b"b".as_slice()), 5));
        assert!(next_line(&mut input, &mut buffer, &mut line).expect("the end").is_none());
    }

    #[test]
    fn several_files_are_read_as_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        for path in &paths {
            std::fs::write(path, "no end of line").expect("a file");
        }
        let lines: Vec<String> = open(&paths).expect("files").lines().map_while(Result::ok).collect();
        assert_eq!(lines, ["no end of line", "no end of line"]);
    }

    #[test]
    fn a_narrative_that_is_not_of_the_text_has_no_places_in_it() {
        assert!(Origin::of("abc", "acb").is_none());
        let origin = Origin::of("a b", "a\r\n  b").expect("an alignment");
        assert_eq!(origin.code_points(Span::new("a b", 2, 3).expect("a span")), Some((5, 6)));
    }
}
