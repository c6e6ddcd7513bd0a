//! What people decide: a decision, the Observations that follow from it and the reviews that it closes, in one transaction.

use futures_util::{Stream, StreamExt as _};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::intake::Precondition;
use super::observations::{FoundBy, NewVersion, standing, withdraw, withdraw_statements, write_version};
use super::rows::{EvidenceColumn, about, evidence, known, report_key};
use super::{Store, StoreError, while_doing};
use crate::domain::decision::{Reviewer, Ruling, Unfit, Verdict, disease_status, rule};
use crate::domain::document::{ReportKey, WithdrawReason};
use crate::domain::label::{Category, Label};
use crate::domain::observation::{Kind, Standing, is_about_cancer};

/// A decision that someone wants to take.
#[derive(Clone, Debug)]
pub struct Deciding {
    /// On which Observation.
    pub observation_id: String,
    /// On which version of it.
    pub precondition: Precondition,
    /// What is decided.
    pub verdict: Verdict,
    /// The version of the report whose reading is meant; what the Observation says if not given.
    pub report_version: Option<i32>,
    /// The person's own words.
    pub comment: Comment,
    /// Who.
    pub reviewer: Reviewer,
}

/// A person's own words, which may tell of a patient.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Comment(pub Option<String>);

impl std::fmt::Debug for Comment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Comment(…)")
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The decision is stored and its Observations are written.
    Taken,
    /// The same person had decided the same: nothing was written.
    StoodAlready,
}

/// Why nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDecided {
    /// There is no such Observation.
    NoObservation,
    /// `If-Match` does not name the newest version.
    VersionConflict,
    /// The version of the report is not the newest.
    ReportVersion,
    /// The Observation is a person's own: decisions are taken on the machine's answer.
    OfAPerson,
    /// The answer was withdrawn with its report.
    Withdrawn,
    /// The version of the report is not annotated, or states no response.
    NothingStated,
    /// The verdict does not go with the answer.
    Unfit(Unfit),
}

/// What is decided on: the answer of a locked report as it stands, or the reading of the report's newest version.
struct Subject {
    report_id: i64,
    key: ReportKey,
    observation_version: i32,
    standing: Standing,
    annotation_id: i64,
    label: Label,
    category: Category,
    about: String,
    patient: Option<String>,
    cancer: Option<f32>,
    stated_by: Option<i64>,
    last: Option<LastDecision>,
}

/// The decision that made the answer's current version.
struct LastDecision {
    observation_version: i32,
    annotation_id: i64,
    confirmed: bool,
    label: Option<Label>,
    category: Category,
    comment: Option<String>,
    practitioner: String,
}

/// A decision as it is given for training.
pub struct ExportedDecision {
    /// Its identity.
    pub id: i64,
    /// The report that it is about.
    pub report: ReportKey,
    /// And its version.
    pub document_version: i32,
    /// The whole narrative that was read.
    pub text: String,
    /// What the machine said.
    pub said: (Label, Category),
    /// What holds: none if the person only said that it is wrong.
    pub holds: Option<(Label, Category)>,
    /// The machine's evidence, in code points of the text: start and end.
    pub evidence: Vec<(usize, usize)>,
    /// Which model said it: id, version.
    pub model: (String, String),
    /// The person's words.
    pub comment: Option<String>,
    /// When.
    pub decided_at: OffsetDateTime,
    /// Whether a later decision on the same version of the report changes it.
    pub superseded: bool,
}

impl Store {
    /// Takes a decision: writes it, the answer's next version, what follows from it, and closes the report's reviews.
    pub async fn decide(
        &self,
        deciding: &Deciding,
        now: OffsetDateTime,
    ) -> Result<Result<Decided, NotDecided>, StoreError> {
        let doing = while_doing("taking a decision");
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        let subject = match subject(&mut tx, deciding).await? {
            Ok(subject) => subject,
            Err(why) => return Ok(Err(why)),
        };
        let ruling = match rule(deciding.verdict, subject.label, subject.category) {
            Ok(ruling) => ruling,
            Err(unfit) => return Ok(Err(NotDecided::Unfit(unfit))),
        };
        if subject.decided_already(deciding, ruling) {
            return Ok(Ok(Decided::StoodAlready));
        }
        let conflict = match deciding.precondition {
            Precondition::None | Precondition::Exists => false,
            Precondition::Version(version) => version != subject.observation_version,
        };
        if conflict {
            return Ok(Err(NotDecided::VersionConflict));
        }
        if subject.standing == Standing::Withdrawn {
            return Ok(Err(NotDecided::Withdrawn));
        }
        let decision = insert_decision(&mut tx, deciding, &subject, &ruling, now).await?;
        write_answer(&mut tx, &subject, &ruling, decision, now).await?;
        write_statements(&mut tx, &subject, &ruling, decision, now).await?;
        close_reviews(&mut tx, subject.report_id, decision, now).await?;
        tx.commit().await.map_err(&doing)?;
        Ok(Ok(Decided::Taken))
    }

    /// Every decision, oldest first, with the text that it is about.
    pub fn decisions(&self) -> impl Stream<Item = Result<ExportedDecision, StoreError>> + '_ {
        sqlx::query(
            "SELECT c.decision_id, c.label_before, c.category_before, c.label_after, c.category_after, c.comment,
                    c.decided_at, a.evidence::text AS evidence, n.text, d.version AS document_version,
                    m.model_id, m.version AS model_version, r.source, r.resource_type, r.logical_id,
                    EXISTS (SELECT 1 FROM decisions l JOIN annotations la USING (annotation_id)
                            WHERE la.document_id = a.document_id AND l.decision_id > c.decision_id) AS superseded
             FROM decisions c JOIN annotations a USING (annotation_id) JOIN narratives n USING (narrative_id)
             JOIN documents d ON d.document_id = a.document_id JOIN reports r ON r.report_id = d.report_id
             JOIN model_versions m USING (model_version_id) ORDER BY c.decision_id",
        )
        .fetch(&self.pool)
        .map(|row| exported(&row.map_err(while_doing("reading decisions"))?))
    }
}

impl Subject {
    /// Whether the same person has decided the same on what stands. Another comment makes it another decision, so that no
    /// word is lost.
    fn decided_already(&self, deciding: &Deciding, ruling: Ruling) -> bool {
        let Some(last) = &self.last else { return false };
        let meant = match deciding.precondition {
            Precondition::None | Precondition::Exists => true,
            // Whoever repeats a request that went through names the version from before.
            Precondition::Version(version) => {
                version == self.observation_version || version == last.observation_version
            }
        };
        let comment = &deciding.comment.0;
        meant
            && last.practitioner == deciding.reviewer.practitioner
            && (last.confirmed, last.label, last.category) == (ruling.confirmed, ruling.label, ruling.category)
            && last.annotation_id == self.annotation_id
            && (comment.is_none() || *comment == last.comment)
    }
}

/// Locks the report and reads what is decided on.
async fn subject(tx: &mut PgConnection, deciding: &Deciding) -> Result<Result<Subject, NotDecided>, StoreError> {
    let doing = while_doing("reading what is decided on");
    let locked: Option<(String, i64)> = sqlx::query_as(
        "SELECT o.kind, r.report_id FROM observations o JOIN reports r USING (report_id)
         WHERE o.observation_id = $1 FOR UPDATE OF r",
    )
    .bind(&deciding.observation_id)
    .fetch_optional(&mut *tx)
    .await
    .map_err(&doing)?;
    let Some((kind, report_id)) = locked else { return Ok(Err(NotDecided::NoObservation)) };
    if kind != Kind::Answer.code() {
        return Ok(Err(NotDecided::OfAPerson));
    }
    // A second query: after waiting for the lock, the first would still see the versions from before.
    let row = sqlx::query(
        "SELECT r.report_id, r.source, r.resource_type, r.logical_id, r.newest_version, o.version, v.status, v.withdraw_reason,
                v.label, v.category, v.annotation_id, v.stated_by, d.about::text AS about, d.subject, a.cancer,
                n.annotation_id AS newest_annotation_id, na.label AS newest_label, na.category AS newest_category,
                na.cancer AS newest_cancer, n.about::text AS newest_about, n.subject AS newest_subject,
                c.observation_version AS decided_on, c.annotation_id AS decided_annotation_id, c.verdict, c.label_after,
                c.category_after, c.comment, c.practitioner
         FROM observations o JOIN reports r USING (report_id)
         JOIN observation_versions v USING (observation_id, version)
         JOIN annotations a ON a.annotation_id = v.annotation_id JOIN documents d ON d.document_id = a.document_id
         JOIN documents n ON n.report_id = r.report_id AND n.version = r.newest_version
         LEFT JOIN annotations na ON na.annotation_id = n.annotation_id
         LEFT JOIN decisions c ON c.decision_id = v.decision_id
         WHERE o.observation_id = $1",
    )
    .bind(&deciding.observation_id)
    .fetch_one(&mut *tx)
    .await
    .map_err(&doing)?;
    debug_assert!(report_id == row.get::<i64, _>("report_id"), "an Observation stays its report's");
    let withdrawn = row.get::<Option<&str>, _>("withdraw_reason").and_then(WithdrawReason::from_code);
    let standing = known("status", standing(row.get("status"), withdrawn))?;
    match deciding.report_version {
        Some(version) if version != row.get::<i32, _>("newest_version") => Ok(Err(NotDecided::ReportVersion)),
        Some(_) => match row.get::<Option<&str>, _>("newest_label").and_then(Label::from_code) {
            None | Some(Label::NotStated) => Ok(Err(NotDecided::NothingStated)),
            Some(_) => subject_of(&row, standing, "newest_").map(Ok),
        },
        None => subject_of(&row, standing, "").map(Ok),
    }
}

/// What the columns with this prefix say.
fn subject_of(row: &PgRow, standing: Standing, prefix: &str) -> Result<Subject, StoreError> {
    let column = |name: &str| format!("{prefix}{name}");
    let last = match row.get::<Option<i32>, _>("decided_on") {
        None => None,
        Some(observation_version) => Some(LastDecision {
            observation_version,
            annotation_id: row.get("decided_annotation_id"),
            confirmed: row.get::<&str, _>("verdict") == "confirmed",
            label: row.get::<Option<&str>, _>("label_after").and_then(Label::from_code),
            category: known("category_after", Category::from_code(row.get("category_after")))?,
            comment: row.get("comment"),
            practitioner: row.get("practitioner"),
        }),
    };
    Ok(Subject {
        report_id: row.get("report_id"),
        key: report_key(row)?,
        observation_version: row.get("version"),
        standing,
        annotation_id: row.get(column("annotation_id").as_str()),
        label: known("label", Label::from_code(row.get(column("label").as_str())))?,
        category: known("category", Category::from_code(row.get(column("category").as_str())))?,
        about: row.get(column("about").as_str()),
        patient: row.get(column("subject").as_str()),
        cancer: row.get(column("cancer").as_str()),
        stated_by: row.get("stated_by"),
        last,
    })
}

async fn insert_decision(
    tx: &mut PgConnection,
    deciding: &Deciding,
    subject: &Subject,
    ruling: &Ruling,
    now: OffsetDateTime,
) -> Result<i64, StoreError> {
    sqlx::query_scalar(
        "INSERT INTO decisions (report_id, observation_id, observation_version, annotation_id, verdict, label_before,
                                category_before, label_after, category_after, comment, practitioner, practitioner_name,
                                decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING decision_id",
    )
    .bind(subject.report_id)
    .bind(&deciding.observation_id)
    .bind(subject.observation_version)
    .bind(subject.annotation_id)
    .bind(deciding.verdict.code())
    .bind(subject.label.code())
    .bind(subject.category.code())
    .bind(ruling.label.map(Label::code))
    .bind(ruling.category.code())
    .bind(&deciding.comment.0)
    .bind(&deciding.reviewer.practitioner)
    .bind(&deciding.reviewer.name)
    .bind(now)
    .fetch_one(tx)
    .await
    .map_err(while_doing("storing a decision"))
}

/// The answer's next version: final with what the person says, or in error with what was refuted.
async fn write_answer(
    tx: &mut PgConnection,
    subject: &Subject,
    ruling: &Ruling,
    decision: i64,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let category = if ruling.confirmed { ruling.category } else { subject.category };
    let version = NewVersion {
        report_id: subject.report_id,
        key: subject.key.clone(),
        kind: Kind::Answer,
        status: if ruling.confirmed { "final" } else { "entered-in-error" },
        reason: (!ruling.confirmed).then(|| WithdrawReason::Refuted.code()),
        annotation_id: subject.annotation_id,
        label: subject.label.code(),
        category: category.code(),
        decision: Some(decision),
        stated_by: if ruling.confirmed { Some(decision) } else { subject.stated_by },
        found_by: Some(subject.found_by()?),
    };
    write_version(tx, version, now).await
}

/// What a person says beside the answer: what is right in its place, and how a cancer trends. What the person does not
/// say any more is taken back.
async fn write_statements(
    tx: &mut PgConnection,
    subject: &Subject,
    ruling: &Ruling,
    decision: i64,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let holds = if ruling.confirmed { Some((subject.label, ruling.category)) } else { ruling.corrected() };
    let Some((label, category)) = holds else {
        return withdraw_statements(tx, subject.report_id, WithdrawReason::Refuted, Some(decision), now).await;
    };
    let status = disease_status(is_about_cancer(subject.cancer), category, &about(&subject.about)?);
    for (kind, holds) in [(Kind::Corrected, !ruling.confirmed), (Kind::DiseaseStatus, status.is_ok())] {
        if !holds {
            withdraw(tx, subject.report_id, kind, WithdrawReason::Refuted, Some(decision), now).await?;
            continue;
        }
        let version = NewVersion {
            report_id: subject.report_id,
            key: subject.key.clone(),
            kind,
            status: "final",
            reason: None,
            annotation_id: subject.annotation_id,
            label: label.code(),
            category: category.code(),
            decision: Some(decision),
            stated_by: Some(decision),
            found_by: Some(subject.found_by()?),
        };
        write_version(tx, version, now).await?;
    }
    Ok(())
}

impl Subject {
    fn found_by(&self) -> Result<FoundBy, StoreError> {
        FoundBy::of(self.patient.clone(), &self.about, self.cancer)
    }
}

async fn close_reviews(
    tx: &mut PgConnection,
    report_id: i64,
    decision: i64,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE reviews SET closed_at = $3, decision_id = $2
         WHERE closed_at IS NULL AND annotation_id IN (
             SELECT a.annotation_id FROM annotations a JOIN documents d USING (document_id) WHERE d.report_id = $1)",
    )
    .bind(report_id)
    .bind(decision)
    .bind(now)
    .execute(tx)
    .await
    .map(drop)
    .map_err(while_doing("closing reviews"))
}

fn exported(row: &PgRow) -> Result<ExportedDecision, StoreError> {
    let label = |column: &str| row.get::<Option<&str>, _>(column).and_then(Label::from_code);
    let category = |column: &str| known("category", Category::from_code(row.get(column)));
    let span = |e: EvidenceColumn| (e.offset, e.offset + e.length);
    Ok(ExportedDecision {
        id: row.get("decision_id"),
        report: report_key(row)?,
        document_version: row.get("document_version"),
        text: row.get("text"),
        said: (known("label_before", label("label_before"))?, category("category_before")?),
        holds: label("label_after").map(|label| Ok((label, category("category_after")?))).transpose()?,
        evidence: evidence(row.get("evidence"))?.into_iter().map(span).collect(),
        model: (row.get("model_id"), row.get("model_version")),
        comment: row.get("comment"),
        decided_at: row.get("decided_at"),
        superseded: row.get("superseded"),
    })
}
