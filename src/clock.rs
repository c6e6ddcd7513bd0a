//! Time as a parameter.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now, in UTC, to the millisecond: what FHIR instants show, so that a time that was read can be searched for.
    fn now(&self) -> OffsetDateTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        now.replace_millisecond(now.millisecond()).unwrap_or(now)
    }
}

/// RFC 3339, as FHIR's `instant` wants it.
pub fn instant(time: OffsetDateTime) -> String {
    // Cannot fail because every time between the years 0 and 9999 has an RFC 3339 form.
    time.format(&Rfc3339).expect("a year of four digits")
}
