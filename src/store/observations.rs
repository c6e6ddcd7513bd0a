//! Observations: kept in line with their reports, read back with all that they say.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::exchange::enqueue_emit;
use super::models::model_version;
use super::rows::{about, evidence, known, report_key};
use super::{Store, StoreError, while_doing};
use crate::digest::sha256;
use crate::domain::decision::{Decision, Reviewer};
use crate::domain::document::{Disposition, Effective, ReportKey, ReportKind, SourceName, WithdrawReason};
use crate::domain::label::{Category, Label, Score};
use crate::domain::observation::{
    Answer, Change, Claim, EvidencePlace, Kind, Standing, id_of_kind, is_about_cancer, reconcile,
};

macro_rules! select_answer {
    ($rest:literal) => {
        select_answer!("", $rest)
    };
    ($also:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $also,
            "v.observation_id, v.version, v.status, v.withdraw_reason, v.recorded_at, v.label, v.category, v.linked, o.kind,
                    a.created_at AS annotated_at, a.label AS read_label, a.scores, a.cancer, a.evidence::text AS evidence,
                    d.version AS document_version, d.source_version, d.about::text AS about, a.narrative_id,
                    r.source, r.resource_type, r.logical_id, m.model_id, m.version AS model_version, m.sha256,
                    o.last_updated, o.effective_from, o.effective_until,
                    p.practitioner AS performer, p.practitioner_name AS performer_name, p.decided_at AS stated_at,
                    c.practitioner AS decided_by, c.practitioner_name AS decided_by_name, c.verdict, c.decided_at,
                    c.observation_version AS decided_on
             FROM observations o JOIN observation_versions v USING (observation_id)
             JOIN annotations a USING (annotation_id) JOIN documents d ON d.document_id = a.document_id
             JOIN reports r ON r.report_id = o.report_id
             JOIN model_versions m USING (model_version_id)
             LEFT JOIN decisions p ON p.decision_id = v.stated_by
             LEFT JOIN decisions c ON c.decision_id = v.decision_id ",
            $rest
        )
    };
}
pub(super) use select_answer;

impl Store {
    /// One version of an Observation; the current one if none is named.
    pub async fn observation(&self, id: &str, version: Option<i32>) -> Result<Option<Answer>, StoreError> {
        let row = sqlx::query(select_answer!("WHERE o.observation_id = $1 AND v.version = COALESCE($2, o.version)"))
            .bind(id)
            .bind(version)
            .fetch_optional(&self.pool)
            .await
            .map_err(while_doing("reading an Observation"))?;
        row.as_ref().map(answer).transpose()
    }

    /// All versions of an Observation, newest first; none if there is no such Observation.
    pub async fn observation_history(&self, id: &str) -> Result<Vec<Answer>, StoreError> {
        let rows = sqlx::query(select_answer!("WHERE o.observation_id = $1 ORDER BY v.version DESC"))
            .bind(id)
            .fetch_all(&self.pool)
            .await
            .map_err(while_doing("reading an Observation's history"))?;
        rows.iter().map(answer).collect()
    }
}

/// The answer that a row of [`select_answer`] is.
pub(super) fn answer(row: &PgRow) -> Result<Answer, StoreError> {
    let reason: Option<String> = row.get("withdraw_reason");
    let withdrawn = reason.map(|code| known("withdraw_reason", WithdrawReason::from_code(&code))).transpose()?;
    // The model's probability for what it said, also of a version that says what a person says instead.
    let read = known("label", Label::from_code(row.get("read_label")))?;
    let scores: Option<Vec<f32>> = row.get("scores");
    let confidence = scores.and_then(|scores| scores.get(read.position()).copied()).and_then(Score::new);
    let annotated_at: OffsetDateTime = row.get("annotated_at");
    Ok(Answer {
        observation_id: row.get("observation_id"),
        kind: known("kind", Kind::from_code(row.get("kind")))?,
        version: row.get("version"),
        standing: known("status", standing(row.get("status"), withdrawn))?,
        withdrawn,
        recorded_at: row.get("recorded_at"),
        annotated_at,
        report: report_key(row)?,
        document_version: row.get("document_version"),
        source_version: row.get("source_version"),
        about: about(row.get("about"))?,
        narrative: row.get("narrative_id"),
        label: known("label", Label::from_code(row.get("label")))?,
        category: known("category", Category::from_code(row.get("category")))?,
        confidence: known("scores", confidence)?,
        cancer: is_about_cancer(row.get("cancer")),
        evidence: evidence(row.get("evidence"))?.into_iter().map(EvidencePlace::from).collect(),
        model: model_version(row)?,
        performer: reviewer(row, "performer", "performer_name"),
        stated_at: row.get::<Option<_>, _>("stated_at").unwrap_or(annotated_at),
        decision: reviewer(row, "decided_by", "decided_by_name").map(|reviewer| Decision {
            reviewer,
            confirmed: row.get::<&str, _>("verdict") == "confirmed",
            observation_version: row.get("decided_on"),
            decided_at: row.get("decided_at"),
        }),
        linked: linked(row)?,
    })
}

/// The reports that a version answers beside its own.
fn linked(row: &PgRow) -> Result<Vec<ReportKey>, StoreError> {
    let source = report_key(row)?.source;
    let of = |text: String| known("linked", ReportKey::of_source(&source, &text));
    row.get::<Vec<String>, _>("linked").into_iter().map(of).collect()
}

fn reviewer(row: &PgRow, practitioner: &str, name: &str) -> Option<Reviewer> {
    let practitioner: Option<String> = row.get(practitioner);
    practitioner.map(|practitioner| Reviewer { practitioner, name: row.get(name) })
}

/// What a version's status and reason stand for.
pub(super) fn standing(status: &str, withdrawn: Option<WithdrawReason>) -> Option<Standing> {
    match (status, withdrawn) {
        ("preliminary", _) => Some(Standing::Preliminary),
        ("final", _) => Some(Standing::Reviewed),
        ("entered-in-error", Some(WithdrawReason::Refuted)) => Some(Standing::Refuted),
        ("entered-in-error", _) => Some(Standing::Withdrawn),
        _ => None,
    }
}

/// Brings a locked report's Observations in line with its newest document.
pub(super) async fn reconcile_report(
    tx: &mut PgConnection,
    report_id: i64,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT d.state, d.state_reason, d.annotation_id, d.subject, d.about::text AS about, a.label, a.category, a.cancer,
                o.status, v.withdraw_reason, v.annotation_id AS standing_annotation_id,
                v.label AS standing_label, v.category AS standing_category, v.stated_by,
                -- What a person has decided is compared with what the person says, and within the version of the report
                -- that the person has seen, no reading that was refuted or put right is a reason to ask again.
                CASE WHEN c.decision_id IS NULL THEN (a.label, a.category) IS DISTINCT FROM (v.label, v.category)
                     WHEN d.document_id = s.document_id THEN c.verdict = 'confirmed'
                          AND (a.label, a.category) IS DISTINCT FROM (c.label_after, c.category_after)
                          AND (a.label, a.category) IS DISTINCT FROM (c.label_before, c.category_before)
                     ELSE COALESCE(a.label, 'not-stated') <> COALESCE(c.label_after, 'not-stated')
                          OR (a.label <> 'not-stated' AND c.category_after <> 'none' AND a.category <> c.category_after)
                END AS says_otherwise,
                r.source, r.resource_type, r.logical_id,
                EXISTS (SELECT 1 FROM replacements p WHERE p.source = r.source
                        AND p.resource_type = r.resource_type AND p.logical_id = r.logical_id
                        AND p.replacing_report_id <> r.report_id) AS replaced
         FROM reports r JOIN documents d ON d.report_id = r.report_id AND d.version = r.newest_version
         LEFT JOIN annotations a ON a.annotation_id = d.annotation_id
         LEFT JOIN observations o ON o.report_id = r.report_id AND o.kind = 'answer'
         LEFT JOIN observation_versions v ON v.observation_id = o.observation_id AND v.version = o.version
         LEFT JOIN annotations s ON s.annotation_id = v.annotation_id
         LEFT JOIN decisions c ON c.decision_id = v.decision_id
         WHERE r.report_id = $1",
    )
    .bind(report_id)
    .fetch_one(&mut *tx)
    .await
    .map_err(while_doing("comparing an Observation with its report"))?;
    let withdrawn = row.get::<Option<&str>, _>("withdraw_reason").and_then(WithdrawReason::from_code);
    let standing = match row.get::<Option<&str>, _>("status") {
        None => Standing::Absent,
        Some(status) => known("status", standing(status, withdrawn))?,
    };
    let newest: Option<i64> = row.get("annotation_id");
    match reconcile(claim(&row)?, row.get("replaced"), standing) {
        Change::Leave => Ok(()),
        Change::OpenReview => match newest.filter(|_| row.get("says_otherwise")) {
            Some(annotation) if standing == Standing::Refuted => {
                open_review(tx, annotation, "report-changed", now).await
            }
            Some(annotation) => open_review(tx, annotation, "differs-from-final", now).await,
            None => Ok(()),
        },
        Change::Publish if standing == Standing::Preliminary && newest == row.get("standing_annotation_id") => Ok(()),
        Change::Publish => publish(tx, report_id, &row, now).await,
        Change::Withdraw(reason) => {
            withdraw_statements(tx, report_id, reason, None, now).await?;
            if standing == Standing::Refuted {
                return Ok(());
            }
            withdraw(tx, report_id, Kind::Answer, reason, None, now).await
        }
    }
}

/// Writes the newest annotation's answer.
async fn publish(tx: &mut PgConnection, report_id: i64, row: &PgRow, now: OffsetDateTime) -> Result<(), StoreError> {
    let version = NewVersion {
        report_id,
        key: report_key(row)?,
        kind: Kind::Answer,
        status: "preliminary",
        reason: None,
        annotation_id: known("annotation", row.get("annotation_id"))?,
        label: row.get("label"),
        category: row.get("category"),
        decision: None,
        stated_by: None,
        found_by: Some(FoundBy::of(row.get("subject"), row.get("about"), row.get("cancer"))?),
    };
    write_version(tx, version, now).await
}

/// Takes back what a person said of a report beside the answer.
pub(super) async fn withdraw_statements(
    tx: &mut PgConnection,
    report_id: i64,
    reason: WithdrawReason,
    decision: Option<i64>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    for kind in [Kind::Corrected, Kind::DiseaseStatus] {
        withdraw(tx, report_id, kind, reason, decision, now).await?;
    }
    Ok(())
}

/// Takes back one of a report's Observations, if there is one that stands. It keeps all that it says.
pub(super) async fn withdraw(
    tx: &mut PgConnection,
    report_id: i64,
    kind: Kind,
    reason: WithdrawReason,
    decision: Option<i64>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT v.annotation_id, v.label, v.category, v.stated_by, r.source, r.resource_type, r.logical_id
         FROM observations o JOIN observation_versions v USING (observation_id, version) JOIN reports r USING (report_id)
         WHERE o.report_id = $1 AND o.kind = $2 AND o.status <> 'entered-in-error'",
    )
    .bind(report_id)
    .bind(kind.code())
    .fetch_optional(&mut *tx)
    .await
    .map_err(while_doing("reading what is to be withdrawn"))?;
    let Some(row) = row else { return Ok(()) };
    let version = NewVersion {
        report_id,
        key: report_key(&row)?,
        kind,
        status: "entered-in-error",
        reason: Some(reason.code()),
        annotation_id: row.get("annotation_id"),
        label: row.get("label"),
        category: row.get("category"),
        decision,
        stated_by: row.get("stated_by"),
        // It is found by what it was found by before.
        found_by: None,
    };
    write_version(tx, version, now).await
}

/// Writes a report's answer once more, because it stands for another set of reports now. What a person has reviewed stays
/// as that person saw it.
pub(super) async fn renew(tx: &mut PgConnection, report_id: i64, now: OffsetDateTime) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT v.annotation_id, v.label, v.category, r.source, r.resource_type, r.logical_id
         FROM observations o JOIN observation_versions v USING (observation_id, version) JOIN reports r USING (report_id)
         WHERE o.report_id = $1 AND o.kind = 'answer' AND o.status = 'preliminary'",
    )
    .bind(report_id)
    .fetch_optional(&mut *tx)
    .await
    .map_err(while_doing("reading what stands for another report"))?;
    let Some(row) = row else { return Ok(()) };
    let version = NewVersion {
        report_id,
        key: report_key(&row)?,
        kind: Kind::Answer,
        status: "preliminary",
        reason: None,
        annotation_id: row.get("annotation_id"),
        label: row.get("label"),
        category: row.get("category"),
        decision: None,
        stated_by: None,
        found_by: None,
    };
    write_version(tx, version, now).await
}

fn claim(row: &PgRow) -> Result<Claim, StoreError> {
    Ok(match row.get::<&str, _>("state") {
        "annotated" => Claim::Labelled(known("label", Label::from_code(row.get("label")))?),
        // What could not be processed states nothing; people see it in the queue.
        "failed" => Claim::Labelled(Label::NotStated),
        "kept" => Claim::Disposed(Disposition::Keep),
        "linked" => Claim::Disposed(Disposition::Withdraw(WithdrawReason::Linked)),
        "withdrawn" => {
            let reason: Option<&str> = row.get("state_reason");
            let reason = known("state_reason", reason.and_then(WithdrawReason::from_code))?;
            Claim::Disposed(Disposition::Withdraw(reason))
        }
        _ => Claim::Pending,
    })
}

/// The next version of one of a report's Observations.
pub(super) struct NewVersion<'a> {
    pub(super) report_id: i64,
    pub(super) key: ReportKey,
    pub(super) kind: Kind,
    pub(super) status: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) annotation_id: i64,
    pub(super) label: &'a str,
    pub(super) category: &'a str,
    /// The decision that makes it.
    pub(super) decision: Option<i64>,
    /// The decision by which a person stands for it.
    pub(super) stated_by: Option<i64>,
    /// What searches find it by from now on; as before if not given.
    pub(super) found_by: Option<FoundBy>,
}

/// What searches ask for.
pub(super) struct FoundBy {
    cancer: bool,
    subject: Option<String>,
    effective: Option<(OffsetDateTime, OffsetDateTime)>,
    category: Option<&'static str>,
}

impl FoundBy {
    /// From a document's columns and its annotation's.
    pub(super) fn of(subject: Option<String>, about_json: &str, cancer: Option<f32>) -> Result<Self, StoreError> {
        let about = about(about_json)?;
        Ok(Self {
            cancer: is_about_cancer(cancer),
            subject,
            effective: about.effective.as_ref().and_then(Effective::bounds),
            category: about.kind.map(ReportKind::category),
        })
    }
}

/// Writes a version of an Observation, the first or the next: every version of every kind is written here.
pub(super) async fn write_version(
    tx: &mut PgConnection,
    new: NewVersion<'_>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let doing = while_doing("writing an Observation");
    let id = id_of_kind(&new.key, new.kind, sha256);
    let found_by = new.found_by.as_ref();
    let effective = found_by.and_then(|found_by| found_by.effective);
    let version: i32 = sqlx::query_scalar(
        "INSERT INTO observations AS o (observation_id, report_id, kind, version, status, last_updated, cancer, subject,
                                        effective_from, effective_until, category)
         VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (observation_id) DO UPDATE SET
             version = o.version + 1, status = excluded.status, last_updated = excluded.last_updated,
             cancer = CASE WHEN $11 THEN excluded.cancer ELSE o.cancer END,
             subject = CASE WHEN $11 THEN excluded.subject ELSE o.subject END,
             effective_from = CASE WHEN $11 THEN excluded.effective_from ELSE o.effective_from END,
             effective_until = CASE WHEN $11 THEN excluded.effective_until ELSE o.effective_until END,
             category = CASE WHEN $11 THEN excluded.category ELSE o.category END
         RETURNING version",
    )
    .bind(&id)
    .bind(new.report_id)
    .bind(new.kind.code())
    .bind(new.status)
    .bind(now)
    .bind(found_by.is_some_and(|found_by| found_by.cancer))
    .bind(found_by.and_then(|found_by| found_by.subject.as_deref()))
    .bind(effective.map(|(from, _)| from))
    .bind(effective.map(|(_, until)| until))
    .bind(found_by.and_then(|found_by| found_by.category))
    .bind(found_by.is_some())
    .fetch_one(&mut *tx)
    .await
    .map_err(&doing)?;
    sqlx::query(
        "INSERT INTO observation_versions (observation_id, version, status, withdraw_reason, annotation_id, recorded_at,
                                           label, category, decision_id, stated_by, linked)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, COALESCE(array_agg(r.resource_type || '/' || r.logical_id ORDER BY r.report_id), '{}')
         FROM report_links l JOIN reports r USING (report_id) WHERE l.primary_report_id = $11",
    )
    .bind(&id)
    .bind(version)
    .bind(new.status)
    .bind(new.reason)
    .bind(new.annotation_id)
    .bind(now)
    .bind(new.label)
    .bind(new.category)
    .bind(new.decision)
    .bind(new.stated_by)
    .bind(new.report_id)
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    // Whether its source is written to is for the job to know. Our own API is nowhere else.
    let source = &new.key.source;
    if *source == SourceName::local() { Ok(()) } else { enqueue_emit(tx, source, &id).await }
}

/// Asks a person to look at an annotation.
pub(super) async fn open_review(
    tx: &mut PgConnection,
    annotation_id: i64,
    reason: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO reviews (annotation_id, reason, opened_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(annotation_id)
        .bind(reason)
        .bind(now)
        .execute(tx)
        .await
        .map(drop)
        .map_err(while_doing("opening a review"))
}
