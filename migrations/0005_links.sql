-- One attachment that a source delivers twice, through a DiagnosticReport and through a DocumentReference: it is annotated
-- once, and the answer stands for both reports.

-- The attachments of a report's newest version, while that version asks for an answer; with what two reports must share.
CREATE TABLE report_attachments (
    report_id      bigint NOT NULL REFERENCES reports,
    url            text,                       -- attachment.url, absolute
    sha256         bytea CHECK (length(sha256) = 32),  -- of attachment.data, decoded
    subject        text NOT NULL,              -- subject.reference: two reports of different patients are never linked
    encounter      text,                       -- reference
    effective_from timestamptz,                -- when the stretch of time begins that the report is of
    CHECK ((url IS NULL) <> (sha256 IS NULL))
);
CREATE INDEX report_attachments_by_report ON report_attachments (report_id);
CREATE INDEX report_attachments_by_url ON report_attachments (url) WHERE url IS NOT NULL;
CREATE INDEX report_attachments_by_sha256 ON report_attachments (sha256) WHERE sha256 IS NOT NULL;

-- A report without an answer of its own, because another one with the same attachment has it.
CREATE TABLE report_links (
    report_id         bigint PRIMARY KEY REFERENCES reports,
    primary_report_id bigint NOT NULL REFERENCES reports,  -- annotated, and not linked itself
    -- same-url:   both name the same URL
    -- same-bytes: both hold the same bytes, and are of the same encounter or begin at the same time
    reason            text NOT NULL CHECK (reason IN ('same-url', 'same-bytes')),
    linked_at         timestamptz NOT NULL,
    CHECK (report_id <> primary_report_id)
);
CREATE INDEX report_links_by_primary ON report_links (primary_report_id);

-- One state more:
-- linked: another report with the same attachment has the answer (report_links)
ALTER TABLE documents DROP CONSTRAINT documents_state_check;
ALTER TABLE documents ADD CONSTRAINT documents_state_check
    CHECK (state IN ('received', 'annotated', 'kept', 'withdrawn', 'failed', 'linked'));

-- The reports that the version answers beside its own, Type/id at the same source: as it was when the version was written.
ALTER TABLE observation_versions ADD COLUMN linked text[] NOT NULL DEFAULT '{}';
-- One reason more:
-- linked: another report with the same attachment has the answer
ALTER TABLE observation_versions DROP CONSTRAINT observation_versions_withdraw_reason_check;
ALTER TABLE observation_versions ADD CONSTRAINT observation_versions_withdraw_reason_check CHECK (withdraw_reason IN
    ('entered-in-error', 'deleted', 'superseded', 'no-longer-stated', 'no-longer-reported', 'refuted', 'linked'));
