//! A FHIR `Parameters` resource: what an operation is asked with.

use super::json::{self, JsonError, RawObject};

/// Why a body is not the parameters of an operation.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParametersError {
    /// Not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Another resource.
    #[error("the body is not a Parameters resource")]
    NotParameters,
    /// A parameter that the operation does not have, one given twice, or one without a value of the type that it takes.
    #[error(
        "a parameter is not known, is given twice, or has no value of its type; docs/api.md lists those that are taken"
    )]
    Parameter,
}

/// The values of the parameters `known`, in their order; one that is not given has none. Each is of a type `value…` that
/// is text or a number; a number is given as its text.
pub fn read<const N: usize>(body: &[u8], known: [(&str, &[&str]); N]) -> Result<[Option<String>; N], ParametersError> {
    let text = json::text(body)?;
    let resource = RawObject::parse(text)?;
    if resource.string("resourceType").as_deref() != Some("Parameters") {
        return Err(ParametersError::NotParameters);
    }
    let mut values = [const { None }; N];
    let given = resource.list("parameter").unwrap_or(Ok(Vec::new())).map_err(|_| ParametersError::Parameter)?;
    for one in given {
        let one = RawObject::parse(one.get()).map_err(|_| ParametersError::Parameter)?;
        let name = one.string("name").unwrap_or_default();
        let at = known.iter().position(|(known, _)| *known == name).ok_or(ParametersError::Parameter)?;
        let value = known[at]
            .1
            .iter()
            .find_map(|member| one.string(member).or_else(|| one.get::<i64>(member).map(|number| number.to_string())));
        if values[at].is_some() || value.is_none() {
            return Err(ParametersError::Parameter);
        }
        values[at] = value;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, &[&str]); 2] =
        [("label", &["valueCode", "valueString"]), ("report-version", &["valuePositiveInt", "valueInteger"])];

    #[test]
    fn what_is_not_understood_is_refused_and_what_is_missing_is_none() {
        let read = |json: &str| read(json.as_bytes(), KNOWN);
        let of = |parameters: &str| read(&format!(r#"{{"resourceType":"Parameters","parameter":{parameters}}}"#));
        assert_eq!(read(r#"{"resourceType":"Parameters"}"#), Ok([None, None]));
        assert_eq!(of(r#"[{"name":"report-version","valueInteger":3}]"#), Ok([None, Some("3".to_owned())]));
        assert_eq!(of(r#"[{"name":"label","valueCode":"responded"}]"#), Ok([Some("responded".to_owned()), None]));
        assert_eq!(read(r#"{"resourceType":"Patient"}"#), Err(ParametersError::NotParameters));
        for fault in [
            r"{}",
            r#"["x"]"#,
            r#"[{"name":"labels","valueCode":"responded"}]"#,
            r#"[{"name":"label"}]"#,
            r#"[{"name":"label","valueBoolean":true}]"#,
            r#"[{"name":"label","valueCode":"a"},{"name":"label","valueCode":"a"}]"#,
        ] {
            assert_eq!(of(fault), Err(ParametersError::Parameter), "{fault}");
        }
    }
}
