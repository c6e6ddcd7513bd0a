//! The words of the product as types: no web, database, JSON or ONNX Runtime here.
//!
//! A value of these types cannot be invalid: constructors are the only way in, and later stages never check again.
//! Types that bear a patient's text have a hand-written `Debug` that does not print it.

pub mod agreement;
pub mod annotation;
pub mod date;
pub mod decision;
pub mod document;
pub mod job;
pub mod label;
pub mod narrative;
pub mod observation;
pub mod source_map;
pub mod subscription;
pub mod timeline;
