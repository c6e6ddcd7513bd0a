//! What differs between two settings, and cannot change while the service runs.

use std::collections::BTreeMap;

use super::{Config, DatabaseConfig, ServerConfig, SourceConfig, WorkerConfig};

impl Config {
    /// The keys whose value in `new` takes a restart. Values are not told: some are secrets.
    pub fn changes_that_need_a_restart(&self, new: &Self) -> Vec<&'static str> {
        // All fields are named, so that a new one is not forgotten here.
        let Self { server, database, worker, model: _, models: _, sources } = self;
        let ServerConfig {
            listen,
            public_url,
            tokens_file,
            body_bytes_max,
            request_head_seconds_max,
            drain_seconds_max,
        } = server;
        let DatabaseConfig { url, url_file, connections_max, embedded, data_dir } = database;
        let WorkerConfig { concurrency, background_concurrency, attempts_max, poll_seconds } = worker;
        let keys = [
            ("server.listen", *listen != new.server.listen),
            ("server.public_url", *public_url != new.server.public_url),
            ("server.tokens_file", *tokens_file != new.server.tokens_file),
            ("server.body_bytes_max", *body_bytes_max != new.server.body_bytes_max),
            ("server.request_head_seconds_max", *request_head_seconds_max != new.server.request_head_seconds_max),
            ("server.drain_seconds_max", *drain_seconds_max != new.server.drain_seconds_max),
            ("database.url", *url != new.database.url),
            ("database.url_file", *url_file != new.database.url_file),
            ("database.connections_max", *connections_max != new.database.connections_max),
            ("database.embedded", *embedded != new.database.embedded),
            ("database.data_dir", *data_dir != new.database.data_dir),
            ("worker.concurrency", *concurrency != new.worker.concurrency),
            ("worker.background_concurrency", *background_concurrency != new.worker.background_concurrency),
            ("worker.attempts_max", *attempts_max != new.worker.attempts_max),
            ("worker.poll_seconds", poll_seconds.to_bits() != new.worker.poll_seconds.to_bits()),
        ];
        let mut keys: Vec<_> = keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect();
        if of_sources(sources) != of_sources(&new.sources) {
            keys.push("sources (but for their models)");
        }
        keys
    }
}

/// The sources, without what can change while the service runs. One that has nothing else is not there.
fn of_sources(sources: &BTreeMap<String, SourceConfig>) -> BTreeMap<&str, SourceConfig> {
    let without_model =
        sources.iter().map(|(name, source)| (name.as_str(), SourceConfig { model: None, ..source.clone() }));
    without_model.filter(|(_, source)| source.base_url.is_some()).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    #[test]
    fn what_takes_a_restart_is_named_by_its_key_and_models_do_not() {
        let running = load("").expect("no faults");
        let new = load(
            "[model]\nreview_below = 0.9\n[models.a]\n[worker]\npoll_seconds = 2.0\n[server]\nlisten = \"127.0.0.1:1\"",
        );
        let changes = running.changes_that_need_a_restart(&new.expect("no faults"));
        assert_eq!(changes, ["server.listen", "worker.poll_seconds"]);
        assert!(running.changes_that_need_a_restart(&running).is_empty());
    }
}
