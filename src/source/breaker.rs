//! A circuit breaker: a source that does not answer is left alone for a while, and then asked once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row after which a source is left alone.
const FAILURES_MAX: u32 = 5;

/// How long it is left alone at first; doubles with every probe that fails.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// And at most.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// How soon it is looked whether a probe has come back.
const PROBE_LOOK: Duration = Duration::from_secs(1);

/// The longest that a source may ask us to wait. One that says more is asked again after this.
pub(super) const WAIT_MAX: Duration = Duration::from_hours(1);

/// Whether a source is asked at all.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since the last success.
    failures: u32,
    /// Open: nothing is asked until then.
    open_until: Option<Instant>,
    /// The pause that it was opened for.
    pause: Duration,
    /// Half open: the one request that finds out, since when.
    probing: Option<Instant>,
    /// The source asked us to wait until then.
    wait_until: Option<Instant>,
}

/// A request that was let through: what became of it is told with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// One of many.
    Plain,
    /// The one that finds out whether the source is back.
    Probe,
}

impl Breaker {
    /// Lets a request through, or says how long to wait. A probe that has not come back after `request_max` is given up.
    pub(super) fn admit(&self, now: Instant, request_max: Duration) -> Result<Pass, Duration> {
        let mut state = self.state();
        if let Some(pause) = state.closed_for(now, request_max) {
            return Err(pause);
        }
        if state.open_until.is_none() {
            return Ok(Pass::Plain);
        }
        state.probing = Some(now);
        Ok(Pass::Probe)
    }

    /// How long nothing is asked; none if a request would be let through.
    pub(super) fn pause(&self, now: Instant, request_max: Duration) -> Option<Duration> {
        self.state().closed_for(now, request_max)
    }

    /// The source answered.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        let wait_until = state.wait_until;
        *state = State { wait_until, ..State::default() };
    }

    /// It did not, or said that it cannot. True if it is left alone from now on.
    pub(super) fn failed(&self, pass: Pass, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let opens = match pass {
            Pass::Probe => true,
            Pass::Plain => state.open_until.is_none() && state.failures >= FAILURES_MAX,
        };
        if opens {
            state.pause = (state.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            state.open_until = Some(now + state.pause);
            state.probing = None;
        }
        opens || state.open_until.is_some()
    }

    /// The request ended without telling anything of the source.
    pub(super) fn let_go(&self, pass: Pass) {
        if pass == Pass::Probe {
            self.state().probing = None;
        }
    }

    /// The source asks us to wait.
    pub(super) fn wait(&self, now: Instant, pause: Duration) {
        let until = now + pause;
        let mut state = self.state();
        state.wait_until = Some(state.wait_until.map_or(until, |before| before.max(until)));
    }

    /// Whether it is open or half open.
    pub(super) fn is_open(&self) -> bool {
        self.state().open_until.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds it can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn closed_for(&mut self, now: Instant, request_max: Duration) -> Option<Duration> {
        if self.wait_until.is_some_and(|until| until <= now) {
            self.wait_until = None;
        }
        let waits = self.wait_until.map(|until| until - now);
        let open = self.open_until.filter(|until| *until > now).map(|until| until - now);
        // A probe tells soon, one way or the other.
        let probing = self.probing.map(|since| (since + request_max).saturating_duration_since(now).min(PROBE_LOOK));
        let pauses = [waits, open, probing.filter(|left| !left.is_zero())];
        pauses.into_iter().flatten().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST_MAX: Duration = Duration::from_secs(30);

    #[test]
    fn a_source_that_fails_five_times_is_left_alone_and_then_asked_once() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for n in 1..=5 {
            let pass = breaker.admit(start, REQUEST_MAX).expect("let through");
            assert_eq!(breaker.failed(pass, start), n == 5, "{n}");
        }
        assert_eq!(breaker.admit(start, REQUEST_MAX), Err(PAUSE_MIN));
        let later = start + PAUSE_MIN;
        assert_eq!(breaker.admit(later, REQUEST_MAX), Ok(Pass::Probe));
        assert_eq!(breaker.admit(later, REQUEST_MAX), Err(PROBE_LOOK), "one at a time");
        breaker.failed(Pass::Probe, later);
        assert_eq!(breaker.admit(later, REQUEST_MAX), Err(PAUSE_MIN * 2), "the pause doubles");
        let back = later + PAUSE_MIN * 2;
        assert_eq!(breaker.admit(back, REQUEST_MAX), Ok(Pass::Probe));
        breaker.succeeded();
        assert_eq!(breaker.admit(back, REQUEST_MAX), Ok(Pass::Plain));
        assert!(!breaker.is_open());
    }

    #[test]
    fn the_pause_has_a_ceiling_and_a_success_between_failures_starts_the_count_anew() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..4 {
            breaker.failed(Pass::Plain, now);
        }
        breaker.succeeded();
        for _ in 0..4 {
            assert!(!breaker.failed(Pass::Plain, now));
        }
        breaker.failed(Pass::Plain, now);
        for _ in 0..10 {
            now += breaker.pause(now, REQUEST_MAX).expect("open");
            assert_eq!(breaker.admit(now, REQUEST_MAX), Ok(Pass::Probe));
            breaker.failed(Pass::Probe, now);
        }
        assert_eq!(breaker.pause(now, REQUEST_MAX), Some(PAUSE_MAX));
    }

    #[test]
    fn a_source_that_asks_us_to_wait_is_given_the_time() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        breaker.wait(now, Duration::from_secs(7));
        breaker.succeeded();
        assert_eq!(breaker.pause(now, REQUEST_MAX), Some(Duration::from_secs(7)));
        assert_eq!(breaker.pause(now + Duration::from_secs(7), REQUEST_MAX), None);
    }

    #[test]
    fn a_probe_that_never_comes_back_is_given_up() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        (0..5).for_each(|_| {
            let _ = breaker.failed(Pass::Plain, now);
        });
        let later = now + PAUSE_MIN;
        assert_eq!(breaker.admit(later, REQUEST_MAX), Ok(Pass::Probe));
        assert_eq!(breaker.admit(later + REQUEST_MAX, REQUEST_MAX), Ok(Pass::Probe));
    }
}
