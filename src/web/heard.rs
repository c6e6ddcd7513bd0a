//! How a source keeps us informed: its Subscriptions, the searches for what was missed, and how far it may be behind.

use serde::Serialize;

use crate::clock::instant;
use crate::domain::document::SourceName;
use crate::store::{CatchUp, Export, Store, StoreError, Subscription};

/// As a part of a source's view.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeardView {
    /// 0 when nothing is known to be missing.
    behind_seconds: f64,
    subscriptions: Vec<SubscriptionView>,
    searches: Vec<SearchView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    export: Option<ExportView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionView {
    id: String,
    kind: &'static str,
    status: &'static str,
    /// Absent if others made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    criteria: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_heard: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SearchView {
    criteria: String,
    /// `last-updated`, `whole` (the source does not know `_lastUpdated`), `history` (deletions).
    mode: &'static str,
    /// All that changed before was taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete_until: Option<String>,
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportView {
    files: usize,
    files_read: usize,
    bad_lines: u64,
    ended: bool,
}

impl HeardView {
    /// Of a source.
    pub async fn of(store: &Store, source: &SourceName) -> Result<Self, StoreError> {
        Ok(Self {
            behind_seconds: store.seconds_behind(source).await?,
            subscriptions: store.subscriptions(source).await?.into_iter().map(SubscriptionView::of).collect(),
            searches: store.catch_ups(source).await?.into_iter().map(SearchView::of).collect(),
            export: store.export(source).await?.as_ref().map(ExportView::of),
        })
    }
}

impl SubscriptionView {
    fn of(subscription: Subscription) -> Self {
        Self {
            id: subscription.id.as_str().to_owned(),
            kind: subscription.kind.code(),
            status: subscription.state.code(),
            criteria: subscription.criteria,
            topic: subscription.topic,
            last_event: subscription.last_event,
            missing_since: subscription.gap_since.map(instant),
            last_heard: subscription.heard_at.map(instant),
        }
    }
}

impl SearchView {
    fn of(search: CatchUp) -> Self {
        Self {
            criteria: search.criteria,
            mode: search.mode.code(),
            complete_until: search.complete_until.map(instant),
            running: search.running_until.is_some(),
            ended: search.completed_at.map(instant),
        }
    }
}

impl ExportView {
    fn of(export: &Export) -> Self {
        Self { files: export.files.len(), files_read: export.file, bad_lines: export.bad_lines, ended: export.ended }
    }
}
