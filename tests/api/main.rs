//! Tests through the front door: the real executable, its own real Postgres database, the real model.

mod access;
mod bad_input;
mod bundles;
mod command_line;
mod crash;
mod decisions;
mod harness;
mod lifecycle;
mod links;
mod models;
mod privacy;
mod reannotations;
mod reports;
mod search;
mod timeline;
mod versions;
