//! Writes one of each resource that we author into the folder given: what `tests/validator` checks.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use responsum_fhir_authoring::{
    Activity, AgentDraft, AgentRole, CapabilityDraft, Category, DeviceDraft, DiseaseStatusDraft, EffectiveDraft,
    EntityDraft, EntityRole, EvidenceDraft, IdentifierDraft, IssueCode, IssueDraft, IssueSeverity, Label,
    ObservationDraft, ObservationStatus, OperationDraft, PersonDraft, ProvenanceDraft, ReasonDraft, ReferenceDraft,
    ReportKind, ResourceDraft, SearchParamDraft, SearchType, SystemInteraction, Trend, TypeInteraction, Withdrawal,
    capability_statement, device, disease_status, observation, operation_outcome, provenance, terms,
};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const BASE: &str = "http://127.0.0.1:8080/fhir";
const NOW: OffsetDateTime = datetime!(2026-03-02 09:15:30.5 UTC);
const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const DEVICE: &str = "responsum-minilm-response-e3b0c44298fc";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = env::args_os().nth(1).map(PathBuf::from).ok_or("usage: author_samples DIR")?;
    fs::create_dir_all(&folder)?;
    for label in Label::ALL {
        write(&folder, &format!("Observation-{}", label.code()), &observation(&answer(*label))?.json)?;
    }
    write(&folder, "Observation-entered-in-error", &observation(&taken_back())?.json)?;
    write(&folder, "Observation-bare", &observation(&bare())?.json)?;
    write(&folder, "Provenance-created", &provenance(&created())?)?;
    write(&folder, "Provenance-withdrawn", &provenance(&withdrawn())?)?;
    write(&folder, "Provenance-reviewed", &provenance(&reviewed())?)?;
    write(&folder, "Provenance-refuted", &provenance(&refuted())?)?;
    write(&folder, "Provenance-corrected", &provenance(&corrected_by())?)?;
    write(&folder, "Observation-confirmed", &observation(&confirmed())?.json)?;
    write(&folder, "Observation-corrected", &observation(&corrected())?.json)?;
    write(&folder, "Observation-disease-status", &disease_status(&status_of_the_disease())?)?;
    for trend in Trend::ALL {
        let draft = DiseaseStatusDraft { trend: *trend, report_kind: None, ..status_of_the_disease() };
        write(&folder, &format!("Observation-disease-status-{}", trend.code()), &disease_status(&draft)?)?;
    }
    write(&folder, "Device", &device(&model())?)?;
    write(&folder, "OperationOutcome", &operation_outcome(&issues()))?;
    write(&folder, "OperationOutcome-none", &operation_outcome(&[]))?;
    write(&folder, "CapabilityStatement", &capability_statement(&capabilities())?)?;
    Ok(())
}

fn write(folder: &Path, name: &str, json: &str) -> io::Result<()> {
    fs::write(folder.join(format!("{name}.json")), json)
}

fn at(path: &str) -> ReferenceDraft {
    ReferenceDraft::to(format!("{BASE}/{path}"))
}

fn answer(label: Label) -> ObservationDraft {
    let responded = label == Label::Responded;
    ObservationDraft {
        id: "obs-2fd4e1c67a2d28fced849ee1bb76e7391b93eb12".to_owned(),
        version_id: Some("1".to_owned()),
        last_updated: Some(NOW),
        source: Some(format!("{BASE}/DocumentReference/note-7")),
        identifiers: vec![IdentifierDraft {
            system: Some("urn:ietf:rfc:3986".to_owned()),
            value: Some("urn:uuid:6f1f2b0e-5b7b-4a6b-9a58-0d6d3a1a5c11".to_owned()),
        }],
        status: ObservationStatus::Preliminary,
        about_cancer: responded,
        subject: Some(at("Patient/1")),
        encounter: Some(at("Encounter/9")),
        effective: Some(EffectiveDraft::DateTime("2026-02-27T16:40:00-05:00".to_owned())),
        issued: NOW,
        label,
        category: Some(if responded { Category::Partial } else { Category::NoResponse }),
        confidence: Some(0.973_12),
        device: Some(at(&format!("Device/{DEVICE}"))),
        performer: None,
        report_kind: Some(ReportKind::Imaging),
        derived_from: vec![at("DocumentReference/note-7")],
        evidence: vec![
            EvidenceDraft {
                reference: format!("{BASE}/Binary/narrative-7"),
                path: Some("Binary.data".to_owned()),
                offset: 118,
                length: 64,
            },
            EvidenceDraft { reference: format!("{BASE}/Binary/narrative-7"), path: None, offset: 20, length: 31 },
        ],
    }
}

fn taken_back() -> ObservationDraft {
    ObservationDraft {
        version_id: Some("2".to_owned()),
        status: ObservationStatus::EnteredInError,
        effective: Some(EffectiveDraft::Period { start: Some("2026-02".to_owned()), end: None }),
        ..answer(Label::Responded)
    }
}

/// As little as a report may have: whom it is about is said by an identifier alone.
fn bare() -> ObservationDraft {
    let mrn = IdentifierDraft { system: Some("urn:oid:1.2.3".to_owned()), value: Some("12345".to_owned()) };
    ObservationDraft {
        version_id: None,
        last_updated: None,
        identifiers: Vec::new(),
        subject: Some(ReferenceDraft { reference: None, identifier: Some(mrn) }),
        encounter: None,
        effective: None,
        report_kind: None,
        derived_from: Vec::new(),
        evidence: Vec::new(),
        ..answer(Label::NotResponded)
    }
}

fn created() -> ProvenanceDraft {
    ProvenanceDraft {
        id: "prov-1".to_owned(),
        version_id: Some("1".to_owned()),
        last_updated: Some(NOW),
        target: at("Observation/obs-2fd4e1c67a2d28fced849ee1bb76e7391b93eb12/_history/1"),
        occurred: Some(NOW - Duration::milliseconds(250)),
        recorded: NOW,
        activity: Activity::Create,
        reason: ReasonDraft::AiAsserted,
        agents: vec![AgentDraft { role: AgentRole::Assembler, who: at(&format!("Device/{DEVICE}")), name: None }],
        entities: vec![
            EntityDraft { role: EntityRole::Source, what: at("DiagnosticReport/7/_history/2") },
            EntityDraft { role: EntityRole::Derivation, what: at("Binary/narrative-7") },
        ],
    }
}

fn withdrawn() -> ProvenanceDraft {
    ProvenanceDraft {
        activity: Activity::Nullify,
        reason: ReasonDraft::Withdrawn(Withdrawal::Superseded),
        occurred: None,
        ..created()
    }
}

fn reviewed() -> ProvenanceDraft {
    ProvenanceDraft {
        activity: Activity::Update,
        reason: ReasonDraft::Reviewed,
        agents: [
            vec![AgentDraft {
                role: AgentRole::Verifier,
                who: at("Practitioner/3"),
                name: Some("Dr. Adams".to_owned()),
            }],
            created().agents,
        ]
        .concat(),
        ..created()
    }
}

fn corrected_by() -> ProvenanceDraft {
    ProvenanceDraft {
        reason: ReasonDraft::Reviewed,
        agents: vec![AgentDraft { role: AgentRole::Author, who: at("Practitioner/3"), name: None }],
        entities: [
            created().entities,
            vec![EntityDraft {
                role: EntityRole::Revision,
                what: at("Observation/obs-2fd4e1c67a2d28fced849ee1bb76e7391b93eb12/_history/1"),
            }],
        ]
        .concat(),
        ..created()
    }
}

fn refuted() -> ProvenanceDraft {
    ProvenanceDraft {
        activity: Activity::Nullify,
        reason: ReasonDraft::Withdrawn(Withdrawal::Refuted),
        agents: vec![AgentDraft { role: AgentRole::Verifier, who: at("Practitioner/3"), name: None }],
        ..created()
    }
}

fn adams() -> PersonDraft {
    PersonDraft { reference: format!("{BASE}/Practitioner/3"), name: Some("Dr. Adams".to_owned()) }
}

fn confirmed() -> ObservationDraft {
    ObservationDraft {
        version_id: Some("2".to_owned()),
        status: ObservationStatus::Final,
        performer: Some(adams()),
        ..answer(Label::Responded)
    }
}

/// What a person puts in the place of a refuted answer.
fn corrected() -> ObservationDraft {
    ObservationDraft {
        id: "cor-2fd4e1c67a2d28fced849ee1bb76e7391b93eb12".to_owned(),
        status: ObservationStatus::Final,
        device: None,
        performer: Some(adams()),
        confidence: None,
        evidence: Vec::new(),
        ..answer(Label::NotResponded)
    }
}

fn status_of_the_disease() -> DiseaseStatusDraft {
    DiseaseStatusDraft {
        id: "mcode-2fd4e1c67a2d28fced849ee1bb76e7391b93eb12".to_owned(),
        version_id: Some("1".to_owned()),
        last_updated: Some(NOW),
        source: Some(format!("{BASE}/DocumentReference/note-7")),
        identifiers: Vec::new(),
        status: ObservationStatus::Final,
        subject: at("Patient/1"),
        encounter: Some(at("Encounter/9")),
        effective: "2026-02-27T16:40:00-05:00".to_owned(),
        issued: NOW,
        performer: adams(),
        trend: Trend::Improved,
        report_kind: Some(ReportKind::Imaging),
        derived_from: vec![at("DocumentReference/note-7")],
    }
}

fn model() -> DeviceDraft {
    DeviceDraft {
        id: DEVICE.to_owned(),
        version_id: Some("1".to_owned()),
        last_updated: Some(NOW),
        model_name: "responsum-minilm-response".to_owned(),
        model_version: "0.1.0".to_owned(),
        model_sha256: SHA256.to_owned(),
        software_version: "0.1.0".to_owned(),
        card: Some("Reads one window of a clinical report. Model card: GET /models/default/card.".to_owned()),
    }
}

fn issues() -> Vec<IssueDraft> {
    let about = |code, severity| IssueDraft {
        severity,
        code,
        diagnostics: Some("Fixed text that never carries input.".to_owned()),
        expression: vec!["DiagnosticReport.presentedForm[0].data".to_owned()],
    };
    let errors = IssueCode::ALL.iter().map(|code| about(*code, IssueSeverity::Error));
    errors.chain(IssueSeverity::ALL.iter().map(|severity| about(IssueCode::Value, *severity))).collect()
}

fn capabilities() -> CapabilityDraft {
    let param = |name: &str, kind| SearchParamDraft {
        name: name.to_owned(),
        kind,
        definition: None,
        documentation: Some("As the standard has it.".to_owned()),
    };
    let reports = ["DiagnosticReport", "DocumentReference"].map(|resource_type| ResourceDraft {
        resource_type: resource_type.to_owned(),
        documentation: Some("Kept byte for byte as received.".to_owned()),
        interactions: TypeInteraction::ALL.to_vec(),
        versioned_update: true,
        read_history: true,
        update_create: true,
        conditional_create: true,
        operations: vec![OperationDraft {
            name: "annotate".to_owned(),
            definition: format!("{}/OperationDefinition/annotate", terms::CANONICAL),
            documentation: None,
        }],
        ..ResourceDraft::default()
    });
    let answers = ResourceDraft {
        resource_type: "Observation".to_owned(),
        supported_profiles: vec![terms::PROFILE_OBSERVATION.to_owned()],
        interactions: vec![TypeInteraction::Read, TypeInteraction::Vread, TypeInteraction::SearchType],
        read_history: true,
        search_params: vec![
            param("_id", SearchType::Token),
            param("subject", SearchType::Reference),
            param("_source", SearchType::Uri),
            param("_lastUpdated", SearchType::Date),
        ],
        ..ResourceDraft::default()
    };
    CapabilityDraft {
        base_url: BASE.to_owned(),
        software_version: "0.1.0".to_owned(),
        date: NOW,
        security: Some("Bearer tokens with the scopes `read`, `write`, `confirm` and `admin`.".to_owned()),
        resources: reports.into_iter().chain([answers]).collect(),
        interactions: SystemInteraction::ALL.to_vec(),
        operations: Vec::new(),
    }
}
