//! The model's own thread, behind a bounded queue.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use tokio::sync::{oneshot, watch};

use super::ClassifyError;
use super::model::Model;
use super::onnx::{Batch, Graph, Logits, OnnxError};
use super::provider::ProviderSettings;
use super::scores::Scale;
use super::windows::EncodedWindow;
use crate::domain::annotation::WindowScores;

/// Tokens of a batch, padding included. Beyond this a larger batch is no faster on a processor (measured with the
/// default model), while callers wait longer and memory grows.
const BATCH_TOKENS_MAX: usize = 1024;

/// How the model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Threads that one operation of the graph may use.
    pub threads: usize,
    /// Requests that may wait for the model. Beyond this, callers are turned away at once: a short queue keeps the
    /// wait below the time-out of those who wait.
    pub queue_requests_max: usize,
    /// What does the arithmetic.
    pub provider: ProviderSettings,
}

impl Default for SessionSettings {
    /// All processors and nothing else, and a queue of 64 requests.
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().map_or(1, usize::from),
            queue_requests_max: 64,
            provider: ProviderSettings::default(),
        }
    }
}

type Answer<T> = oneshot::Sender<Result<T, ClassifyError>>;

enum Request {
    Scores(Vec<EncodedWindow>, Answer<Vec<WindowScores>>),
    Logits(Vec<u32>, Answer<Vec<f32>>),
}

/// A model that runs on its own thread until this handle is dropped.
#[derive(Debug)]
pub struct SessionThread {
    queue: SyncSender<Request>,
    alive: watch::Receiver<()>,
    fallback: Option<String>,
}

impl SessionThread {
    /// Loads the graph, tries it once, and starts the thread.
    pub fn start(model: &Model, settings: SessionSettings) -> Result<Self, ClassifyError> {
        let graph = model.graph.prepare().map_err(ClassifyError::Model)?;
        let graph = Graph::load(graph, model.heads.clone(), settings).map_err(ClassifyError::Load)?;
        let mut worker = Worker { graph, scale: Scale::of(model), padding: model.padding };
        worker.probe(model)?;
        let fallback = worker.graph.fallback().map(str::to_owned);
        let (queue, requests) = sync_channel(settings.queue_requests_max);
        let (life, alive) = watch::channel(());
        thread::Builder::new()
            .name("model".to_owned())
            .spawn(move || {
                // Dropped when the thread ends, also by a panic: that is what `stopped` waits for.
                let _life = life;
                worker.serve(&requests);
            })
            .map_err(ClassifyError::Thread)?;
        Ok(Self { queue, alive, fallback })
    }

    /// Why the processor is used instead of the provider that was asked for; none if that is there.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Scores of the windows, in their order.
    pub async fn classify(&self, windows: Vec<EncodedWindow>) -> Result<Vec<WindowScores>, ClassifyError> {
        self.ask(|answer| Request::Scores(windows, answer))?.await.map_err(|_| ClassifyError::Stopped)?
    }

    /// Like [`classify`](Self::classify), for callers outside an asynchronous runtime.
    ///
    /// # Panics
    /// If called within one.
    pub fn classify_blocking(&self, windows: Vec<EncodedWindow>) -> Result<Vec<WindowScores>, ClassifyError> {
        self.ask(|answer| Request::Scores(windows, answer))?.blocking_recv().map_err(|_| ClassifyError::Stopped)?
    }

    /// The label logits of one row of token ids, in the order of the model's labels; blocking like
    /// [`classify_blocking`](Self::classify_blocking).
    pub fn logits_blocking(&self, ids: Vec<u32>) -> Result<Vec<f32>, ClassifyError> {
        self.ask(|answer| Request::Logits(ids, answer))?.blocking_recv().map_err(|_| ClassifyError::Stopped)?
    }

    /// Ends when the thread has ended, which it does only by a fault while this handle lives.
    pub async fn stopped(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }

    /// Whether the thread has ended.
    pub fn is_stopped(&self) -> bool {
        self.alive.has_changed().is_err()
    }

    fn ask<T>(
        &self,
        request: impl FnOnce(Answer<T>) -> Request,
    ) -> Result<oneshot::Receiver<Result<T, ClassifyError>>, ClassifyError> {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(request(answer)) {
            Ok(()) => Ok(answered),
            Err(TrySendError::Full(_)) => Err(ClassifyError::QueueFull),
            Err(TrySendError::Disconnected(_)) => Err(ClassifyError::Stopped),
        }
    }
}

struct Worker {
    graph: Graph,
    scale: Scale,
    padding: u32,
}

impl Worker {
    /// Answers requests until nobody can make one.
    fn serve(&mut self, requests: &Receiver<Request>) {
        while let Ok(request) = requests.recv() {
            match request {
                Request::Scores(windows, answer) => {
                    if let Some(result) = self.scores(&windows, || answer.is_closed()) {
                        // A caller who has left in the meantime needs no answer.
                        let _ = answer.send(result);
                    }
                }
                Request::Logits(ids, answer) => {
                    let _ = answer.send(self.logits(&ids));
                }
            }
        }
    }

    /// The windows' scores, in their order; nothing if the caller has left.
    fn scores(
        &mut self,
        windows: &[EncodedWindow],
        left: impl Fn() -> bool,
    ) -> Option<Result<Vec<WindowScores>, ClassifyError>> {
        let mut scores: Vec<Option<WindowScores>> = vec![None; windows.len()];
        for batch in batches(windows) {
            if left() {
                return None;
            }
            let rows: Vec<&[u32]> = batch.iter().map(|&index| windows[index].ids.as_slice()).collect();
            let readings = match self.run(&rows) {
                Ok(logits) => self.scale.read(&logits),
                Err(error) => return Some(Err(ClassifyError::Run(error))),
            };
            let Some(readings) = readings else {
                return Some(Err(ClassifyError::NotANumber));
            };
            for (index, reading) in batch.into_iter().zip(readings) {
                let window = windows[index].window;
                let (label, category, cancer) = (reading.label, reading.category, reading.cancer);
                scores[index] = Some(WindowScores { window, label, category, cancer });
            }
        }
        // `batches` holds every window once, so none is missing here.
        Some(Ok(scores.into_iter().flatten().collect()))
    }

    /// Tries the graph with a text of nothing, and with the last of the vocabulary's tokens.
    fn probe(&mut self, model: &Model) -> Result<(), ClassifyError> {
        let mut ids = model.tokenizer.encode("").map_err(ClassifyError::Tokenize)?;
        if ids.is_empty() {
            ids.push(model.padding);
        }
        self.run(&[&ids]).map_err(ClassifyError::Load)?;
        let last = model.vocabulary.and_then(|entries| u32::try_from(entries.checked_sub(1)?).ok());
        if let Some(last) = last {
            ids.insert(1, last);
            self.run(&[&ids]).map_err(|_| ClassifyError::Load(OnnxError::VocabularyTooLarge(last)))?;
        }
        Ok(())
    }

    fn logits(&mut self, ids: &[u32]) -> Result<Vec<f32>, ClassifyError> {
        let logits = self.run(&[ids]).map_err(ClassifyError::Run)?;
        Ok(logits.label.into_iter().next().unwrap_or_default())
    }

    fn run(&mut self, rows: &[&[u32]]) -> Result<Logits, OnnxError> {
        self.graph.run(&Batch::new(rows, self.padding))
    }
}

/// Indices of the windows, shortest first so that a batch needs little padding, cut so that no batch of several
/// windows exceeds [`BATCH_TOKENS_MAX`].
fn batches(windows: &[EncodedWindow]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&index| windows[index].ids.len());
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        // The newest window is the batch's longest.
        let length = windows[index].ids.len();
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * length <= BATCH_TOKENS_MAX => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::classify::testing::{narrative, tiny_model};
    use crate::classify::windows::{WindowLimits, cut};
    use crate::domain::label::{Category, Label};
    use crate::domain::narrative::SectionKind;

    fn session(queue_requests_max: usize) -> SessionThread {
        let settings = SessionSettings { threads: 1, queue_requests_max, ..SessionSettings::default() };
        SessionThread::start(tiny_model(), settings).expect("a session")
    }

    fn windows(sentences: &[&str]) -> Vec<EncodedWindow> {
        let narrative = narrative(&[(SectionKind::Other, None, sentences)]);
        let limits = WindowLimits { max_tokens: 16, context_tokens: 0 };
        cut(&narrative, &tiny_model().tokenizer, limits).expect("windows")
    }

    #[test]
    fn scores_come_in_the_order_of_the_windows() {
        let sentences =
            ["Mass larger on treatment: progression.", "Stable.", "Scan with no mass in the lung.", "Relapse."];
        let windows = windows(&sentences);
        let scores = session(1).classify_blocking(windows.clone()).expect("scores");
        let labels: Vec<Label> = scores.iter().map(|scores| scores.label.best()).collect();
        assert_eq!(labels, [Label::NotResponded, Label::Responded, Label::NotStated, Label::NotResponded]);
        assert!(scores.iter().zip(&windows).all(|(scores, cut)| scores.window == cut.window));
        let category = scores[1].category.expect("categories").best_for(Label::Responded);
        assert_eq!(category, Category::Stable);
        assert!(scores[1].cancer.expect("cancer").get() > 0.5);
    }

    #[test]
    fn a_window_gets_the_same_scores_whatever_it_is_batched_with() {
        let all = windows(&["Stable.", "Liver mass with progression after the treatment.", "Scan of the lung."]);
        let session = session(1);
        let together = session.classify_blocking(all.clone()).expect("scores");
        for (window, together) in all.into_iter().zip(together) {
            let alone = session.classify_blocking(vec![window]).expect("scores")[0];
            for label in Label::ALL {
                assert!((alone.label.of(label).get() - together.label.of(label).get()).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn batches_hold_every_window_once_and_keep_to_the_token_budget() {
        let all: Vec<EncodedWindow> = (1..300)
            .map(|length| EncodedWindow { ids: vec![1; 1 + length * 7 % 500], ..windows(&["Stable."])[0].clone() })
            .collect();
        let batches = batches(&all);
        for batch in &batches {
            let longest = batch.iter().map(|&index| all[index].ids.len()).max().expect("a window");
            assert!(batch.len() == 1 || batch.len() * longest <= BATCH_TOKENS_MAX);
        }
        let mut indices: Vec<usize> = batches.concat();
        indices.sort_unstable();
        assert_eq!(indices, (0..all.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_provider_that_is_not_there_is_an_error_or_the_processor_as_the_settings_say() {
        use crate::classify::provider::{ExecutionProvider, MissingProvider};
        for provider in [
            ExecutionProvider::Cuda,
            ExecutionProvider::TensorRt,
            ExecutionProvider::OpenVino,
            ExecutionProvider::CoreMl,
        ] {
            let settings = |missing| SessionSettings {
                provider: ProviderSettings { provider, missing },
                threads: 1,
                ..SessionSettings::default()
            };
            // The library that `cargo xtask setup` brings has none of them.
            match SessionThread::start(tiny_model(), settings(MissingProvider::Error)) {
                Err(ClassifyError::Load(error @ OnnxError::Provider { .. })) => {
                    let said = error.to_string();
                    assert!(said.contains(provider.name()) && said.contains("execution_provider"), "{said}");
                }
                // Where a test machine has one, it runs the model.
                started => assert!(started.is_ok(), "{started:?}"),
            }
            let session = SessionThread::start(tiny_model(), settings(MissingProvider::Cpu)).expect("a session");
            let ids = tiny_model().tokenizer.encode("Mass stable.").expect("ids");
            assert_eq!(session.logits_blocking(ids).expect("logits"), [5.0, 0.0, 2.0]);
            let said = session.fallback().unwrap_or("cpu");
            assert!(said == "cpu" || said.starts_with(provider.name()), "{said}");
        }
    }

    /// A queue whose other end nobody serves.
    fn unserved(queue_requests_max: usize) -> (SessionThread, Receiver<Request>, watch::Sender<()>) {
        let (queue, requests) = sync_channel(queue_requests_max);
        let (life, alive) = watch::channel(());
        (SessionThread { queue, alive, fallback: None }, requests, life)
    }

    #[tokio::test]
    async fn a_full_queue_turns_callers_away_at_once() {
        let (session, _requests, _life) = unserved(1);
        let waiting = session.ask(|answer| Request::Scores(Vec::new(), answer));
        assert!(waiting.is_ok());
        assert!(matches!(session.classify(Vec::new()).await, Err(ClassifyError::QueueFull)));
    }

    #[tokio::test]
    async fn the_end_of_the_thread_is_an_error_for_callers_and_can_be_awaited() {
        let (session, requests, life) = unserved(4);
        assert!(!session.is_stopped());
        let ended = tokio::spawn(async move {
            // Whoever waits is let go when the thread ends, as by a panic.
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop((requests, life));
        });
        assert!(matches!(session.classify(Vec::new()).await, Err(ClassifyError::Stopped)));
        ended.await.expect("ended");
        session.stopped().await;
        assert!(session.is_stopped());
        assert!(matches!(session.classify(Vec::new()).await, Err(ClassifyError::Stopped)));
    }

    #[test]
    fn a_caller_who_left_is_skipped() {
        let model = tiny_model();
        let graph = model.graph.prepare().expect("a graph");
        let graph = Graph::load(graph, model.heads.clone(), SessionSettings::default()).expect("a graph");
        let mut worker = Worker { graph, scale: Scale::of(model), padding: model.padding };
        assert!(worker.scores(&windows(&["Stable."]), || true).is_none());
    }
}
