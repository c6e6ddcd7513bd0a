//! Our Subscriptions at a source, and the count of their events.

use std::collections::BTreeSet;

use time::OffsetDateTime;

/// What a source says of a Subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Asked for, not yet alive.
    Requested,
    /// It notifies.
    Active,
    /// It met a fault, and we must ask for it again.
    Error,
    /// It notifies no more. R5's `entered-in-error` means the same to us.
    Off,
}

impl SubscriptionState {
    /// The state with this code of FHIR.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "requested" => Some(Self::Requested),
            "active" => Some(Self::Active),
            "error" => Some(Self::Error),
            "off" | "entered-in-error" => Some(Self::Off),
            _ => None,
        }
    }

    /// Whether nothing comes of it until we ask again.
    pub const fn is_broken(self) -> bool {
        matches!(self, Self::Error | Self::Off)
    }

    /// The code used in FHIR and SQL.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Active => "active",
            Self::Error => "error",
            Self::Off => "off",
        }
    }
}

/// How a Subscription is made, which decides what its notifications can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionKind {
    /// R4 with search criteria: pings or resources, without event numbers.
    Classic,
    /// R4 or R4B with a topic (Subscriptions Backport guide).
    Backport,
    /// R5 with a topic.
    R5,
}

impl SubscriptionKind {
    /// The kind with this [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Classic, Self::Backport, Self::R5].into_iter().find(|kind| kind.code() == code)
    }

    /// The code used in SQL.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Backport => "backport",
            Self::R5 => "r5",
        }
    }
}

/// Most event numbers that are remembered beyond a gap. With more, the gap is closed by a search anyway.
pub const EVENTS_AHEAD_MAX: usize = 1_000;

/// How far a Subscription's events were heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCount {
    /// Every event up to this number was heard; nothing before the first notification.
    pub last: Option<i64>,
    /// When the newest event that was heard happened, by the source's clock.
    pub last_at: Option<OffsetDateTime>,
    /// The highest number that the source has named.
    pub announced: i64,
    /// Numbers above `last` that were heard.
    pub ahead: BTreeSet<i64>,
}

/// What one notification says of the count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether it is a handshake: the Subscription starts.
    pub handshake: bool,
    /// Whether it is a sign of life only. It is not sent twice, so its total is the newest.
    pub heartbeat: bool,
    /// How many events there were since the Subscription started.
    pub total: Option<i64>,
    /// The events' numbers, with their times.
    pub events: Vec<(i64, Option<OffsetDateTime>)>,
}

/// What to make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing is missing, as far as the count tells.
    Whole,
    /// Events are missing. They may still come: notifications overtake each other.
    Gap,
    /// The count went back, or began somewhere: what lies before cannot be counted, and is to be searched for at once.
    Restarted,
}

impl EventCount {
    /// Whether events are missing.
    pub fn has_gap(&self) -> bool {
        self.last.is_some_and(|last| last < self.announced)
    }

    /// Counts one notification.
    pub fn hear(&mut self, told: &Told) -> Heard {
        let began = match self.last {
            None => self.begin(told),
            Some(last) => {
                let back = self.went_back(last, told);
                if back {
                    *self = Self { last: Some(0), ..Self::default() };
                }
                back
            }
        };
        self.announced = self.announced.max(told.total.unwrap_or(0));
        for (number, at) in &told.events {
            self.announced = self.announced.max(*number);
            self.last_at = self.last_at.max(*at);
            if self.last.is_some_and(|last| *number > last) && self.ahead.len() < EVENTS_AHEAD_MAX {
                self.ahead.insert(*number);
            }
        }
        self.close_ranks();
        match (began, self.has_gap()) {
            (true, _) => Heard::Restarted,
            (false, true) => Heard::Gap,
            (false, false) => Heard::Whole,
        }
    }

    /// A search has found everything up to this number.
    pub fn caught_up(&mut self, until: i64) {
        if self.last.is_some_and(|last| last < until) {
            self.last = Some(until);
            self.close_ranks();
        }
    }

    /// The first that is heard: true if there were events before.
    fn begin(&mut self, told: &Told) -> bool {
        let first = told.events.iter().map(|(number, _)| *number).min();
        let before = match first {
            Some(first) => (first - 1).max(0),
            None => told.total.unwrap_or(0),
        };
        self.last = Some(before);
        before > 0
    }

    /// Whether the source counts anew. A number that was heard already comes again by itself; one that happened after the
    /// newest does not.
    fn went_back(&self, last: i64, told: &Told) -> bool {
        let newer = |at: &OffsetDateTime| self.last_at.is_some_and(|last_at| *at > last_at);
        let repeated = told.events.iter().any(|(number, at)| *number <= last && at.as_ref().is_some_and(newer));
        let total_fell = (told.handshake || told.heartbeat) && told.total.is_some_and(|total| total < last);
        repeated || total_fell
    }

    fn close_ranks(&mut self) {
        let Some(mut last) = self.last else { return };
        while let Some(next) = last.checked_add(1).filter(|next| self.ahead.contains(next)) {
            last = next;
        }
        self.ahead = self.ahead.split_off(&last.saturating_add(1));
        self.last = Some(last);
        self.announced = self.announced.max(last);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn events(numbers: &[i64]) -> Told {
        Told {
            total: numbers.iter().max().copied(),
            events: numbers.iter().map(|n| (*n, None)).collect(),
            ..Told::default()
        }
    }

    fn counted(numbers: &[i64]) -> (EventCount, Heard) {
        let mut count = EventCount::default();
        count.hear(&Told { handshake: true, total: Some(0), ..Told::default() });
        let mut heard = Heard::Whole;
        for number in numbers {
            heard = count.hear(&events(&[*number]));
        }
        (count, heard)
    }

    #[test]
    fn a_gap_opens_and_closes() {
        assert_eq!(counted(&[1, 2]).1, Heard::Whole);
        assert_eq!(counted(&[1, 3]).1, Heard::Gap);
        let (count, heard) = counted(&[1, 3, 4, 2]);
        assert_eq!((heard, count.last, count.ahead.len()), (Heard::Whole, Some(4), 0));
        let (mut count, _) = counted(&[1, 5, 7]);
        count.caught_up(5);
        assert_eq!((count.last, count.has_gap()), (Some(5), true));
        count.caught_up(7);
        assert_eq!((count.last, count.has_gap()), (Some(7), false));
    }

    #[test]
    fn a_sign_of_life_that_names_more_events_than_came_shows_a_gap() {
        let (mut count, _) = counted(&[1, 2]);
        let heartbeat = |total| Told { heartbeat: true, total: Some(total), ..Told::default() };
        assert_eq!(count.hear(&heartbeat(2)), Heard::Whole);
        assert_eq!(count.hear(&heartbeat(4)), Heard::Gap);
        assert_eq!(count.hear(&heartbeat(1)), Heard::Restarted);
        assert_eq!((count.last, count.announced), (Some(0), 1));
    }

    #[test]
    fn a_count_that_begins_anew_is_told_from_a_notification_that_comes_twice() {
        let at = |number, at| Told { events: vec![(number, Some(at))], ..Told::default() };
        let (mut count, _) = counted(&[1]);
        count.hear(&at(2, datetime!(2026-01-01 10:00 UTC)));
        count.hear(&at(3, datetime!(2026-01-01 10:01 UTC)));
        assert_eq!(count.hear(&at(2, datetime!(2026-01-01 10:00 UTC))), Heard::Whole, "twice");
        assert_eq!(count.hear(&at(1, datetime!(2026-01-01 10:02 UTC))), Heard::Restarted);
        assert_eq!((count.last, count.has_gap()), (Some(1), false));
        assert_eq!(count.hear(&Told { handshake: true, total: Some(0), ..Told::default() }), Heard::Restarted);
        assert_eq!(count.last, Some(0));
    }

    #[test]
    fn what_was_before_the_first_that_is_heard_is_to_be_searched_for() {
        let mut count = EventCount::default();
        assert_eq!(count.hear(&events(&[1])), Heard::Whole);
        let mut count = EventCount::default();
        assert_eq!(count.hear(&events(&[5])), Heard::Restarted);
        assert_eq!((count.last, count.has_gap()), (Some(5), false));
    }

    #[test]
    fn no_number_breaks_the_count() {
        let (mut count, heard) = counted(&[i64::MAX]);
        assert_eq!(heard, Heard::Gap);
        count.caught_up(i64::MAX);
        assert!(!count.has_gap());
    }

    proptest! {
        #[test]
        fn neither_order_nor_repetition_matters(
            order in Just((1..=12_i64).collect::<Vec<_>>()).prop_shuffle(),
            again in proptest::collection::vec(1..=12_i64, 0..12),
            lost in 1..=11_i64,
        ) {
            let all: Vec<i64> = order.iter().chain(&again).copied().collect();
            let (count, heard) = counted(&all);
            prop_assert_eq!((count.last, heard), (Some(12), Heard::Whole));
            let some: Vec<i64> = all.into_iter().filter(|number| *number != lost).collect();
            let (count, _) = counted(&some);
            prop_assert_eq!((count.last, count.has_gap()), (Some(lost - 1), true));
        }
    }
}
