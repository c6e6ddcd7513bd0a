//! FHIR dates as stretches of time.

use time::format_description::well_known::Rfc3339;
use time::macros::{format_description, time};
use time::{Date, Duration, OffsetDateTime};

use super::document::Effective;

/// First moment, and first moment after, of a year, month, day or instant; in UTC where no zone is given.
pub fn period(text: &str) -> Option<(OffsetDateTime, OffsetDateTime)> {
    let midnight = |date: Date| date.with_time(time!(0:00)).assume_utc();
    let day = |text: &str| Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    match text.len() {
        4 => {
            let year: i32 = text.parse().ok()?;
            let first = |year| Date::from_calendar_date(year, time::Month::January, 1).ok();
            Some((midnight(first(year)?), midnight(first(year + 1)?)))
        }
        7 => {
            let first = day(&format!("{text}-01"))?;
            let days = i64::from(first.month().length(first.year()));
            Some((midnight(first), midnight(first.checked_add(Duration::days(days))?)))
        }
        10 => day(text).and_then(|first| Some((midnight(first), midnight(first.next_day()?)))),
        _ => {
            // A `+` of a zone arrives as a space where the client did not encode it.
            let text = text.replace(' ', "+");
            let zoned = if text.contains(['Z', '+']) || text.rfind('-').is_some_and(|at| at > 9) {
                text
            } else {
                format!("{text}Z")
            };
            let instant = OffsetDateTime::parse(&zoned, &Rfc3339).ok()?;
            let step = if zoned.contains('.') { Duration::microseconds(1) } else { Duration::seconds(1) };
            Some((instant, instant.checked_add(step)?))
        }
    }
}

/// How exact a FHIR `dateTime` is: `year`, `month`, `day` or `instant`.
pub fn precision(text: &str) -> &'static str {
    match text.len() {
        4 => "year",
        7 => "month",
        10 => "day",
        _ => "instant",
    }
}

/// Whether the text is a FHIR `dateTime`: what has a time has seconds and a zone, and the year has four digits and is
/// not before 1000.
pub fn is_date_time(text: &str) -> bool {
    let time_is_whole = !text.contains('T') || OffsetDateTime::parse(text, &Rfc3339).is_ok();
    let dated = text.len() > 10 || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    time_is_whole
        && dated
        && !text.contains(' ')
        && text.as_bytes().first().is_some_and(|byte| (b'1'..=b'9').contains(byte))
        && period(text).is_some()
}

impl Effective {
    /// The stretch of time that it names; of a period without an end, or without a beginning, what there is of it.
    /// Nothing if FHIR cannot hold it.
    pub fn bounds(&self) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let of = |text: &String| is_date_time(text).then(|| period(text)).flatten();
        match self {
            Self::DateTime(text) => of(text),
            Self::Period { start, end } => match (start.as_ref().and_then(of), end.as_ref().and_then(of)) {
                (Some((from, _)), Some((_, until))) => (from < until).then_some((from, until)),
                (Some(only), None) | (None, Some(only)) => Some(only),
                (None, None) => None,
            },
        }
    }

    /// The one `dateTime` that says when what it dates was known: of a period its end, if it has one. A state that is
    /// told at the end of a stay was not known at its beginning.
    pub fn known_at(&self) -> Option<&str> {
        let usable = |text: &&String| is_date_time(text);
        match self {
            Self::DateTime(text) => Some(text).filter(usable),
            Self::Period { start, end } => {
                self.bounds()?;
                end.as_ref().filter(usable).or(start.as_ref().filter(usable))
            }
        }
        .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn from_to(start: &str, end: &str) -> Effective {
        let side = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Effective::Period { start: side(start), end: side(end) }
    }

    #[test]
    fn a_date_time_is_what_fhir_says_it_is() {
        for good in ["2026", "2026-02", "2026-02-28", "2026-02-28T10:00:00Z", "2026-02-28T10:00:00.5+01:00"] {
            assert!(is_date_time(good), "{good}");
        }
        for bad in [
            "",
            "26",
            "0026",
            "soon",
            "2026-13",
            "2026-02-30",
            "2026-02-28T10:00:00",
            "2026-02-28T10:00Z",
            "2026/02/28",
        ] {
            assert!(!is_date_time(bad), "{bad}");
        }
    }

    #[test]
    fn a_period_is_known_at_its_end() {
        for (effective, known_at) in [
            (Effective::DateTime("2026-02".to_owned()), Some("2026-02")),
            (Effective::DateTime("soon".to_owned()), None),
            (from_to("2026-02-01", "2026-02-10"), Some("2026-02-10")),
            (from_to("2026-02-01", ""), Some("2026-02-01")),
            (from_to("2026-02-01", "soon"), Some("2026-02-01")),
            (from_to("2026-02-10", "2026-02-01"), None),
            (from_to("", ""), None),
        ] {
            assert_eq!(effective.known_at(), known_at, "{effective:?}");
        }
        let bounds = from_to("2026-02-01", "2026-02-10").bounds();
        assert_eq!(bounds, Some((datetime!(2026-02-01 0:00 UTC), datetime!(2026-02-11 0:00 UTC))));
    }
}
