-- Sources: the EHRs that notify us, that we fetch from and that we write back to. Each is a table [sources.NAME] of the
-- settings; 'local' (pushed to our own FHIR API) has no rows here.

-- What the source says of a version, in its resource's meta. Versions of a source are ordered by source_updated_at, then by
-- arrival; version ids are compared, never ordered (they may be UUIDs).
ALTER TABLE documents ADD COLUMN source_version text;
ALTER TABLE documents ADD COLUMN source_updated_at timestamptz;

-- What a document names by reference and we fetched: attachments by URL, result Observations. As received.
CREATE TABLE fetched_contents (
    document_id  uuid NOT NULL REFERENCES documents,
    reference    text NOT NULL,                -- the URL or reference as the document has it
    content_type text,                         -- what the answer said, or the Binary's contentType
    received     bytea,                        -- null if it could not be had: failure says why
    sha256       bytea CHECK (length(sha256) = 32),  -- of received
    failure      text,                         -- without report text and URL
    fetched_at   timestamptz NOT NULL,
    PRIMARY KEY (document_id, reference),
    CHECK ((received IS NULL) = (failure IS NOT NULL)),
    CHECK ((received IS NULL) = (sha256 IS NULL))
);
ALTER TABLE fetched_contents ALTER COLUMN received SET STORAGE EXTERNAL;

-- Our Subscriptions at a source, and how far we have heard. One that others made is here too, once it has notified us.
CREATE TABLE subscriptions (
    source            text NOT NULL,
    subscription_id   text NOT NULL,           -- its logical id at the source
    -- classic:  R4 with search criteria; pings or resources, without event numbers
    -- backport: R4 or R4B with a topic (Subscriptions Backport IG)
    -- r5:       R5 with a topic
    kind              text NOT NULL CHECK (kind IN ('classic', 'backport', 'r5')),
    criteria          text,                    -- what we made it for, like DiagnosticReport?category=…; null: made by others
    topic             text,                    -- canonical URL; null for classic
    heartbeat_seconds integer,                 -- the longest silence that is promised; null: none
    -- What the source last said of it: requested, active, error, off
    status            text NOT NULL CHECK (status IN ('requested', 'active', 'error', 'off')),
    last_event        bigint,                  -- every event up to this number was taken in; null before the first
    last_event_at     timestamptz,             -- when the newest event happened, by the source's clock
    announced         bigint NOT NULL DEFAULT 0, -- the highest event number that the source has named
    gap_since         timestamptz,             -- since when events between last_event and announced are missing; null: none are
    heard_at          timestamptz,             -- the last notification, heartbeats and handshakes among them
    checked_at        timestamptz,             -- when we last read it at the source, or tried to
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (source, subscription_id)
);

-- Event numbers that were taken in beyond a gap: deleted as the gap closes and last_event passes them.
CREATE TABLE events_ahead (
    source          text NOT NULL,
    subscription_id text NOT NULL,
    event_number    bigint NOT NULL,
    PRIMARY KEY (source, subscription_id, event_number),
    FOREIGN KEY (source, subscription_id) REFERENCES subscriptions ON DELETE CASCADE
);

-- How far the search for what was missed has come, for each source and each search of its settings.
CREATE TABLE catch_ups (
    source          text NOT NULL,
    criteria        text NOT NULL,             -- like DiagnosticReport?category=…: a change of the settings begins anew
    -- last-updated: the source finds what changed since a moment (_lastUpdated)
    -- whole:        it cannot; everything that matches is gone through, and versions that are known are passed over
    -- history:      deletions, by the type's _history
    mode            text NOT NULL CHECK (mode IN ('last-updated', 'whole', 'history')),
    complete_until  timestamptz,               -- every change before this moment of the source's clock was taken in
    -- A search that is under way: what it will be complete until, and its next page; null when none is.
    running_until   timestamptz,
    next_page       text,
    completed_at    timestamptz,               -- when the last one ended, by our clock
    PRIMARY KEY (source, criteria)
);

-- A first load by $export that is under way.
CREATE TABLE exports (
    source          text PRIMARY KEY,
    status_url      text,                      -- where it is asked how far it is; null once the manifest has come
    manifest        jsonb,                     -- files that are to be read: [{type, url}]
    complete_until  timestamptz,               -- the manifest's transactionTime
    file            integer NOT NULL DEFAULT 0,  -- the first file that is not read to its end
    line            bigint NOT NULL DEFAULT 0, -- lines of it that were taken in
    bad_lines       bigint NOT NULL DEFAULT 0, -- lines that are no resource; they are passed over
    started_at      timestamptz NOT NULL,
    ended_at        timestamptz                -- it is not begun a second time
);

-- Where an Observation of ours stands at the report's source.
CREATE TABLE emissions (
    observation_id  text PRIMARY KEY REFERENCES observations,
    source          text NOT NULL,
    remote_id       text,                      -- its logical id there; null until it was written
    remote_etag     text,                      -- of the version that we wrote last, opaque
    remote_version  text,                      -- its meta.versionId there, for its Provenance to name; null if not told
    -- Our version whose writing was begun last. More than written_version: whether it arrived is not known, and the source
    -- is asked before anything is written again.
    begun_version   integer NOT NULL DEFAULT 0,
    written_version integer NOT NULL DEFAULT 0,-- our version that stands there; 0: none yet
    provenance_version integer NOT NULL DEFAULT 0,  -- the last version whose Provenance was written there
    written_at      timestamptz,
    failure         text                       -- the last permanent fault, without report text; null if all is well
);

-- Our Device for a model version at a source.
CREATE TABLE remote_devices (
    source           text NOT NULL,
    model_version_id bigint NOT NULL REFERENCES model_versions,
    remote_id        text NOT NULL,
    PRIMARY KEY (source, model_version_id)
);

-- Four kinds of jobs more: what passes between a source and us. They are claimed by source, so that one slow source never
-- holds up another.
-- fetch:    read a report (target: Type/id) from its source and store it
-- contents: read what a document (target: its id) names by reference; then it is annotated
-- emit:     bring an Observation (target: its id) at the source in line with ours
-- catch-up: search the source for what was missed (target is empty)
-- There is one row for each target, however often it is asked for: asking again while it is worked on makes it be done
-- once more.
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check
    CHECK (kind IN ('annotate', 'shadow', 'reannotate', 'fetch', 'contents', 'emit', 'catch-up'));
ALTER TABLE jobs DROP CONSTRAINT jobs_check2;  -- (kind = 'reannotate') = (document_id IS NULL)
ALTER TABLE jobs ADD CHECK ((kind IN ('annotate', 'shadow')) = (document_id IS NOT NULL));
ALTER TABLE jobs ADD COLUMN source text;       -- fetch, contents, emit, catch-up: which
ALTER TABLE jobs ADD COLUMN target text;       -- fetch, contents, emit: what; catch-up: empty
ALTER TABLE jobs ADD COLUMN asked integer NOT NULL DEFAULT 1;  -- how often it was asked for; a claim remembers the number
ALTER TABLE jobs ADD CHECK ((kind IN ('fetch', 'contents', 'emit', 'catch-up')) = (source IS NOT NULL));
ALTER TABLE jobs ADD CHECK ((source IS NULL) = (target IS NULL));
CREATE UNIQUE INDEX jobs_of_sources ON jobs (source, kind, target) WHERE source IS NOT NULL;
CREATE INDEX jobs_open_of_sources ON jobs (source, due_at, job_id) WHERE NOT abandoned AND source IS NOT NULL;
-- The background's index holds its own kinds only.
DROP INDEX jobs_open_background;
CREATE INDEX jobs_open_background ON jobs (due_at, job_id) WHERE NOT abandoned AND kind IN ('shadow', 'reannotate');
