//! The loop with the EHR, through the front door: the real executable with sources to listen to. The EHRs are small ones of
//! the tests' own, each with the habits that a test is about, and a real FHIR server where one is installed.

mod catch_up;
mod ehr;
#[path = "../api/harness.rs"]
#[expect(dead_code, reason = "shared with the tests of the API")]
mod harness;
mod hooks;
mod listening;
mod sekmet;
mod subscriptions;
