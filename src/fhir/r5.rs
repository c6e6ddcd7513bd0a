//! What we author for R4, as R5 has it: the few elements of our resources that were renamed or recoded (FHIR R5, the
//! "R4 diff" tabs of Observation, Device and Provenance). Our profiles are R4's, and are not claimed.

use serde_json::{Value, json};

/// The same resource for R5.
pub fn from_r4(authored: &str) -> String {
    // Cannot fail because we have just authored it; as it is, a server would refuse it with a clear word.
    let Ok(mut resource) = serde_json::from_str::<Value>(authored) else { return authored.to_owned() };
    if let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) {
        meta.remove("profile");
    }
    match resource["resourceType"].as_str() {
        Some("Device") => device(&mut resource),
        Some("Provenance") => provenance(&mut resource),
        _ => {}
    }
    resource.to_string()
}

/// `deviceName.name` is `name.value`, and a kind of name is gone; `type` is a list.
fn device(device: &mut Value) {
    let Some(members) = device.as_object_mut() else { return };
    if let Some(Value::Array(names)) = members.remove("deviceName") {
        let name = |name: &Value| json!({"value": name["name"], "type": "user-friendly-name"});
        members.insert("name".to_owned(), names.iter().map(name).collect());
    }
    if let Some(kind) = members.remove("type") {
        members.insert("type".to_owned(), json!([kind]));
    }
}

/// `reason` is `authorization.concept`; an entity that something was derived from is a source.
fn provenance(provenance: &mut Value) {
    let Some(members) = provenance.as_object_mut() else { return };
    if let Some(Value::Array(reasons)) = members.remove("reason") {
        let authorization = reasons.iter().map(|reason| json!({"concept": reason}));
        members.insert("authorization".to_owned(), authorization.collect());
    }
    for entity in members.get_mut("entity").and_then(Value::as_array_mut).into_iter().flatten() {
        if entity["role"] == "derivation" {
            entity["role"] = "source".into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_renamed_or_recoded_is_and_all_else_stays() {
        let device = json!({"resourceType": "Device", "id": "a", "meta": {"profile": ["x"]},
            "deviceName": [{"name": "m", "type": "model-name"}], "type": {"text": "t"}, "version": [{"value": "1"}]});
        let expected = json!({"resourceType": "Device", "id": "a", "meta": {},
            "name": [{"value": "m", "type": "user-friendly-name"}], "type": [{"text": "t"}], "version": [{"value": "1"}]});
        assert_eq!(serde_json::from_str::<Value>(&from_r4(&device.to_string())).expect("JSON"), expected);
        let provenance = json!({"resourceType": "Provenance", "reason": [{"text": "r"}],
            "entity": [{"role": "source"}, {"role": "derivation"}]});
        let expected = json!({"resourceType": "Provenance", "authorization": [{"concept": {"text": "r"}}],
            "entity": [{"role": "source"}, {"role": "source"}]});
        assert_eq!(serde_json::from_str::<Value>(&from_r4(&provenance.to_string())).expect("JSON"), expected);
    }
}
