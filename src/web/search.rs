//! Search parameters of Observation. What is not understood is refused: a filter that is silently ignored gives
//! another patient's answers.

use time::OffsetDateTime;

use super::bases::Bases;
use super::error::ApiError;
use crate::domain::date::period;
use crate::domain::document::{LogicalId, ResourceType, SourceName};
use crate::fhir::author::SYSTEM_OBSERVATION_ID;
use crate::fhir::reference;
use crate::store::{CodeFilter, DateBound, ObservationFilter, Order, PageCursor, SubjectFilter, TimeBound};
use responsum_fhir_authoring::terms;

/// What can be asked, for the message that says so.
const KNOWN: &str = "_id, _source, _lastUpdated, category, code, date, identifier, patient, source, status, subject, _count, _sort=date or _lastUpdated, _format";

/// Entries of a page, if the client does not say.
const COUNT_DEFAULT: usize = 50;

/// Most entries of a page: each is authored when it is read.
const COUNT_MAX: usize = 500;

/// A search, understood.
#[derive(Debug)]
pub struct Search {
    /// What must hold.
    pub filter: ObservationFilter,
    /// In which order.
    pub order: Order,
    /// Entries of a page.
    pub count: usize,
    /// Where the page begins.
    pub after: Option<PageCursor>,
    /// The query without the page, for the links.
    pub query: String,
}

/// Understands a query string. `lenient` passes over what is not known (`Prefer: handling=lenient`).
pub fn parse(query: &str, bases: &Bases, lenient: bool) -> Result<Search, ApiError> {
    let mut search = Search {
        filter: ObservationFilter::default(),
        order: Order::default(),
        count: COUNT_DEFAULT,
        after: None,
        query: String::new(),
    };
    let mut links = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if value.contains('\0') {
            return Err(ApiError::SearchValue("a search parameter"));
        }
        let filter = &mut search.filter;
        match name.as_ref() {
            "_id" => narrow(&mut filter.ids, list(&value)),
            "identifier" => narrow(&mut filter.ids, list(&value).iter().filter_map(|t| identifier(t)).collect()),
            "patient" | "subject:Patient" => filter.subjects.push(subjects(&value, true, bases)),
            "subject" => filter.subjects.push(subjects(&value, false, bases)),
            "_source" => filter.reports.push(reports(&value, bases)),
            "source" => filter.sources = Some(sources(&value)?),
            "code" => filter.codes.push(code(&value)),
            "category" => narrow(&mut filter.categories, list(&value).iter().filter_map(|t| category(t)).collect()),
            "date" => filter.dates.extend(date_bounds(&value)?),
            "status" => narrow(&mut filter.statuses, list(&value)),
            "_lastUpdated" => filter.last_updated.extend(time_bounds(&value)?),
            "_count" => search.count = count(&value)?,
            "_sort" => search.order = order(&value)?,
            "_format" if value.contains("json") => {}
            "_format" => return Err(ApiError::NotAcceptable),
            "_total" | "_pretty" => {}
            "_page" => {
                search.after = Some(cursor(&value).ok_or(ApiError::SearchValue("_page"))?);
                continue;
            }
            _ if lenient => continue,
            _ => return Err(ApiError::SearchParameter(KNOWN)),
        }
        links.append_pair(&name, &value);
    }
    search.query = links.finish();
    Ok(search)
}

/// The query of the next page.
pub fn next_query(search: &Search, cursor: &PageCursor) -> String {
    let micros = cursor.at.unix_timestamp_nanos() / 1000;
    let separator = if search.query.is_empty() { "" } else { "&" };
    format!("{}{separator}_page={micros}-{}", search.query, cursor.id)
}

fn cursor(value: &str) -> Option<PageCursor> {
    // What has no date comes after all that has one: its moment may be before 1970.
    let (sign, value) = value.strip_prefix('-').map_or(("", value), |rest| ("-", rest));
    let (micros, id) = value.split_once('-')?;
    let micros = format!("{sign}{micros}");
    let nanos = micros.parse::<i128>().ok()?.checked_mul(1000)?;
    Some(PageCursor { at: OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?, id: id.to_owned() })
}

/// Values of one parameter are alternatives; a parameter that is given twice must hold twice.
fn narrow(condition: &mut Option<Vec<String>>, values: Vec<String>) {
    *condition = Some(match condition.take() {
        None => values,
        Some(before) => before.into_iter().filter(|value| values.contains(value)).collect(),
    });
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}

/// `system|value`, `|value` or `value`; ours is the only system.
fn identifier(token: &str) -> Option<String> {
    match token.split_once('|') {
        Some((SYSTEM_OBSERVATION_ID, value)) => Some(value.to_owned()),
        Some(_) => None,
        None => Some(token.to_owned()),
    }
}

/// `1`, `Patient/1` or an absolute URL: all the forms in which a report may say the same. What is said without its server
/// is each source's own; an absolute URL is the same wherever it is said.
pub fn subjects(value: &str, patient: bool, bases: &Bases) -> Vec<SubjectFilter> {
    value.split(',').flat_map(|one| subject(one, patient, bases)).collect()
}

fn subject(value: &str, patient: bool, bases: &Bases) -> Vec<SubjectFilter> {
    let of = |reference: &str, source: Option<&SourceName>, relative| SubjectFilter {
        reference: reference.to_owned(),
        source: source.cloned(),
        relative,
    };
    if value.contains(':') {
        let mut forms = vec![of(value, None, false)];
        // Reports of the server itself say it without the server, or by another of its names.
        let parts = value.rsplit_once('/').and_then(|(rest, id)| Some((rest.rsplit_once('/')?, id)));
        if let Some(((base, name), id)) = parts {
            let typed = format!("{name}/{id}");
            for source in bases.named(base) {
                forms.push(of(&typed, Some(&source), false));
                let names = bases.all().filter(|(named, _)| *named == source);
                forms.extend(names.map(|(source, base)| of(&format!("{base}/{typed}"), Some(&source), false)));
            }
        }
        return forms;
    }
    let bare = !value.contains('/');
    // Without a type, `subject` may be any: a patient is what reports are about.
    let guess = bare.then(|| format!("Patient/{value}"));
    let mut forms = Vec::new();
    for typed in guess.into_iter().chain((!bare || !patient).then(|| value.to_owned())) {
        forms.push(of(&typed, None, true));
        forms.extend(bases.all().map(|(source, base)| of(&format!("{base}/{typed}"), Some(&source), true)));
    }
    forms
}

/// `DiagnosticReport/1`, of any source, or an absolute URL, of the source that it is of.
fn reports(value: &str, bases: &Bases) -> Vec<(Option<SourceName>, ResourceType, LogicalId)> {
    let mut all = Vec::new();
    for (prefix, resource_type, logical_id) in value.split(',').filter_map(reference::report) {
        let sources = match prefix {
            "" => vec![None],
            prefix => bases.named(prefix).into_iter().map(Some).collect(),
        };
        all.extend(sources.into_iter().map(|source| (source, resource_type, logical_id.clone())));
    }
    all
}

/// Names of sources, whose reports are meant.
pub fn sources(value: &str) -> Result<Vec<SourceName>, ApiError> {
    value.split(',').map(|name| SourceName::new(name).ok_or(ApiError::SearchValue("source"))).collect()
}

/// Values of `code` are alternatives.
pub fn code(value: &str) -> CodeFilter {
    let mut codes = CodeFilter::default();
    for token in value.split(',') {
        let (system, code) = token.split_once('|').map_or((None, token), |(system, code)| (Some(system), code));
        let of = |known: &str| system.is_none_or(|system| system == known);
        let any = system.is_some() && code.is_empty();
        if of(terms::SYSTEM_OBSERVATION) && (any || code == terms::CODE_TREATMENT_RESPONSE) {
            codes.response = true;
        }
        if of(terms::SYSTEM_LOINC) && (any || code == terms::LOINC_CANCER_RESPONSE) {
            codes.cancer = true;
        }
        if of(terms::SYSTEM_LOINC) && (any || code == terms::LOINC_DISEASE_STATUS) {
            codes.disease_status = true;
        }
    }
    codes
}

/// A code of `observation-category`, with or without the system.
fn category(token: &str) -> Option<String> {
    match token.split_once('|') {
        Some((terms::SYSTEM_CATEGORY_OF_OBSERVATION, code)) => Some(code.to_owned()),
        Some(_) => None,
        None => Some(token.to_owned()),
    }
}

fn order(value: &str) -> Result<Order, ApiError> {
    match value {
        "-_lastUpdated" => Ok(Order::LastUpdatedFirst),
        "_lastUpdated" => Ok(Order::LastUpdatedLast),
        "-date" => Ok(Order::LatestFirst),
        "date" => Ok(Order::EarliestFirst),
        _ => Err(ApiError::SearchValue("_sort")),
    }
}

fn count(value: &str) -> Result<usize, ApiError> {
    value.parse::<usize>().map(|count| count.min(COUNT_MAX)).map_err(|_| ApiError::SearchValue("_count"))
}

/// A prefix, `eq` if there is none, and the stretch of time that the rest names.
fn prefixed<'a>(
    value: &'a str,
    parameter: &'static str,
) -> Result<(&'a str, OffsetDateTime, OffsetDateTime), ApiError> {
    let (prefix, rest) = match value.get(..2) {
        Some(prefix @ ("eq" | "gt" | "ge" | "lt" | "le" | "sa" | "eb")) => (prefix, &value[2..]),
        _ => ("eq", value),
    };
    let (start, end) = period(rest).ok_or(ApiError::SearchValue(parameter))?;
    Ok((prefix, start, end))
}

/// `date`, compared with the stretch of time that `effective[x]` names (FHIR R4, search.html#date).
fn date_bounds(value: &str) -> Result<Vec<DateBound>, ApiError> {
    let (prefix, start, end) = prefixed(value, "date")?;
    Ok(match prefix {
        "gt" => vec![DateBound::EndsAfter(end)],
        "ge" => vec![DateBound::EndsAfter(start)],
        "lt" => vec![DateBound::BeginsBefore(start)],
        "le" => vec![DateBound::BeginsBefore(end)],
        "sa" => vec![DateBound::BeginsFrom(end)],
        "eb" => vec![DateBound::EndsBy(start)],
        _ => vec![DateBound::BeginsFrom(start), DateBound::EndsBy(end)],
    })
}

/// A date or instant with a prefix, as bounds of the period that it stands for (FHIR R4, search.html#date).
fn time_bounds(value: &str) -> Result<Vec<TimeBound>, ApiError> {
    let (prefix, start, end) = prefixed(value, "_lastUpdated")?;
    Ok(match prefix {
        "ge" => vec![TimeBound::From(start)],
        "gt" | "sa" => vec![TimeBound::From(end)],
        "le" => vec![TimeBound::Until(end)],
        "lt" | "eb" => vec![TimeBound::Until(start)],
        _ => vec![TimeBound::From(start), TimeBound::Until(end)],
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::fhir::reference::BaseUrl;

    fn search(query: &str) -> Result<Search, ApiError> {
        parse(query, &bases(), false)
    }

    fn bases() -> Bases {
        let ehr = (SourceName::new("ehr").expect("a name"), BaseUrl::new("http://ehr/r4"));
        Bases::new(BaseUrl::new("http://us/fhir"), vec![ehr])
    }

    #[test]
    fn dates_stand_for_the_period_that_they_name() {
        for (value, from, until) in [
            ("2026", Some(datetime!(2026-01-01 0:00 UTC)), Some(datetime!(2027-01-01 0:00 UTC))),
            ("eq2026-02", Some(datetime!(2026-02-01 0:00 UTC)), Some(datetime!(2026-03-01 0:00 UTC))),
            ("ge2026-02-28", Some(datetime!(2026-02-28 0:00 UTC)), None),
            ("gt2026-02-28", Some(datetime!(2026-03-01 0:00 UTC)), None),
            ("lt2026-02-28", None, Some(datetime!(2026-02-28 0:00 UTC))),
            ("ge2026-02-28T10:00:00Z", Some(datetime!(2026-02-28 10:00 UTC)), None),
            ("ge2026-02-28T10:00:00 01:00", Some(datetime!(2026-02-28 9:00 UTC)), None),
            ("ge2026-02-28T10:00:00-05:00", Some(datetime!(2026-02-28 15:00 UTC)), None),
        ] {
            let expected: Vec<_> =
                [from.map(TimeBound::From), until.map(TimeBound::Until)].into_iter().flatten().collect();
            assert_eq!(time_bounds(value).expect("bounds"), expected, "{value}");
        }
        for value in ["", "yesterday", "2026-13", "ge2026-02-30"] {
            assert!(time_bounds(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_subject_is_found_however_the_report_writes_it() {
        let (local, ehr) = (Some("local"), Some("ehr"));
        for (query, expected) in [
            (
                "patient=1",
                &[("Patient/1", None), ("http://us/fhir/Patient/1", local), ("http://ehr/r4/Patient/1", ehr)][..],
            ),
            ("subject=Patient/1", &[("Patient/1", None), ("http://us/fhir/Patient/1", local)]),
            ("subject=http://us/fhir/Patient/1", &[("Patient/1", local), ("http://us/fhir/Patient/1", None)]),
            ("patient=http://ehr/r4/Patient/1", &[("Patient/1", ehr), ("http://ehr/r4/Patient/1", None)]),
            ("patient=http://other/Patient/1", &[("http://other/Patient/1", None)]),
        ] {
            let filter = search(query).expect("a search").filter;
            let found: Vec<_> = filter.subjects[0]
                .iter()
                .map(|one| (one.reference.as_str(), one.source.as_ref().map(SourceName::as_str)))
                .collect();
            for one in expected {
                assert!(found.contains(one), "{query}: {one:?} is missing in {found:?}");
            }
            let unscoped = found.iter().filter(|(_, source)| source.is_none()).count();
            assert_eq!(unscoped, 1, "{query}: {found:?}");
            assert_eq!(filter.is_relative(), !query.contains("http"), "{query}");
        }
    }

    #[test]
    fn a_source_is_a_report_in_any_form() {
        let named = |name: &str| Some(Some(SourceName::new(name).expect("a name")));
        for (value, source) in [
            ("DiagnosticReport/1", Some(None)),
            ("DiagnosticReport/1/_history/2", Some(None)),
            ("http://us/fhir/DiagnosticReport/1", named("local")),
            ("http://ehr/r4/DiagnosticReport/1/_history/2", named("ehr")),
            ("http://us/sources/gone/DiagnosticReport/1", named("gone")),
            ("http://other/fhir/DiagnosticReport/1", None),
        ] {
            let reports = search(&format!("_source={value}")).expect("a search").filter.reports;
            assert_eq!(reports[0].first().map(|(source, ..)| source.clone()), source, "{value}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_unless_the_client_is_lenient() {
        assert!(search("colour=blue").is_err());
        assert!(search("_sort=status").is_err());
        assert!(parse("colour=blue", &bases(), true).is_ok());
    }

    #[test]
    fn the_next_page_begins_where_this_one_ended() {
        let first = search("status=preliminary&_count=10").expect("a search");
        let end = PageCursor { at: datetime!(2026-01-02 3:04:05.678901 UTC), id: "obs-1".into() };
        let undated = PageCursor { at: datetime!(0001-01-01 0:00 UTC), id: "cor-1".into() };
        for end in [end, undated] {
            let query = next_query(&first, &end);
            assert_eq!(search(&query).expect("a search").after, Some(end));
        }
    }
}
