//! The search by `_lastUpdated`, and what takes its place where a source does not know it.

use std::collections::HashSet;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, Time};

use super::{CatchUpError, CatchUps, take, tell_unreadable};
use crate::clock::instant;
use crate::fhir::page::{self, Page};
use crate::source::{Answer, Criteria, Fault, Source, SourceError};
use crate::store::{CatchUp, Mode};
use crate::telemetry;

/// Entries of a page that are asked for: first many; few where a page is larger than may be read.
const PAGE_COUNTS: [&str; 3] = ["50", "5", "1"];

/// The shortest time between two searches through everything, in seconds: they cost the source much.
const WHOLE_PAUSE_SECONDS: f64 = 300.0;

/// The same while something is known to be missing.
const WHOLE_PAUSE_SECONDS_MIN: f64 = 30.0;

/// Entries of a page that are stored in one transaction: not every server minds how many are asked for.
const ENTRIES_AT_ONCE: usize = 500;

/// Pages of one search, at most. A server that always names another page is not followed for ever.
const PAGES_MAX: usize = 100_000;

/// What became of the first page.
enum First {
    /// Here it is, found in this mode.
    Page(Answer, Mode),
    /// The source does not do this.
    NotOffered,
}

impl CatchUps {
    /// All searches of a source, to their ends. False if one of them has to wait: it was done not long ago, and costs the
    /// source much. `missing` is whether something is known to be missing.
    pub(super) async fn search(
        &self,
        source: &Source,
        criteria: &[Criteria],
        missing: bool,
    ) -> Result<bool, CatchUpError> {
        let mut texts: Vec<String> = criteria.iter().map(Criteria::text).collect();
        texts.extend(histories(source, criteria).map(|(history, _)| history));
        self.store.keep_catch_ups(&source.name, &texts).await?;
        let searches = criteria.iter().map(|criteria| (criteria.text(), Some(criteria)));
        let histories = histories(source, criteria).filter(|(_, offered)| *offered).map(|(history, _)| (history, None));
        let (mut all, mut first_error) = (true, None);
        for (text, criteria) in searches.chain(histories) {
            match self.search_one(source, &text, criteria, missing).await {
                Ok(searched) => all &= searched || criteria.is_none(),
                Err(error) if error.is_of_all() => return Err(first_error.unwrap_or(error)),
                // What one search is refused says nothing of the others.
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(all), Err)
    }

    async fn search_one(
        &self,
        source: &Source,
        text: &str,
        criteria: Option<&Criteria>,
        missing: bool,
    ) -> Result<bool, CatchUpError> {
        let known = self.store.catch_ups(&source.name).await?.into_iter().find(|known| known.criteria == text);
        let mut state = match known {
            Some(known) => known,
            None => self.begin_search(source, text, criteria).await?,
        };
        let now = self.clock.now();
        let done = state.completed_at.map(|at| (now - at).as_seconds_f64());
        let pause = if missing { WHOLE_PAUSE_SECONDS_MIN } else { WHOLE_PAUSE_SECONDS };
        if state.mode == Mode::Whole && state.next_page.is_none() && done.is_some_and(|done| done < pause) {
            return Ok(false);
        }
        for (index, count) in PAGE_COUNTS.iter().enumerate() {
            match self.walk(source, criteria, &mut state, count).await {
                Err(CatchUpError::Source(SourceError { fault: Fault::TooLarge(_), .. }))
                    if index + 1 < PAGE_COUNTS.len() =>
                {
                    state.next_page = None;
                }
                result => return result.map(|()| true),
            }
        }
        Ok(true)
    }

    /// The first search of its kind. Where it begins is written down before anything is asked: a source that is away now
    /// must not make us begin later.
    async fn begin_search(
        &self,
        source: &Source,
        text: &str,
        criteria: Option<&Criteria>,
    ) -> Result<CatchUp, CatchUpError> {
        let since = source.settings.since.as_deref().and_then(moment);
        let state = CatchUp {
            criteria: text.to_owned(),
            mode: if criteria.is_some() { Mode::LastUpdated } else { Mode::History },
            // Deletions of what we never had are nothing to us.
            complete_until: Some(since.filter(|_| criteria.is_some()).unwrap_or_else(|| self.clock.now())),
            running_until: None,
            next_page: None,
            completed_at: None,
        };
        let mut intake = self.store.intake(self.clock.now()).await?;
        intake.note_catch_up(&source.name, &state).await?;
        intake.commit().await?;
        Ok(state)
    }

    /// Goes through all pages, from where an earlier walk ended.
    async fn walk(
        &self,
        source: &Source,
        criteria: Option<&Criteria>,
        state: &mut CatchUp,
        count: &str,
    ) -> Result<(), CatchUpError> {
        let from = state.complete_until.map(|until| until - overlap(source));
        let mut seen: HashSet<String> = state.next_page.clone().into_iter().collect();
        let mut answer = match &state.next_page {
            Some(next) => match source.follow(next).await {
                // Where it must not be asked for, it cannot be gone on from: what is new is on the first page.
                Err(SourceError { fault: Fault::NotAllowed(_), .. }) => None,
                answer => Some(answer?).filter(Answer::is_success),
            },
            None => None,
        };
        for _ in 0..PAGES_MAX {
            let current = match answer.take() {
                Some(answer) => answer,
                // There was no page to go on from, or the source has forgotten it.
                None => match self.first_page(source, criteria, state, from, count).await? {
                    First::Page(answer, mode) => {
                        state.mode = mode;
                        state.running_until = Some(self.asked_at(&answer));
                        answer
                    }
                    First::NotOffered => return self.complete(source, state).await,
                },
            };
            let mut page = page::read(&current.body).map_err(CatchUpError::Page)?;
            if state.mode == Mode::LastUpdated && ignores_time(&page, from) {
                state.mode = Mode::Whole;
            }
            let in_a_circle = page.next.as_ref().is_some_and(|next| !seen.insert(next.clone()));
            if in_a_circle {
                // The next search begins at the first page again.
                page.next = None;
            }
            let next = page.next.clone();
            self.take_page(source, state, page, from).await?;
            telemetry::caught_up(source.name.as_str(), "page");
            if in_a_circle {
                return Err(source.unexpected("the link to a search's next page leads to one that was read").into());
            }
            let Some(next) = next else { return self.complete(source, state).await };
            let following = source.follow(&next).await?;
            if !following.is_success() {
                // The walk begins anew with the next search.
                return Err(source.refused(&following).into());
            }
            answer = Some(following);
        }
        // The next search goes on from here.
        Err(source.unexpected("a search has more than 100000 pages").into())
    }

    /// When the search was asked for, by the source's clock: what changes later is for the next one.
    fn asked_at(&self, answer: &Answer) -> OffsetDateTime {
        let made_at = page::read(&answer.body).ok().and_then(|page| page.made_at);
        answer.date.or(made_at).unwrap_or_else(|| self.clock.now())
    }

    /// The newest come first: what changes while pages are read moves to a place that was passed already, and everything
    /// else moves back by one, so that nothing is passed over. In ascending order it would be.
    async fn first_page(
        &self,
        source: &Source,
        criteria: Option<&Criteria>,
        state: &CatchUp,
        from: Option<OffsetDateTime>,
        count: &str,
    ) -> Result<First, CatchUpError> {
        let from = from.map(|from| instant(from.replace_nanosecond(0).unwrap_or(from)));
        let Some(criteria) = criteria else {
            let since = from.map(|from| format!("&_since={from}")).unwrap_or_default();
            let answer = source.read(&format!("{}?_count={count}{since}", state.criteria)).await?;
            return Ok(if answer.is_success() { First::Page(answer, Mode::History) } else { First::NotOffered });
        };
        let changed = from.map(|from| format!("ge{from}")).unwrap_or_default();
        let changed: &[_] = if changed.is_empty() { &[] } else { &[("_lastUpdated", changed.as_str())] };
        if state.mode == Mode::LastUpdated || self.first_try(&source.name, &state.criteria) {
            for sorted in [&[("_sort", "-_lastUpdated")][..], &[][..]] {
                let answer = source.read(&criteria.query(&[changed, sorted, &[("_count", count)]].concat())).await?;
                if answer.is_success() {
                    return Ok(First::Page(answer, Mode::LastUpdated));
                }
                if !matches!(answer.status, 400 | 422 | 501) {
                    return Err(source.refused(&answer).into());
                }
            }
        }
        // Of what was long ago, at least: `date` is the report's, and both types have it.
        let since = source.settings.since.as_deref().map(|since| format!("ge{since}"));
        let dated: Vec<_> = since.iter().map(|since| ("date", since.as_str())).collect();
        for dated in [&dated[..], &[][..]] {
            let answer = source.read(&criteria.query(&[dated, &[("_count", count)]].concat())).await?;
            if answer.is_success() {
                return Ok(First::Page(answer, Mode::Whole));
            }
            if !matches!(answer.status, 400 | 422 | 501) || dated.is_empty() {
                return Err(source.refused(&answer).into());
            }
        }
        Ok(First::NotOffered)
    }

    /// Takes a page in, and notes where the next one is with the last of it.
    async fn take_page(
        &self,
        source: &Source,
        state: &mut CatchUp,
        page: Page,
        from: Option<OffsetDateTime>,
    ) -> Result<(), CatchUpError> {
        let Page { mut found, mut unreadable, next, .. } = page;
        found.sort_by(|a, b| (a.resource_type, a.id.as_str()).cmp(&(b.resource_type, b.id.as_str())));
        state.next_page = next;
        let mut intake = self.store.intake(self.clock.now()).await?;
        for (at, found) in found.into_iter().enumerate() {
            if at > 0 && at % ENTRIES_AT_ONCE == 0 {
                intake.commit().await?;
                intake = self.store.intake(self.clock.now()).await?;
            }
            let old = found.updated_at.zip(from).is_some_and(|(updated_at, from)| updated_at < from);
            // Of a history, deletions only: what was written is found by the searches, which know what is asked for.
            let wanted = if state.mode == Mode::History { found.resource.is_none() } else { !old };
            if wanted && !take(&mut intake, source, found).await? {
                unreadable += 1;
            }
        }
        intake.note_catch_up(&source.name, state).await?;
        intake.commit().await?;
        tell_unreadable(source, unreadable);
        Ok(())
    }

    async fn complete(&self, source: &Source, state: &mut CatchUp) -> Result<(), CatchUpError> {
        let now = self.clock.now();
        state.complete_until = state.running_until.take().or(state.complete_until);
        (state.next_page, state.completed_at) = (None, Some(now));
        let mut intake = self.store.intake(now).await?;
        intake.note_catch_up(&source.name, state).await?;
        Ok(intake.commit().await?)
    }
}

fn overlap(source: &Source) -> Duration {
    Duration::seconds(i64::try_from(source.settings.overlap_seconds).unwrap_or(i64::from(u16::MAX)))
}

/// The histories of types, which tell of deletions as no search does, and whether the source is known to offer them. Where
/// that is not known yet, how far they were read is not forgotten.
fn histories(source: &Source, criteria: &[Criteria]) -> impl Iterator<Item = (String, bool)> {
    let mut types: Vec<_> = criteria.iter().map(|criteria| criteria.resource_type).collect();
    types.sort_unstable();
    types.dedup();
    types.into_iter().filter_map(|kind| match source.offers(kind.name(), "history-type") {
        Some(false) => None,
        offered => Some((format!("{kind}/_history"), offered.is_some())),
    })
}

/// Whether a source that was asked for what changed since a moment gave everything.
fn ignores_time(page: &Page, from: Option<OffsetDateTime>) -> bool {
    let Some(from) = from else { return false };
    // Servers round; a second is no sign of anything.
    let older = page.found.iter().any(|found| found.updated_at.is_some_and(|at| at < from - Duration::SECOND));
    let says_nothing = !page.found.is_empty() && page.found.iter().all(|found| found.updated_at.is_none());
    older || says_nothing && page.understood.as_deref().is_some_and(|url| !url.contains("_lastUpdated"))
}

/// The first moment of a FHIR date or dateTime.
pub(super) fn moment(text: &str) -> Option<OffsetDateTime> {
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(at);
    }
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    let date = Date::parse(&whole, format_description!("[year]-[month]-[day]")).ok()?;
    Some(date.with_time(Time::MIDNIGHT).assume_utc())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_search_begins_with_the_first_moment_of_a_date() {
        for (text, expected) in [
            ("2026", Some(datetime!(2026-01-01 00:00 UTC))),
            ("2026-03", Some(datetime!(2026-03-01 00:00 UTC))),
            ("2026-03-05", Some(datetime!(2026-03-05 00:00 UTC))),
            ("2026-03-05T10:00:00+01:00", Some(datetime!(2026-03-05 09:00 UTC))),
            ("yesterday", None),
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
    }

    #[test]
    fn a_source_that_gives_everything_is_found_out() {
        let from = datetime!(2026-01-01 10:00 UTC);
        let page = |at: &str, understood: &str| {
            let body = format!(
                r#"{{"resourceType":"Bundle","link":[{{"relation":"self","url":"http://ehr/DiagnosticReport?{understood}"}}],
                    "entry":[{{"resource":{{"resourceType":"DiagnosticReport","id":"a"{at}}}}}]}}"#
            );
            page::read(&body.into()).expect("a page")
        };
        let at = |at: &str| format!(r#","meta":{{"lastUpdated":"{at}"}}"#);
        assert!(!ignores_time(&page(&at("2026-01-01T10:00:00Z"), "_lastUpdated=ge2026"), Some(from)));
        assert!(ignores_time(&page(&at("2025-01-01T10:00:00Z"), "_lastUpdated=ge2026"), Some(from)));
        assert!(!ignores_time(&page("", "_lastUpdated=ge2026"), Some(from)));
        assert!(ignores_time(&page("", "_count=5"), Some(from)));
    }
}
