//! The readers of models that others have made, as the product has them.

#[path = "../../src/classify/archive.rs"]
pub mod archive;
#[path = "../../src/classify/graph_file.rs"]
pub mod graph_file;
#[path = "../../src/classify/graph_weights.rs"]
pub mod graph_weights;
#[path = "../../src/classify/spark/mod.rs"]
pub mod spark;
