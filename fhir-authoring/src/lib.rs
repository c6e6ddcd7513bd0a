//! Authors FHIR resources.
