-- What people decide on answers, and the Observations that follow from it.

-- A person's decision on one version of a report's answer. Append-only: one that changes a mind is another row.
CREATE TABLE decisions (
    decision_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    report_id           bigint NOT NULL REFERENCES reports,
    observation_id      text NOT NULL REFERENCES observations,  -- the machine's answer
    observation_version integer NOT NULL,      -- the version of it that was decided on
    annotation_id       bigint NOT NULL REFERENCES annotations,  -- the reading that was decided on
    -- confirmed: the machine's answer stands as the person's, its category perhaps put right
    -- refuted:   the machine's answer is wrong
    verdict             text NOT NULL CHECK (verdict IN ('confirmed', 'refuted')),
    label_before        text NOT NULL CHECK (label_before IN ('responded', 'not-responded')),
    category_before     text NOT NULL,
    label_after         text CHECK (label_after IN ('responded', 'not-responded', 'not-stated')),  -- null: refuted, and nobody says what is right
    category_after      text NOT NULL,         -- 'none': nobody says
    comment             text,                  -- the person's own words: may tell of the patient, so it is never logged
    practitioner        text NOT NULL,         -- reference, as the tokens file has it
    practitioner_name   text,                  -- as the tokens file has it
    decided_at          timestamptz NOT NULL,
    FOREIGN KEY (observation_id, observation_version) REFERENCES observation_versions (observation_id, version),
    CHECK (verdict = 'refuted' OR label_after = label_before)
);
CREATE INDEX decisions_by_report ON decisions (report_id, decision_id);

-- A report has up to three Observations:
-- answer:         the machine's, which a person may confirm or refute
-- corrected:      what a person says in the place of an answer that the person has refuted
-- disease-status: the mCODE Cancer Disease Status beside an answer that a person stands for
ALTER TABLE observations ADD COLUMN kind text NOT NULL DEFAULT 'answer'
    CHECK (kind IN ('answer', 'corrected', 'disease-status'));
ALTER TABLE observations DROP CONSTRAINT observations_report_id_key;
ALTER TABLE observations ADD UNIQUE (report_id, kind);
-- When what it says was so, as searches by date compare it: the stretch of time that effective[x] names, its end not
-- included; null if there is no effective[x].
ALTER TABLE observations ADD COLUMN effective_from timestamptz;
ALTER TABLE observations ADD COLUMN effective_until timestamptz;
ALTER TABLE observations ADD COLUMN category text;  -- code of observation-category; null if the report's kind is not known
CREATE INDEX observations_by_effective ON observations (subject, effective_until DESC);

-- What each version says: of a machine's the annotation's, after a decision the person's.
ALTER TABLE observation_versions ADD COLUMN label text CHECK (label IN ('responded', 'not-responded'));
ALTER TABLE observation_versions ADD COLUMN category text;
UPDATE observation_versions v SET label = a.label, category = a.category
    FROM annotations a WHERE a.annotation_id = v.annotation_id;
ALTER TABLE observation_versions ALTER COLUMN label SET NOT NULL;
ALTER TABLE observation_versions ALTER COLUMN category SET NOT NULL;
-- The decision that made the version; null if a machine or the report's source made it.
ALTER TABLE observation_versions ADD COLUMN decision_id bigint REFERENCES decisions;
-- The decision by which a person stands for what the version says, or stood for it before it was withdrawn; null if none does.
ALTER TABLE observation_versions ADD COLUMN stated_by bigint REFERENCES decisions;
-- One reason more:
-- refuted: a person says that it is wrong
ALTER TABLE observation_versions DROP CONSTRAINT observation_versions_withdraw_reason_check;
ALTER TABLE observation_versions ADD CONSTRAINT observation_versions_withdraw_reason_check CHECK (withdraw_reason IN
    ('entered-in-error', 'deleted', 'superseded', 'no-longer-stated', 'no-longer-reported', 'refuted'));

-- A review is closed by a decision on any version of its report. One reason more:
-- report-changed: a person has refuted the answer, and a later version of the report says something else than that person
ALTER TABLE reviews DROP CONSTRAINT reviews_reason_check;
ALTER TABLE reviews ADD CONSTRAINT reviews_reason_check
    CHECK (reason IN ('low-confidence', 'differs-from-final', 'report-changed'));
ALTER TABLE reviews ADD COLUMN closed_at timestamptz;    -- null while it waits
ALTER TABLE reviews ADD COLUMN decision_id bigint REFERENCES decisions;  -- what closed it
ALTER TABLE reviews ADD CHECK ((closed_at IS NULL) = (decision_id IS NULL));
CREATE INDEX reviews_open ON reviews (opened_at, review_id) WHERE closed_at IS NULL;
