//! Reading in a process of its own what a library reads that cannot be trusted.
//!
//! A thread cannot be killed, and neither a stack overflow nor a failed allocation can be caught. So the same
//! executable is run once more for one attachment: it limits itself, gets the bytes on its standard input, answers on its
//! standard output, and ends. Whatever becomes of it, the service goes on, and the attachment's coverage says why it was
//! not read.
//!
//! The limits hold by the kernel's resource limits, which are kept on Linux; macOS does not keep the one on memory. A
//! filter of system calls (seccomp) is not used: without `unsafe` there is none. What the reader could do beyond
//! computing is kept small instead: it has no environment, no open file, and cannot open one.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::pdf;
use super::rendition::{Marked, Reading, Refusal};
use super::sniff::Format;
use crate::domain::narrative::{SectionKind, UnreadReason};
use crate::domain::source_map::{Place, SourceMap};

/// Memory that a reader may take beyond its program.
const MEMORY_BYTES_MAX: u64 = 200 << 20;
/// Processor time without a page being done: hostile input works on and on at one place. A page takes a few
/// milliseconds, fifty where nothing is optimised.
const STALLED_SECONDS_MAX: f64 = 1.5;
/// Processor time in all: enough for 600 pages where nothing is optimised.
const CPU_SECONDS_MAX: u64 = 10;
/// Time that the service waits, whatever the reader does: on a machine so busy that nothing moves.
const WAIT: Duration = Duration::from_mins(1);
/// Bytes of an attachment.
const ATTACHMENT_BYTES_MAX: usize = 64 << 20;
/// Bytes of an answer: the longest narrative, four bytes a character, escaped.
const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// Files that a reader may have open: what it was given.
const FILES_MAX: u64 = 3;
/// How often a reader looks at its own time.
const WATCH: Duration = Duration::from_millis(20);
/// The exit status of a reader that made no progress.
const STALLED: i32 = 3;
/// The subcommand.
const SUBCOMMAND: &str = "read-attachment";

/// Where attachments are read that need it.
#[derive(Clone, Debug)]
pub struct Isolation(Where);

#[derive(Clone, Debug)]
enum Where {
    Here,
    Apart(Arc<Readers>),
}

#[derive(Debug)]
struct Readers {
    program: PathBuf,
    /// How many more may run.
    free: Mutex<usize>,
    freed: Condvar,
    /// How long each may take.
    wait: Duration,
}

impl Isolation {
    /// In processes of `program`, which must be this executable; as many at once as there are cores.
    pub fn of(program: PathBuf) -> Self {
        let free = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Where::Apart(Arc::new(Readers { program, free: Mutex::new(free), freed: Condvar::new(), wait: WAIT })))
    }

    /// In processes of the program that runs.
    pub fn of_this_program() -> Self {
        // The link leads to the program that runs, also when its file was replaced by a newer version.
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() { own.to_owned() } else { std::env::current_exe().unwrap_or_default() };
        Self::of(program)
    }

    /// In this process, without limits: for tests, and for the reader itself.
    pub fn none() -> Self {
        Self(Where::Here)
    }

    /// Reads bytes that were recognised as `format`.
    pub(super) fn read(&self, format: Format, bytes: &[u8]) -> Result<Reading, Refusal> {
        if bytes.len() > ATTACHMENT_BYTES_MAX {
            let detail = format!("It has {} bytes; {ATTACHMENT_BYTES_MAX} are read at most.", bytes.len());
            return Err(Refusal::new(UnreadReason::TooLarge, detail));
        }
        match &self.0 {
            Where::Here => read_here(format, bytes.to_vec(), || ()),
            Where::Apart(readers) => readers.read(format, bytes),
        }
    }
}

fn read_here(format: Format, bytes: Vec<u8>, progress: impl FnMut()) -> Result<Reading, Refusal> {
    match format {
        Format::Pdf => pdf::read(bytes, progress),
        _ => {
            let detail = format!("{} is not read in a process of its own.", format.name());
            Err(Refusal::new(UnreadReason::FormatNotSupported, detail))
        }
    }
}

/// What a reader said, and how it ended.
struct Ended {
    answer: Vec<u8>,
    status: ExitStatus,
}

/// A place among the readers that run; free again when it is dropped.
struct Turn<'r>(&'r Readers);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

impl Readers {
    fn turn(&self) -> Turn<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Turn(self)
    }

    fn read(&self, format: Format, bytes: &[u8]) -> Result<Reading, Refusal> {
        let _turn = self.turn();
        match self.run(format, bytes) {
            Ok(Some(ended)) => ended.reading(),
            Ok(None) => Err(took_too_long()),
            Err(error) => {
                let detail = format!("Its reader, a process of its own, could not be run: {}.", error.kind());
                Err(Refusal::new(UnreadReason::FormatNotSupported, detail))
            }
        }
    }

    /// Runs a reader to its end; nothing if it had to be killed.
    fn run(&self, format: Format, bytes: &[u8]) -> io::Result<Option<Ended>> {
        let mut command = Command::new(&self.program);
        command.arg0("responsum").arg(SUBCOMMAND).args(["--format", &format.name().to_ascii_lowercase()]);
        command.arg("--bytes").arg(bytes.len().to_string());
        // Whatever it could say on standard error might hold text.
        command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let answer = converse(&mut child, bytes, self.wait);
        if answer.is_none() {
            // It fails only if the child has ended.
            let _ = child.kill();
        }
        let status = child.wait()?;
        Ok(answer.map(|answer| Ended { answer, status }))
    }
}

/// Gives a reader its bytes and takes its answer; nothing if that takes too long, or the answer is too long.
fn converse(child: &mut Child, bytes: &[u8], wait: Duration) -> Option<Vec<u8>> {
    let (mut to, from) = (child.stdin.take()?, child.stdout.take()?);
    let (answered, answer) = mpsc::channel();
    std::thread::scope(|scope| {
        // A reader that ends early has heard enough.
        scope.spawn(move || drop(to.write_all(bytes)));
        scope.spawn(move || {
            let mut answer = Vec::new();
            let whole =
                from.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).is_ok_and(|read| read as u64 != ANSWER_BYTES_MAX);
            // It fails only if nobody waits any more.
            let _ = answered.send(whole.then_some(answer));
        });
        let answer = answer.recv_timeout(wait).ok().flatten();
        if answer.is_none() {
            // Both threads wait for the child; it fails only if the child has ended.
            let _ = child.kill();
        }
        answer
    })
}

fn took_too_long() -> Refusal {
    let detail = "It takes too long to read: it is built to, or damaged. Send it as text.";
    Refusal::new(UnreadReason::TooLarge, detail)
}

impl Ended {
    fn reading(self) -> Result<Reading, Refusal> {
        if self.status.success() {
            let damaged = || Refusal::new(UnreadReason::Malformed, "Its reader gave no answer that can be understood.");
            return serde_json::from_slice::<Answer>(&self.answer)
                .ok()
                .and_then(Answer::checked)
                .ok_or_else(damaged)?;
        }
        let signal = self.status.signal().and_then(|signal| Signal::try_from(signal).ok());
        Err(match (self.status.code(), signal) {
            (Some(STALLED), _) | (_, Some(Signal::SIGXCPU | Signal::SIGKILL)) => took_too_long(),
            (_, Some(Signal::SIGABRT | Signal::SIGSEGV | Signal::SIGBUS)) => {
                let most = MEMORY_BYTES_MAX >> 20;
                let detail =
                    format!("It needs more than {most} MB of memory, or is nested too deeply. Send it as text.");
                Refusal::new(UnreadReason::TooLarge, detail)
            }
            _ => Refusal::new(UnreadReason::Malformed, "Its reader failed on it: it is damaged. Send it as text."),
        })
    }
}

/// A reader's answer.
#[derive(Serialize, Deserialize)]
enum Answer {
    Read(Box<Text>),
    Refused(Reason),
}

#[derive(Serialize, Deserialize)]
struct Text {
    body: String,
    /// First byte, byte after the last, page.
    pages: Vec<(usize, usize, u32)>,
    /// Lines that are heads or feet of pages: first byte, byte after the last, true for a head.
    margins: Vec<(usize, usize, bool)>,
    hidden: String,
    hidden_pages: Vec<(usize, usize, u32)>,
    unread: Vec<(String, Reason)>,
    notes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Reason {
    code: String,
    detail: String,
}

impl Answer {
    fn of(outcome: Result<Reading, Refusal>) -> Self {
        match outcome {
            Ok(reading) => Self::Read(Box::new(Text {
                pages: pages(&reading.map),
                margins: margins(&reading.headings),
                hidden_pages: pages(&reading.hidden_map),
                body: reading.body,
                hidden: reading.hidden,
                unread: reading.unread.into_iter().map(|(what, refusal)| (what, Reason::of(refusal))).collect(),
                notes: reading.notes,
            })),
            Err(refusal) => Self::Refused(Reason::of(refusal)),
        }
    }

    /// The outcome; nothing if it cannot be one.
    fn checked(self) -> Option<Result<Reading, Refusal>> {
        let text = match self {
            Self::Read(text) => *text,
            Self::Refused(reason) => return Some(Err(reason.refusal()?)),
        };
        let unread = text.unread.into_iter().map(|(what, reason)| Some((what, reason.refusal()?)));
        Some(Ok(Reading {
            map: map(&text.body, &text.pages)?,
            headings: headings(&text.body, &text.margins)?,
            hidden_map: map(&text.hidden, &text.hidden_pages)?,
            body: text.body,
            hidden: text.hidden,
            unread: unread.collect::<Option<_>>()?,
            notes: text.notes,
        }))
    }
}

impl Reason {
    fn of(Refusal { reason, detail }: Refusal) -> Self {
        Self { code: reason.code().to_owned(), detail }
    }

    fn refusal(self) -> Option<Refusal> {
        Some(Refusal::new(UnreadReason::from_code(&self.code)?, self.detail))
    }
}

fn pages(map: &SourceMap) -> Vec<(usize, usize, u32)> {
    let page = |(text, place): (std::ops::Range<usize>, &Place)| match place {
        Place::Pages(first, _) => Some((text.start, text.end, *first)),
        _ => None,
    };
    map.places().filter_map(page).collect()
}

fn margins(headings: &[Marked]) -> Vec<(usize, usize, bool)> {
    let margin = |Marked { range, kind }: &Marked| match kind {
        Some(SectionKind::Header) => Some((range.start, range.end, true)),
        Some(SectionKind::Footer) => Some((range.start, range.end, false)),
        _ => None,
    };
    headings.iter().filter_map(margin).collect()
}

fn headings(text: &str, margins: &[(usize, usize, bool)]) -> Option<Vec<Marked>> {
    let mut at = 0;
    let headings = margins.iter().map(|(start, end, is_head)| {
        text.get(*start..*end).filter(|line| *start >= at && !line.contains('\n'))?;
        at = *end;
        let kind = if *is_head { SectionKind::Header } else { SectionKind::Footer };
        Some(Marked { range: *start..*end, kind: Some(kind) })
    });
    headings.collect()
}

fn map(text: &str, pages: &[(usize, usize, u32)]) -> Option<SourceMap> {
    let (mut map, mut at) = (SourceMap::default(), 0);
    for (start, end, page) in pages {
        text.get(*start..*end).filter(|_| *start >= at)?;
        map.push(*start..*end, Place::Pages(*page, *page), false);
        at = *end;
    }
    Some(map)
}

/// The reader's side: limits itself, reads an attachment of so many bytes from `input` and answers on `output`.
pub fn serve(format: &str, bytes: usize, input: impl Read, mut output: impl Write) -> io::Result<()> {
    // A message would hold text.
    std::panic::set_hook(Box::new(|_| ()));
    limit()?;
    let progress = Progress::watched();
    let mut attachment = Vec::with_capacity(bytes.min(ATTACHMENT_BYTES_MAX));
    input.take(ATTACHMENT_BYTES_MAX as u64).read_to_end(&mut attachment)?;
    let outcome = match format {
        name if name.eq_ignore_ascii_case(Format::Pdf.name()) => read_here(Format::Pdf, attachment, || progress.note()),
        _ => Err(Refusal::new(UnreadReason::FormatNotSupported, "This reader does not know the format.")),
    };
    output.write_all(&serde_json::to_vec(&Answer::of(outcome))?)?;
    output.flush()
}

fn limit() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_DATA, MEMORY_BYTES_MAX, MEMORY_BYTES_MAX)?;
    setrlimit(Resource::RLIMIT_CPU, CPU_SECONDS_MAX, CPU_SECONDS_MAX)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    setrlimit(Resource::RLIMIT_NOFILE, FILES_MAX, FILES_MAX)?;
    Ok(())
}

/// When a page was last done, in this process's own time.
#[derive(Clone)]
struct Progress(Arc<Mutex<f64>>);

impl Progress {
    /// Ends the process when there is none for too long.
    fn watched() -> Self {
        let progress = Self(Arc::new(Mutex::new(cpu_seconds())));
        let watched = progress.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(WATCH);
                let last = *watched.0.lock().unwrap_or_else(PoisonError::into_inner);
                if cpu_seconds() - last > STALLED_SECONDS_MAX {
                    std::process::exit(STALLED);
                }
            }
        });
        progress
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cpu_seconds();
    }
}

fn cpu_seconds() -> f64 {
    // It cannot fail because the process asks about itself.
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0.0 };
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A program in place of the reader: a script.
    fn reader(script: &str) -> (Readers, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("reader");
        // Written by another process: a file that this one has open for writing, and so every process that it starts at
        // that moment, cannot be executed.
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let written = Command::new("sh").args(["-c", write]).arg(&program).arg(script).status().expect("a shell");
        assert!(written.success());
        (Readers { program, free: Mutex::new(1), freed: Condvar::new(), wait: Duration::from_mins(1) }, folder)
    }

    fn refusal(script: &str) -> Refusal {
        let (readers, _folder) = reader(script);
        let refusal = readers.read(Format::Pdf, b"%PDF").expect_err("no reading");
        assert_eq!(*readers.free.lock().expect("whole"), 1, "its place is free again");
        refusal
    }

    #[test]
    fn however_a_reader_ends_the_attachment_says_why_it_was_not_read() {
        for (script, reason) in [
            ("exit 101", UnreadReason::Malformed),
            ("exit 3", UnreadReason::TooLarge),
            ("kill -ABRT $$", UnreadReason::TooLarge),
            ("kill -SEGV $$", UnreadReason::TooLarge),
            ("kill -XCPU $$", UnreadReason::TooLarge),
            ("kill -KILL $$", UnreadReason::TooLarge),
            ("exit 0", UnreadReason::Malformed),
            ("echo '{\"Read\":{}}'", UnreadReason::Malformed),
            ("cat; echo", UnreadReason::Malformed),
            ("yes", UnreadReason::TooLarge),
            ("exec <&-; echo no", UnreadReason::Malformed),
        ] {
            assert_eq!(refusal(script).reason, reason, "{script}");
        }
        let nowhere = Isolation::of(PathBuf::from("/does/not/exist"));
        let refusal = nowhere.read(Format::Pdf, b"%PDF").expect_err("no reader");
        assert_eq!(refusal.reason, UnreadReason::FormatNotSupported);
    }

    #[test]
    fn a_reader_that_does_nothing_is_ended() {
        let (readers, _folder) = reader("exec sleep 1000");
        let readers = Readers { wait: Duration::from_millis(50), ..readers };
        let started = Instant::now();
        assert_eq!(readers.read(Format::Pdf, b"%PDF").expect_err("no reading").reason, UnreadReason::TooLarge);
        assert!(started.elapsed() < Duration::from_mins(15));
    }

    #[test]
    fn an_answer_is_what_the_reader_said() {
        let mut reading = Reading { body: "Seite eins ≥\n\ntwo".to_owned(), ..Reading::default() };
        reading.map.push(0..14, Place::Pages(1, 1), false);
        reading.map.push(16..19, Place::Pages(3, 3), false);
        reading.headings.push(Marked { range: 16..19, kind: Some(SectionKind::Footer) });
        reading.unread.push(("page 2".to_owned(), Refusal::new(UnreadReason::NoTextLayer, "x")));
        reading.notes.push("n".to_owned());
        let json = serde_json::to_vec(&Answer::of(Ok(reading))).expect("JSON");
        let read = serde_json::from_slice::<Answer>(&json).ok().and_then(Answer::checked).expect("an answer");
        let read = read.expect("a reading");
        assert_eq!(read.map.locate(&read.body, &(0..19)), Some(Place::Pages(1, 3)));
        assert_eq!(read.headings, [Marked { range: 16..19, kind: Some(SectionKind::Footer) }]);
        assert_eq!((read.unread[0].1.reason, read.notes.len()), (UnreadReason::NoTextLayer, 1));
    }

    #[test]
    fn an_answer_that_does_not_fit_its_text_is_none() {
        let text = |pages, margins| Text {
            body: "≥ a".to_owned(),
            pages,
            margins,
            hidden: String::new(),
            hidden_pages: Vec::new(),
            unread: Vec::new(),
            notes: Vec::new(),
        };
        for pages in [vec![(0, 1, 1)], vec![(0, 9, 1)], vec![(3, 0, 1)], vec![(0, 5, 1), (3, 5, 2)]] {
            assert!(Answer::Read(Box::new(text(pages.clone(), Vec::new()))).checked().is_none(), "{pages:?}");
            let margins: Vec<_> = pages.iter().map(|(start, end, _)| (*start, *end, true)).collect();
            assert!(Answer::Read(Box::new(text(Vec::new(), margins))).checked().is_none(), "{pages:?}");
        }
        assert!(Answer::Read(Box::new(text(vec![(0, 3, 1), (4, 5, 2)], vec![(4, 5, false)]))).checked().is_some());
    }
}
