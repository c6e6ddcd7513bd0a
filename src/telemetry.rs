//! Logs and metrics. Neither ever carries report text, ids of patients or reports, or URLs.

use std::io::IsTerminal as _;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// Requests, by method, route pattern and status.
pub const HTTP_REQUESTS: &str = "responsum_http_requests_total";
/// Seconds from a request's arrival to its answer, by method and route pattern.
pub const HTTP_SECONDS: &str = "responsum_http_request_duration_seconds";
/// Documents whose job ended, by state and label.
pub const DOCUMENTS: &str = "responsum_documents_total";
/// Seconds that one document took in the pipeline, by stage.
pub const STAGE_SECONDS: &str = "responsum_stage_duration_seconds";
/// Jobs that annotate new documents, by state: waiting, leased, abandoned.
pub const JOBS: &str = "responsum_jobs";
/// Jobs that failed, by what happens next: retry, abandoned.
pub const JOB_FAILURES: &str = "responsum_job_failures_total";
/// Background jobs, by kind (shadow, reannotate) and state.
pub const BACKGROUND_JOBS: &str = "responsum_background_jobs";
/// Documents that a model in shadow was given, by outcome: annotated, nothing, dropped, failed.
pub const SHADOW_DOCUMENTS: &str = "responsum_shadow_documents_total";
/// Documents that a re-annotation has done, by outcome: current, shadow, failed.
pub const REANNOTATED_DOCUMENTS: &str = "responsum_reannotated_documents_total";
/// Reloads of the settings, by outcome: switched, failed.
pub const RELOADS: &str = "responsum_config_reloads_total";

/// Requests to sources, by source, method and outcome.
pub const SOURCE_REQUESTS: &str = "responsum_source_requests_total";
/// Seconds that requests to sources took, waiting for their turn included, by source.
pub const SOURCE_SECONDS: &str = "responsum_source_request_duration_seconds";
/// 1 while a source is left alone because it did not answer, else 0; by source.
pub const SOURCE_BREAKER: &str = "responsum_source_breaker_open";
/// Reports that were read from their source, by source and outcome: stored, known, older, not-listened-to, deleted, nothing.
pub const FETCHED_REPORTS: &str = "responsum_fetched_reports_total";
/// What documents name by reference and was fetched, by source and outcome: fetched, failed.
pub const FETCHED_CONTENTS: &str = "responsum_fetched_contents_total";
/// Resources that were written to a source, by source, type and status.
pub const EMITTED: &str = "responsum_emitted_resources_total";

/// Notifications that were taken in, by source and shape.
pub const NOTIFICATIONS: &str = "responsum_notifications_total";
/// Notifications that were refused, by source and reason: secret, media-type, shape, too-large, address.
pub const NOTIFICATIONS_REFUSED: &str = "responsum_notifications_refused_total";
/// Parts of notifications that were not followed, by source and reason: other-type, elsewhere, restarted, no-subscription,
/// too-many-subscriptions.
pub const NOTIFICATIONS_PASSED_OVER: &str = "responsum_notifications_passed_over_total";
/// Seconds from an event, by the source's clock, to its notification, by source.
pub const NOTIFICATION_AGE_SECONDS: &str = "responsum_notification_age_seconds";
/// Seconds that a source's reports may be behind the source; 0 when nothing is known to be missing.
pub const SOURCE_BEHIND: &str = "responsum_source_behind_seconds";
/// Searches of sources for what was missed, by source and outcome: complete, page, events, failed.
pub const CATCH_UPS: &str = "responsum_catch_ups_total";
/// Subscriptions that were asked for again, by source and outcome: requested, refused.
pub const SUBSCRIPTIONS_MENDED: &str = "responsum_subscriptions_mended_total";

const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Sends logs to stderr: readable on a terminal, JSON otherwise. `RUST_LOG` sets the levels; `info` if it is not set.
pub fn start_logs() {
    let levels = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::registry().with(levels).with(filter_fn(may_be_logged));
    let format = fmt::layer().with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let _ = if std::io::stderr().is_terminal() {
        logs.with(format).try_init()
    } else {
        logs.with(format.json()).try_init()
    };
}

/// Libraries may warn, and no more, whatever `RUST_LOG` says: some write the text that they work on to their debug
/// logs (an HTML parser its characters, a server its paths).
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN || metadata.target().starts_with("responsum")
}

/// Collects metrics for `/metrics`. A second call in one process gives a recorder that hears nothing more.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_ok() {
        describe_counter!(HTTP_REQUESTS, "Requests by method, route and status.");
        describe_histogram!(HTTP_SECONDS, "Seconds from a request's arrival to its answer.");
        describe_counter!(DOCUMENTS, "Documents whose job ended, by state and label.");
        describe_histogram!(STAGE_SECONDS, "Seconds that one document took, by stage.");
        describe_gauge!(JOBS, "Jobs that annotate new documents, by state.");
        describe_counter!(JOB_FAILURES, "Jobs that failed, by what happens next.");
        describe_gauge!(BACKGROUND_JOBS, "Jobs that nobody waits for, by kind and state.");
        describe_counter!(SHADOW_DOCUMENTS, "Documents that a model in shadow was given, by outcome.");
        describe_counter!(REANNOTATED_DOCUMENTS, "Documents that a re-annotation has done, by outcome.");
        describe_counter!(RELOADS, "Reloads of the settings, by outcome.");
        describe_counter!(FETCHED_REPORTS, "Reports that were read from their source, by outcome.");
        describe_counter!(FETCHED_CONTENTS, "What documents name by reference and was fetched, by outcome.");
        describe_counter!(EMITTED, "Resources that were written to a source, by type and status.");
        describe_counter!(SOURCE_REQUESTS, "Requests to sources, by method and outcome.");
        describe_histogram!(SOURCE_SECONDS, "Seconds that requests to sources took, waiting for their turn included.");
        describe_counter!(NOTIFICATIONS, "Notifications that were taken in, by shape.");
        describe_counter!(NOTIFICATIONS_REFUSED, "Notifications that were refused, by reason.");
        describe_counter!(NOTIFICATIONS_PASSED_OVER, "Parts of notifications that were not followed, by reason.");
        describe_histogram!(NOTIFICATION_AGE_SECONDS, "Seconds from an event to its notification.");
        describe_gauge!(SOURCE_BEHIND, "Seconds that a source's reports may be behind the source.");
        describe_counter!(CATCH_UPS, "Searches of sources for what was missed, by outcome.");
        describe_counter!(SUBSCRIPTIONS_MENDED, "Subscriptions that were asked for again, by outcome.");
        describe_gauge!(SOURCE_BREAKER, "1 while a source is left alone because it did not answer.");
    }
    Ok(handle)
}

/// Counts an answered request. `route` is the pattern, never the path.
pub fn request_answered(method: &str, route: &str, status: u16, seconds: f64) {
    let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.to_string())];
    counter!(HTTP_REQUESTS, &labels).increment(1);
    histogram!(HTTP_SECONDS, &labels[..2]).record(seconds);
}

/// Counts a document whose job ended.
pub fn document_settled(state: &'static str, label: &'static str) {
    counter!(DOCUMENTS, "state" => state, "label" => label).increment(1);
}

/// Records how long a stage took.
pub fn stage_took(stage: &'static str, seconds: f64) {
    histogram!(STAGE_SECONDS, "stage" => stage).record(seconds);
}

/// Counts a job that failed.
pub fn job_failed(next: &'static str) {
    counter!(JOB_FAILURES, "next" => next).increment(1);
}

/// Counts a document that a model in shadow was given.
pub fn shadow_document(outcome: &'static str) {
    counter!(SHADOW_DOCUMENTS, "outcome" => outcome).increment(1);
}

/// Counts a document that a re-annotation has done.
pub fn reannotated(outcome: &'static str) {
    counter!(REANNOTATED_DOCUMENTS, "outcome" => outcome).increment(1);
}

/// Counts a reload of the settings.
pub fn reloaded(outcome: &'static str) {
    counter!(RELOADS, "outcome" => outcome).increment(1);
}

/// Sets the gauges of one kind of background jobs.
pub fn background_queue(kind: &'static str, waiting: i64, leased: i64, abandoned: i64) {
    for (state, jobs) in [("waiting", waiting), ("leased", leased), ("abandoned", abandoned)] {
        gauge!(BACKGROUND_JOBS, "kind" => kind, "state" => state).set(jobs as f64);
    }
}

/// Sets the queue's gauges.
pub fn queue(waiting: i64, leased: i64, abandoned: i64) {
    for (state, jobs) in [("waiting", waiting), ("leased", leased), ("abandoned", abandoned)] {
        gauge!(JOBS, "state" => state).set(jobs as f64);
    }
}

/// Counts a request to a source.
pub fn source_asked(source: &str, method: &str, outcome: &'static str, seconds: f64) {
    let labels = [("source", source.to_owned()), ("method", method.to_owned()), ("outcome", outcome.to_owned())];
    counter!(SOURCE_REQUESTS, &labels).increment(1);
    histogram!(SOURCE_SECONDS, &labels[..1]).record(seconds);
}

/// Counts a notification that was taken in.
pub fn notified(source: &str, shape: &'static str) {
    counter!(NOTIFICATIONS, "source" => source.to_owned(), "shape" => shape).increment(1);
}

/// Counts a notification that was refused.
pub fn notification_refused(source: &str, reason: &'static str) {
    counter!(NOTIFICATIONS_REFUSED, "source" => source.to_owned(), "reason" => reason).increment(1);
}

/// Counts a part of a notification that was not followed.
pub fn notification_passed_over(source: &str, reason: &'static str) {
    counter!(NOTIFICATIONS_PASSED_OVER, "source" => source.to_owned(), "reason" => reason).increment(1);
}

/// Records how old an event was when we were told.
pub fn notification_age(source: &str, seconds: f64) {
    histogram!(NOTIFICATION_AGE_SECONDS, "source" => source.to_owned()).record(seconds.max(0.0));
}

/// Sets how far a source's reports may be behind.
pub fn source_behind(source: &str, seconds: f64) {
    gauge!(SOURCE_BEHIND, "source" => source.to_owned()).set(seconds);
}

/// Counts a step of a search for what was missed.
pub fn caught_up(source: &str, outcome: &'static str) {
    counter!(CATCH_UPS, "source" => source.to_owned(), "outcome" => outcome).increment(1);
}

/// Counts a Subscription that was asked for again.
pub fn subscription_mended(source: &str, outcome: &'static str) {
    counter!(SUBSCRIPTIONS_MENDED, "source" => source.to_owned(), "outcome" => outcome).increment(1);
}

/// Counts a report that was read from its source.
pub fn report_fetched(source: &str, outcome: &'static str) {
    counter!(FETCHED_REPORTS, "source" => source.to_owned(), "outcome" => outcome).increment(1);
}

/// Counts something that a document names by reference.
pub fn content_fetched(source: &str, outcome: &'static str) {
    counter!(FETCHED_CONTENTS, "source" => source.to_owned(), "outcome" => outcome).increment(1);
}

/// Counts a resource that was written to a source.
pub fn emitted(source: &str, resource_type: &'static str, status: &'static str) {
    counter!(EMITTED, "source" => source.to_owned(), "type" => resource_type, "status" => status).increment(1);
}

/// Tells whether a source is left alone.
pub fn source_breaker(source: &str, open: bool) {
    gauge!(SOURCE_BREAKER, "source" => source.to_owned()).set(f64::from(u8::from(open)));
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
