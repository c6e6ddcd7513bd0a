//! One version of one model, as a Device.

use fhir_sdk::r4b::codes::{DeviceNameType, FHIRDeviceStatus};
use fhir_sdk::r4b::resources::{Device, DeviceDeviceName, DeviceVersion};
use fhir_sdk::r4b::types::Annotation;

use crate::datatypes::{MetaParts, coding, concept, identifier, meta, one_coding};
use crate::draft::{DeviceDraft, IdentifierDraft};
use crate::{AuthoringError, built, terms, written};

/// What whoever reads an answer must know of what made it.
const SAFETY: &str = "Software that reads the text of reports. Its answers are preliminary until a person has \
                      confirmed them: it can be wrong, it knows nothing but the text, and it must not be the only \
                      ground of a decision on a patient's care. The model card says what it was trained and tested on.";

/// Writes a Device of our profile; see `fhir-profiles/`.
pub fn device(draft: &DeviceDraft) -> Result<String, AuthoringError> {
    let hash = identifier(&IdentifierDraft {
        system: Some(terms::SYSTEM_MODEL_SHA256.to_owned()),
        value: Some(draft.model_sha256.clone()),
    })?;
    let name = DeviceDeviceName::builder().name(draft.model_name.clone()).r#type(DeviceNameType::ModelName).build();
    let mut kind = concept(vec![coding(
        terms::SYSTEM_AI_DEVICE_TYPE,
        "Artificial-Intelligence",
        "All kinds of Artificial Intelligence",
    )?])?;
    kind.text = Some("Text classifier for response to treatment".to_owned());
    let note = |text: &str| built("Annotation", Annotation::builder().text(text.to_owned()).build()).map(Some);
    let notes = [SAFETY].into_iter().chain(draft.card.as_deref().filter(|card| !card.trim().is_empty())).map(note);
    let notes = notes.collect::<Result<Vec<_>, _>>()?;
    let builder = Device::builder()
        .id(draft.id.clone())
        .meta(meta(MetaParts {
            version_id: draft.version_id.as_ref(),
            last_updated: draft.last_updated,
            source: None,
            profile: terms::PROFILE_DEVICE,
            security: None,
        })?)
        .identifier(hash.into_iter().map(Some).collect())
        .status(FHIRDeviceStatus::Active)
        .device_name(vec![Some(built("Device.deviceName", name)?)])
        .r#type(kind)
        .version(vec![
            Some(version("model", "Model", &draft.model_version)?),
            Some(version("software", "Responsum", &draft.software_version)?),
        ])
        .note(notes);
    let device = built("Device", builder.build())?;
    written("Device", serde_json::to_string(&device))
}

fn version(code: &str, display: &str, value: &str) -> Result<DeviceVersion, AuthoringError> {
    let kind = one_coding(terms::SYSTEM_VERSION_TYPE, code, display)?;
    built("Device.version", DeviceVersion::builder().r#type(kind).value(value.to_owned()).build())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_device_is_one_version_of_one_model() {
        let draft = DeviceDraft {
            id: "model-1".to_owned(),
            version_id: None,
            last_updated: None,
            model_name: "responsum-minilm-response".to_owned(),
            model_version: "0.1.0".to_owned(),
            model_sha256: "ab".repeat(32),
            software_version: "0.2.0".to_owned(),
            card: None,
        };
        let written =
            |draft: &DeviceDraft| -> Value { serde_json::from_str(&device(draft).expect("a Device")).expect("JSON") };
        let device = written(&draft);
        assert_eq!(device["resourceType"], "Device");
        assert_eq!(device["identifier"], json!([{"system": terms::SYSTEM_MODEL_SHA256, "value": "ab".repeat(32)}]));
        assert_eq!(device["deviceName"], json!([{"name": "responsum-minilm-response", "type": "model-name"}]));
        assert_eq!(device["version"][0]["value"], "0.1.0");
        assert_eq!(device["version"][0]["type"]["coding"][0]["code"], "model");
        assert_eq!(device["version"][1]["value"], "0.2.0");
        assert_eq!(device["type"]["coding"][0]["code"], "Artificial-Intelligence");
        assert_eq!(device["note"], json!([{"text": SAFETY}]));
        let with_card = written(&DeviceDraft { card: Some("Reads reports.".to_owned()), ..draft.clone() });
        assert_eq!(with_card["note"], json!([{"text": SAFETY}, {"text": "Reads reports."}]));
        let blank = written(&DeviceDraft { card: Some(" ".to_owned()), ..draft });
        assert_eq!(blank["note"], device["note"], "no element is empty");
    }
}
