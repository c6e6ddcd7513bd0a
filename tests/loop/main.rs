//! The loop with the EHR, through the front door: the real executable and its own database on one side; on the other a real
//! FHIR server that knows nothing of us, or small ones of the tests' own with the habits and faults of others.

mod away;
mod catch_up;
mod ehr;
mod faults;
mod fhir_server;
#[expect(dead_code, reason = "made for the tests of the API; the loop needs a part of it")]
#[path = "../api/harness.rs"]
mod harness;
mod hooks;
mod listening;
mod notified;
mod once;
mod searched_ehr;
mod setting;
mod smart;
mod subscriptions;
mod whole;
