//! Responsum reads the reports that an EHR already has (FHIR DiagnosticReport and DocumentReference), decides with an
//! ONNX model whether the patient **responded to treatment**, keeps the sentence that says so, stores everything in
//! Postgres and answers with a FHIR Observation. This page is its architecture.
//!
//! # From bytes to an Observation
//!
//! ```text
//! an EHR notifies ─► notified ─► [event + job, one transaction] ─► 200
//!                                  │ job                  ▲ job
//!                                  ▼                      │
//!      the EHR ◄──── source ◄── exchange::bring_in     catch_up: what no notification told
//!                                  │
//! HTTP in ─────► receive ─► [document + job, one transaction] ─► 2xx
//!                                  │ job
//!                                  ▼
//!            extract ─► classify ─► decide ─► [annotation + narrative + Observation, one transaction, ends the job]
//!            (pure)     (model      (pure)            │                       │ job
//!                        thread)                      ▼                       ▼
//!                FHIR reads: Observation, Provenance, Device     exchange::write_back ─► source ─► the EHR
//! ```
//!
//! `Bytes → SourceDocument → Narrative → Vec<Window> → Vec<WindowScores> → Annotation → Answer → Observation`: a type
//! for each stage, each made by the one before. No transaction is open while the model runs.
//!
//! # One walk through it
//!
//! `POST /fhir/DiagnosticReport` reaches [`web`]`::reports::create`. The body is read up to its limit,
//! [`receive::first_version`] reads its head ([`fhir::report::head`]: type, id, identifiers) and [`store::Intake`] writes the
//! very bytes, as version 1 of a new report, with a job, and rings for the workers; the commit comes before the 201. A
//! [`worker`] claims the job with a lease and gives it to [`pipeline::Pipeline::run`]: [`fhir::report::read`] makes a
//! [`SourceDocument`](domain::document::SourceDocument) of the bytes, [`extract::narrative`] a
//! [`Narrative`](domain::narrative::Narrative) of its best rendition, [`classify::Classifier::annotate`] cuts windows,
//! asks the model and merges its scores into an [`Annotation`](domain::annotation::Annotation), and
//! [`store::Store::settle`] writes all of it in the transaction that deletes the job. In the same transaction,
//! [`domain::observation::reconcile`] decides what becomes of the report's Observation. When someone reads it, the
//! [`Answer`](domain::observation::Answer) comes back from the rows and [`fhir::author`] says it in FHIR.
//!
//! A report of an EHR takes the same way, with a job before it and one behind: [`web`]`::hooks` reads the notification,
//! [`notified::take`] makes a job of it, [`exchange::Exchange`] reads the report and the contents that it points to through
//! [`source::Source`] and stores them as above; what the report's Observation became is written back by another job of the
//! source, which [`store::Store::settle`] added.
//!
//! # The map
//!
//! | module | owns |
//! |---|---|
//! | [`app`] | building the parts from the settings; supervising and draining them |
//! | [`config`] | settings, with all faults reported at once |
//! | [`clock`], [`digest`], [`view`] | time; SHA-256; coverage as JSON |
//! | [`telemetry`] | logs and metric names |
//! | [`domain`] | the words as types: document, narrative, label, annotation, job, answer |
//! | [`receive`] | a received resource becomes a document to store, or a refusal |
//! | [`notified`] | what becomes of a source's notification |
//! | [`catch_up`] | what notifications did not tell: asked for, searched for |
//! | [`subscriptions`] | our Subscriptions at sources: made, looked after, mended |
//! | [`fhir`] | received resources and Bundles; serving them again; authoring what we say |
//! | [`extract`] | choice among attachments, decoding, sections, sentences |
//! | [`classify`] | windows, tokenizer, ONNX Runtime, the merge into one answer, reading models of Spark NLP and Hugging Face |
//! | [`registry`] | the models of the process: who answers for which source, who looks on; switching while it runs |
//! | [`source`] | the EHRs that we ask and write to: the only outgoing HTTP, with its limits and its guard |
//! | [`pipeline`] | the order of the stages; nothing else knows it |
//! | [`exchange`] | what passes between a source and us, job by job: reports and contents in, answers out |
//! | [`worker`] | takes jobs, runs the pipeline, settles |
//! | [`store`] | the only SQL; the private Postgres ([`store::embedded`]) |
//! | [`web`] | the HTTP API: short handlers that ask one part |
//! | [`command`] | the subcommands that need no service |
//!
//! `tests/architecture.rs` holds the map true: which module may name which, which file may name which library, how
//! long files and functions may be.
//!
//! # What is absent, on purpose
//!
//! - **No typed FHIR model on the way in.** fhir-sdk's types lose data silently when they read; they author what we
//!   send, in the member crate `fhir-authoring`, and nothing else. Received bytes are kept and are the truth.
//! - **No SQL outside of the store, no ONNX outside of `classify::onnx`, no clock outside of `clock`.**
//! - **No trait over Postgres, FHIR or the model.** Tests use real ones.
//! - **No job that is done inside a transaction.** It is claimed with a lease, worked on, and settled with the lease
//!   token in the transaction that writes its results: at least once, applied once.
//! - **No text that is dropped in silence.** Every annotation has its coverage: what was read, what was not, and why.
//! - **No report text in logs, metrics, errors or URLs.** Types that bear it have a `Debug` that does not show it.
//! - **No `final` by a machine.** What a model says is preliminary; what a person has reviewed, a machine leaves alone.
//! - **No trace of a shadow in what leaves.** What a model says that only looks on is kept apart, where no Observation and
//!   no review can refer to it, and its jobs are done when no new document waits.
//! - **No outbound call but to a source's own addresses.** What a report or a notification names is asked only if the settings
//!   name its origin ([`source`]).

pub mod app;
pub mod catch_up;
pub mod classify;
pub mod clock;
pub mod command;
pub mod config;
pub mod digest;
pub mod domain;
pub mod exchange;
pub mod extract;
pub mod fhir;
pub mod notified;
pub mod pipeline;
pub mod receive;
pub mod registry;
pub mod source;
pub mod store;
pub mod subscriptions;
pub mod telemetry;
pub mod view;
pub mod web;
pub mod worker;
