//! The readers of models that others have made, as the product has them.

#[path = "../../src/classify/archive.rs"]
pub mod archive;
#[path = "../../src/classify/graph_file.rs"]
pub mod graph_file;
#[path = "../../src/classify/graph_weights.rs"]
pub mod graph_weights;
#[path = "../../src/classify/spark/mod.rs"]
pub mod spark;

/// The vocabulary that the readers of reports share.
#[path = "../../src/domain"]
pub mod domain {
    pub mod narrative;
    pub mod source_map;
}

/// The readers of reports.
#[path = "../../src/extract"]
pub mod extract {
    mod plain;
    #[path = "../../fuzz/src/rendition.rs"]
    pub mod rendition;
    mod rtf;
    mod sheet;
    mod symbols;

    /// Reads RTF.
    pub fn rtf(bytes: &[u8]) -> Result<rendition::Reading, rendition::Refusal> {
        rtf::read(bytes)
    }
}
