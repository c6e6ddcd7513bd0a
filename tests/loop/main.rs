//! The loop with the EHR: the real executable between a real FHIR server, or one with the habits and faults of others, and
//! its own database.

mod away;
mod catch_up;
mod chaos;
mod decided;
mod ehr;
mod faults;
mod fhir_server;
mod habits;
#[expect(dead_code, reason = "made for the tests of the API; the loop needs a part of it")]
#[path = "../api/harness.rs"]
mod harness;
mod hooks;
mod listening;
mod notified;
mod once;
mod proxy;
mod setting;
mod several;
mod smart;
mod subscriptions;
mod uncertain;
mod whole;
