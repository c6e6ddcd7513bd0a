//! Searching Observations.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};
use time::OffsetDateTime;
use time::macros::datetime;

use super::observations::{answer, select_answer};
use super::{Store, StoreError, while_doing};
use crate::domain::document::{LogicalId, ResourceType, SourceName};
use crate::domain::observation::Answer;

/// A reference text of which subjects are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectFilter {
    /// As a report has it.
    pub reference: String,
    /// Whose reports; of any source if none is named.
    pub source: Option<SourceName>,
    /// Whether the search named the subject without its server: then the same text may mean another source's.
    pub relative: bool,
}

/// What a search asks for. Every condition must hold; of a list, one.
#[derive(Clone, Debug, Default)]
pub struct ObservationFilter {
    /// `_id`.
    pub ids: Option<Vec<String>>,
    /// `subject` or `patient`, each time that it is given: the reference texts that are meant.
    pub subjects: Vec<Vec<SubjectFilter>>,
    /// `_source`, each time that it is given: the reports that are meant; of any source if none is named.
    pub reports: Vec<Vec<(Option<SourceName>, ResourceType, LogicalId)>>,
    /// The sources whose reports are meant.
    pub sources: Option<Vec<SourceName>>,
    /// `code`, each time that it is given.
    pub codes: Vec<CodeFilter>,
    /// `status`.
    pub statuses: Option<Vec<String>>,
    /// `category`.
    pub categories: Option<Vec<String>>,
    /// `_lastUpdated`.
    pub last_updated: Vec<TimeBound>,
    /// `date`.
    pub dates: Vec<DateBound>,
}

impl ObservationFilter {
    /// Whether it names a subject or a report without its server.
    pub fn is_relative(&self) -> bool {
        self.subjects.iter().flatten().any(|subject| subject.relative)
            || self.reports.iter().flatten().any(|(source, ..)| source.is_none())
    }
}

/// Which codes of Observations a search asks for: one of them must be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeFilter {
    /// Our own, which every answer has, a machine's or a person's.
    pub response: bool,
    /// LOINC 88040-1, which those about cancer have.
    pub cancer: bool,
    /// LOINC 97509-4, mCODE's Cancer Disease Status.
    pub disease_status: bool,
}

/// A bound on `_lastUpdated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeBound {
    /// At or after.
    From(OffsetDateTime),
    /// Before.
    Until(OffsetDateTime),
}

/// A bound on the stretch of time that `effective[x]` names (FHIR R4, search.html#date).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateBound {
    /// It begins at or after.
    BeginsFrom(OffsetDateTime),
    /// It begins before.
    BeginsBefore(OffsetDateTime),
    /// It ends after.
    EndsAfter(OffsetDateTime),
    /// It ends at or before.
    EndsBy(OffsetDateTime),
}

/// The order of a search's matches; those of the same time by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// `-_lastUpdated`
    #[default]
    LastUpdatedFirst,
    /// `_lastUpdated`
    LastUpdatedLast,
    /// `-date`: by the end of the stretch; what has no date comes last.
    LatestFirst,
    /// `date`: by its beginning; what has no date comes last.
    EarliestFirst,
}

impl Order {
    /// The column that is compared, with a moment for those without a date, and whether the newest come first.
    const fn column(self) -> (&'static str, bool) {
        match self {
            Self::LastUpdatedFirst => ("o.last_updated", true),
            Self::LastUpdatedLast => ("o.last_updated", false),
            Self::LatestFirst => ("COALESCE(o.effective_until, '0001-01-01T00:00:00Z'::timestamptz)", true),
            Self::EarliestFirst => ("COALESCE(o.effective_from, '9999-12-31T00:00:00Z'::timestamptz)", false),
        }
    }

    /// What the column holds in a row.
    fn moment(self, row: &PgRow) -> OffsetDateTime {
        match self {
            Self::LastUpdatedFirst | Self::LastUpdatedLast => row.get("last_updated"),
            Self::LatestFirst => row.get::<Option<_>, _>("effective_until").unwrap_or(datetime!(0001-01-01 0:00 UTC)),
            Self::EarliestFirst => row.get::<Option<_>, _>("effective_from").unwrap_or(datetime!(9999-12-31 0:00 UTC)),
        }
    }
}

/// Where the next page begins: after this Observation, in the order of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageCursor {
    /// The moment that the order compares.
    pub at: OffsetDateTime,
    /// Its id.
    pub id: String,
}

/// One page of a search.
#[derive(Debug)]
pub struct ObservationPage {
    /// In the order of the search.
    pub answers: Vec<Answer>,
    /// How many match in all.
    pub total: i64,
    /// Set if there is more.
    pub next: Option<PageCursor>,
}

impl Store {
    /// How many sources have what a search names by id, subject or report, whatever else it asks for.
    pub async fn sources_meant(&self, filter: &ObservationFilter) -> Result<i64, StoreError> {
        let named = ObservationFilter {
            ids: filter.ids.clone(),
            subjects: filter.subjects.clone(),
            reports: filter.reports.clone(),
            ..ObservationFilter::default()
        };
        let mut counting =
            QueryBuilder::new("SELECT count(DISTINCT r.source) FROM observations o JOIN reports r USING (report_id)");
        push_conditions(&mut counting, &named);
        let doing = while_doing("counting the sources that a search names");
        counting.build_query_scalar().fetch_one(&self.pool).await.map_err(doing)
    }

    /// A page of the current Observations that match.
    pub async fn search_observations(
        &self,
        filter: &ObservationFilter,
        order: Order,
        after: Option<&PageCursor>,
        count: usize,
    ) -> Result<ObservationPage, StoreError> {
        let doing = while_doing("searching Observations");
        let mut counting = QueryBuilder::new("SELECT count(*) FROM observations o JOIN reports r USING (report_id)");
        push_conditions(&mut counting, filter);
        let total: i64 = counting.build_query_scalar().fetch_one(&self.pool).await.map_err(&doing)?;

        let (column, newest_first) = order.column();
        let mut query = QueryBuilder::new(select_answer!(""));
        push_conditions(&mut query, filter);
        query.push(" AND v.version = o.version");
        if let Some(cursor) = after {
            query.push(" AND (").push(column).push(", o.observation_id) ").push(if newest_first {
                "< ("
            } else {
                "> ("
            });
            query.push_bind(cursor.at).push(", ").push_bind(cursor.id.clone()).push(")");
        }
        let direction = if newest_first { " DESC" } else { " ASC" };
        query.push(" ORDER BY ").push(column).push(direction).push(", o.observation_id").push(direction);
        query.push(" LIMIT ").push_bind(i64::try_from(count).unwrap_or(i64::MAX).saturating_add(1));
        let rows = query.build().fetch_all(&self.pool).await.map_err(&doing)?;

        let more = rows.len() > count;
        let answers = rows.iter().take(count).map(answer).collect::<Result<Vec<_>, _>>()?;
        let last = answers.last().zip(rows.get(count.wrapping_sub(1))).filter(|_| more);
        let next = last.map(|(last, row)| PageCursor { at: order.moment(row), id: last.observation_id.clone() });
        Ok(ObservationPage { answers, total, next })
    }
}

fn push_conditions(query: &mut QueryBuilder<Postgres>, filter: &ObservationFilter) {
    query.push(" WHERE true");
    if let Some(ids) = &filter.ids {
        query.push(" AND o.observation_id = ANY(").push_bind(ids.clone()).push(")");
    }
    for subjects in &filter.subjects {
        let of = |subject: &SubjectFilter| {
            (subject.reference.clone(), subject.source.as_ref().map(|source| source.as_str().to_owned()))
        };
        let (references, sources): (Vec<String>, Vec<Option<String>>) = subjects.iter().map(of).unzip();
        // The first condition is what the index answers.
        query.push(" AND o.subject = ANY(").push_bind(references.clone());
        query.push(") AND EXISTS (SELECT FROM unnest(").push_bind(references).push("::text[], ").push_bind(sources);
        query.push("::text[]) AS meant (subject, source)");
        query.push(" WHERE meant.subject = o.subject AND COALESCE(meant.source = r.source, true))");
    }
    if let Some(statuses) = &filter.statuses {
        query.push(" AND o.status = ANY(").push_bind(statuses.clone()).push(")");
    }
    if let Some(categories) = &filter.categories {
        query.push(" AND o.category = ANY(").push_bind(categories.clone()).push(")");
    }
    if let Some(sources) = &filter.sources {
        let names: Vec<String> = sources.iter().map(|source| source.as_str().to_owned()).collect();
        query.push(" AND r.source = ANY(").push_bind(names).push(")");
    }
    for codes in &filter.codes {
        query.push(" AND ((o.kind <> 'disease-status' AND (").push_bind(codes.response);
        query.push(" OR (o.cancer AND ").push_bind(codes.cancer);
        query.push("))) OR (o.kind = 'disease-status' AND ").push_bind(codes.disease_status).push("))");
    }
    push_bounds(query, filter);
    for reports in &filter.reports {
        query.push(" AND (false");
        for (source, resource_type, logical_id) in reports {
            // Or one that is linked to it, for which its answer stands too.
            query.push(" OR EXISTS (SELECT 1 FROM reports k LEFT JOIN report_links l ON l.report_id = k.report_id");
            query.push(" WHERE r.report_id IN (k.report_id, l.primary_report_id) AND k.resource_type = ");
            query.push_bind(resource_type.name());
            query.push(" AND k.logical_id = ").push_bind(logical_id.as_str().to_owned());
            if let Some(source) = source {
                query.push(" AND k.source = ").push_bind(source.as_str().to_owned());
            }
            query.push(")");
        }
        query.push(")");
    }
}

fn push_bounds(query: &mut QueryBuilder<Postgres>, filter: &ObservationFilter) {
    for bound in &filter.last_updated {
        match bound {
            TimeBound::From(time) => query.push(" AND o.last_updated >= ").push_bind(*time),
            TimeBound::Until(time) => query.push(" AND o.last_updated < ").push_bind(*time),
        };
    }
    for bound in &filter.dates {
        match bound {
            DateBound::BeginsFrom(time) => query.push(" AND o.effective_from >= ").push_bind(*time),
            DateBound::BeginsBefore(time) => query.push(" AND o.effective_from < ").push_bind(*time),
            DateBound::EndsAfter(time) => query.push(" AND o.effective_until > ").push_bind(*time),
            DateBound::EndsBy(time) => query.push(" AND o.effective_until <= ").push_bind(*time),
        };
    }
}
