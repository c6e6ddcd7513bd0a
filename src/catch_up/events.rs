//! `$events`: a source sends again what it has told of a Subscription.

use super::{CatchUpError, CatchUps};
use crate::fhir::notification::{self, Address, Notification};
use crate::notified;
use crate::source::Source;
use crate::store::Subscription;
use crate::telemetry;

/// Rounds of `$events` for one gap: a source may give fewer than it was asked for.
const ROUNDS_MAX: usize = 20;

impl CatchUps {
    /// Asks for the events that are missing. A source that does not do this, or not all of it, is searched afterwards anyway.
    pub(super) async fn ask_for_events(
        &self,
        source: &Source,
        subscription: &Subscription,
    ) -> Result<(), CatchUpError> {
        let mut last = subscription.last_event;
        for _ in 0..ROUNDS_MAX {
            let Some(after) = last.filter(|last| *last < subscription.announced) else { return Ok(()) };
            let path = format!(
                "Subscription/{}/$events?eventsSinceNumber={}&eventsUntilNumber={}&content=id-only",
                subscription.id.as_str(),
                after.saturating_add(1),
                subscription.announced
            );
            let answer = source.read(&path).await?;
            let given = answer.is_success().then(|| notification::read(Address::Endpoint, None, &answer.body));
            let Some(Ok(topic @ Notification::Topic(_))) = given else { return Ok(()) };
            notified::take(&self.store, source, topic, self.clock.now()).await?;
            telemetry::caught_up(source.name.as_str(), "events");
            let now = self.store.subscriptions(&source.name).await?;
            let now = now.into_iter().find(|known| known.id == subscription.id).and_then(|known| known.last_event);
            if now <= last {
                return Ok(());
            }
            last = now;
        }
        Ok(())
    }
}
