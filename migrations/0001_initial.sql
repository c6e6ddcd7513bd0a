-- The first schema. docs/data-model.md tells each row's life.
-- Migrations are append-only: a change is a new file (migrations/CHECKSUMS and `cargo xtask test` hold this true).

-- One DiagnosticReport or DocumentReference of a source. The row is the lock under which its versions are ordered.
CREATE TABLE reports (
    report_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source         text NOT NULL,              -- 'local': pushed to our own FHIR API
    resource_type  text NOT NULL CHECK (resource_type IN ('DiagnosticReport', 'DocumentReference')),
    logical_id     text NOT NULL,              -- its id at the source
    newest_version integer NOT NULL CHECK (newest_version >= 1),  -- counted by arrival
    created_at     timestamptz NOT NULL,
    UNIQUE (source, resource_type, logical_id)
);

-- The newest version's business identifiers, for conditional create (If-None-Exist).
CREATE TABLE report_identifiers (
    report_id bigint NOT NULL REFERENCES reports,
    system    text NOT NULL,                   -- '' where the identifier names none
    value     text NOT NULL,
    PRIMARY KEY (report_id, system, value)
);
CREATE INDEX report_identifiers_by_value ON report_identifiers (value, system);

-- Which reports the newest version of a report says that it replaces (relatesTo.code = replaces). The replaced one
-- may be unknown yet, so it is named, not referenced.
CREATE TABLE replacements (
    replacing_report_id bigint NOT NULL REFERENCES reports,
    source              text NOT NULL,
    resource_type       text NOT NULL,
    logical_id          text NOT NULL,
    PRIMARY KEY (replacing_report_id, source, resource_type, logical_id)
);
CREATE INDEX replacements_by_replaced ON replacements (source, resource_type, logical_id);

-- One version of a report, byte for byte.
CREATE TABLE documents (
    document_id   uuid PRIMARY KEY,
    report_id     bigint NOT NULL REFERENCES reports,
    version       integer NOT NULL CHECK (version >= 1),
    received      bytea NOT NULL,              -- as received; empty for a deletion
    sha256        bytea NOT NULL CHECK (length(sha256) = 32),  -- of received
    received_at   timestamptz NOT NULL,
    deleted       boolean NOT NULL DEFAULT false,
    -- A transaction's urn:uuid references and what they stand for: {"urn:uuid:…": "Patient/…"}.
    links         jsonb NOT NULL DEFAULT '{}',
    -- received:  stored, its job is queued
    -- annotated: read; annotation_id is its current annotation
    -- kept:      its status asks for no answer (registered, cancelled, preliminary without text)
    -- withdrawn: its status takes any answer back (entered-in-error, superseded, deleted)
    -- failed:    its job was abandoned; failure says why
    state         text NOT NULL DEFAULT 'received'
                  CHECK (state IN ('received', 'annotated', 'kept', 'withdrawn', 'failed')),
    state_reason  text,                        -- withdrawn: the reason's code; failed: what failed, without report text
    annotation_id bigint,                      -- the one current annotation
    subject       text,                        -- subject.reference with links resolved, for search
    -- {"subject","encounter","effective"} as the report has them, with links resolved; set when it is read
    about         jsonb,
    UNIQUE (report_id, version),
    CHECK ((state = 'annotated') = (annotation_id IS NOT NULL))
);
-- Mostly base64: compressing it costs more time than it saves room.
ALTER TABLE documents ALTER COLUMN received SET STORAGE EXTERNAL;

-- The plain text drawn from a document: an artefact of its own, served as a Binary, never changed. A version of
-- Responsum that draws another text makes another narrative.
CREATE TABLE narratives (
    narrative_id uuid PRIMARY KEY,
    document_id  uuid NOT NULL REFERENCES documents,
    text         text NOT NULL,
    sha256       bytea NOT NULL CHECK (length(sha256) = 32),  -- of text
    created_at   timestamptz NOT NULL,
    UNIQUE (document_id, sha256)
);

-- Every model that has annotated something.
CREATE TABLE model_versions (
    model_version_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id         text NOT NULL,
    version          text NOT NULL,
    sha256           bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),  -- of all that decides its answers
    first_seen_at    timestamptz NOT NULL
);

-- What a model version said of a document's narrative. Append-only; documents.annotation_id points to the current one.
CREATE TABLE annotations (
    annotation_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id      uuid NOT NULL REFERENCES documents,
    model_version_id bigint NOT NULL REFERENCES model_versions,
    narrative_id     uuid NOT NULL REFERENCES narratives,  -- what the model read, and evidence points into
    label            text NOT NULL CHECK (label IN ('responded', 'not-responded', 'not-stated')),
    category         text NOT NULL CHECK (category IN
                     ('complete', 'partial', 'stable', 'no-response', 'progressive', 'mixed', 'indeterminate', 'none')),
    -- Probabilities of responded, not-responded, not-stated; null if the model was not asked (no_answer says why).
    scores           real[] CHECK (array_length(scores, 1) = 3),
    cancer           real,                     -- probability that the disease at issue is a cancer
    -- [{"start","end","offset","length","score"}]: bytes, and Unicode code points, of the narrative
    evidence         jsonb NOT NULL,
    no_answer        text CHECK (no_answer IN ('nothing-readable', 'language-not-supported')),
    needs_review     boolean NOT NULL,
    windows          integer NOT NULL,         -- how many the model read
    coverage         jsonb NOT NULL,           -- {"read":[…],"unread":[…]}: what was read, what was not and why
    created_at       timestamptz NOT NULL,
    UNIQUE (document_id, model_version_id, narrative_id),
    CHECK ((scores IS NULL) = (no_answer IS NOT NULL))
);
ALTER TABLE documents ADD FOREIGN KEY (annotation_id) REFERENCES annotations;

-- A report's Observation: its current version, and what searches ask for. The resource itself is authored from these
-- rows when it is read; so is each version's Provenance.
CREATE TABLE observations (
    observation_id text PRIMARY KEY,           -- hash of source, type, logical id and task
    report_id      bigint NOT NULL UNIQUE REFERENCES reports,
    version        integer NOT NULL CHECK (version >= 1),
    -- preliminary: a machine's answer; final: a person reviewed it; entered-in-error: taken back
    status         text NOT NULL CHECK (status IN ('preliminary', 'final', 'entered-in-error')),
    cancer         boolean NOT NULL,           -- carries LOINC 88040-1 beside our own code
    subject        text,
    last_updated   timestamptz NOT NULL
);
CREATE INDEX observations_by_time ON observations (last_updated DESC, observation_id);
CREATE INDEX observations_by_subject ON observations (subject);

-- Every version of an Observation. Append-only.
CREATE TABLE observation_versions (
    observation_id  text NOT NULL REFERENCES observations,
    version         integer NOT NULL CHECK (version >= 1),
    status          text NOT NULL CHECK (status IN ('preliminary', 'final', 'entered-in-error')),
    withdraw_reason text CHECK (withdraw_reason IN
                    ('entered-in-error', 'deleted', 'superseded', 'no-longer-stated', 'no-longer-reported')),
    annotation_id   bigint NOT NULL REFERENCES annotations,  -- whose answer it gives, or gave
    recorded_at     timestamptz NOT NULL,
    PRIMARY KEY (observation_id, version),
    CHECK ((status = 'entered-in-error') = (withdraw_reason IS NOT NULL))
);

-- What waits for a person.
CREATE TABLE reviews (
    review_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    annotation_id bigint NOT NULL REFERENCES annotations,
    -- low-confidence:    the model is not sure
    -- differs-from-final: a person has reviewed the report's Observation and the machine now says otherwise
    reason        text NOT NULL CHECK (reason IN ('low-confidence', 'differs-from-final')),
    opened_at     timestamptz NOT NULL,
    UNIQUE (annotation_id, reason)
);

-- Resources of other types that came in a Bundle: kept so that references to them stay true, not served.
CREATE TABLE context_resources (
    source        text NOT NULL,
    resource_type text NOT NULL,
    logical_id    text NOT NULL,
    received      bytea NOT NULL,
    received_at   timestamptz NOT NULL,
    PRIMARY KEY (source, resource_type, logical_id)
);

-- The queue. A row is deleted in the transaction that writes its results.
CREATE TABLE jobs (
    job_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('annotate')),
    document_id uuid NOT NULL REFERENCES documents,
    -- When it may be claimed: now for a new one, later after a failure, the end of the lease while a worker has it.
    due_at      timestamptz NOT NULL DEFAULT now(),
    lease       uuid,                          -- the claim that holds it; settling must name it
    attempts    integer NOT NULL DEFAULT 0,    -- claims so far
    abandoned   boolean NOT NULL DEFAULT false,-- given up: stays for people to see and replay
    last_error  text,                          -- what failed last, without report text
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kind, document_id)
);
CREATE INDEX jobs_open ON jobs (job_id, due_at) WHERE NOT abandoned;
