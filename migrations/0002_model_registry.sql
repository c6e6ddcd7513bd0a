-- Several models: those that look on (shadow), and stored documents that are annotated again.

-- What a model said of a document's narrative while another model answered. Apart from annotations, so that nothing that
-- leaves or that a person is asked about (observation_versions, reviews) can refer to it. Append-only.
CREATE TABLE shadow_annotations (
    shadow_annotation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
    windows          integer NOT NULL,         -- how many the model read
    created_at       timestamptz NOT NULL,
    UNIQUE (document_id, model_version_id, narrative_id),
    CHECK ((scores IS NULL) = (no_answer IS NOT NULL))
);

-- Two models are compared by what each said of the same documents.
CREATE INDEX shadow_annotations_by_model ON shadow_annotations (model_version_id, document_id);
CREATE INDEX annotations_by_model ON annotations (model_version_id, document_id);

-- Stored documents that are annotated again by one model, in the order of their document_id. The row is the position:
-- it moves in the transaction that writes a document's results.
CREATE TABLE reannotations (
    reannotation_id  uuid PRIMARY KEY,
    model_name       text NOT NULL,            -- as the settings name it
    model_version_id bigint NOT NULL REFERENCES model_versions,  -- and what was loaded under the name when it began
    source           text,                     -- only documents of this source; null: of all
    since            timestamptz,              -- only documents that were received at or after; null: whenever
    until_document   uuid,                     -- the last document; later ones are new and annotated anyway; null: none
    position         uuid,                     -- the last document that is done; null: none yet
    -- Counted when it begins; set to what was done at the end: a document that gets a newer version meanwhile is left out
    total            bigint NOT NULL CHECK (total >= 0),
    done             bigint NOT NULL DEFAULT 0,-- documents that have an annotation by the model now
    failed           bigint NOT NULL DEFAULT 0,-- documents that were passed over; reannotation_failures says why
    -- running:   its job is queued or held by a worker
    -- completed: every document is done or failed
    -- cancelled: someone stopped it; what is done stays
    -- failed:    the model is not loaded any more; what is done stays
    state            text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'completed', 'cancelled', 'failed')),
    state_reason     text,                     -- failed: why
    created_at       timestamptz NOT NULL,
    ended_at         timestamptz,              -- when it was completed, cancelled or failed
    CHECK ((state = 'running') = (ended_at IS NULL))
);
-- A model annotates what is stored once at a time.
CREATE UNIQUE INDEX reannotations_running ON reannotations (model_version_id) WHERE state = 'running';

-- The documents that a re-annotation passed over.
CREATE TABLE reannotation_failures (
    reannotation_id uuid NOT NULL REFERENCES reannotations,
    document_id     uuid NOT NULL REFERENCES documents,
    error           text NOT NULL,             -- what failed, without report text
    failed_at       timestamptz NOT NULL,
    PRIMARY KEY (reannotation_id, document_id)
);

-- The queue has three kinds of jobs now:
-- annotate:   a new document; goes before the others
-- shadow:     a document that the model model_name annotates beside the one that answers
-- reannotate: the next document of a re-annotation; the job stays until the last one is done
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('annotate', 'shadow', 'reannotate'));
ALTER TABLE jobs ALTER COLUMN document_id DROP NOT NULL;
ALTER TABLE jobs ADD COLUMN model_name text NOT NULL DEFAULT '';  -- shadow: which model; else empty
ALTER TABLE jobs ADD COLUMN reannotation_id uuid UNIQUE REFERENCES reannotations;
ALTER TABLE jobs ADD CHECK ((kind = 'shadow') = (model_name <> ''));
ALTER TABLE jobs ADD CHECK ((kind = 'reannotate') = (reannotation_id IS NOT NULL));
ALTER TABLE jobs ADD CHECK ((kind = 'reannotate') = (document_id IS NULL));
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_document_id_key;
ALTER TABLE jobs ADD UNIQUE (kind, document_id, model_name);
-- New documents: the oldest first. The others take turns: a job that is given back stands behind those that wait.
DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (job_id, due_at) WHERE NOT abandoned AND kind = 'annotate';
CREATE INDEX jobs_open_background ON jobs (due_at, job_id) WHERE NOT abandoned AND kind <> 'annotate';
