//! The model in the executable: see `models/default` and its card.

pub(super) struct Files {
    pub(super) graph: &'static [u8],
    pub(super) tokenizer: &'static str,
    pub(super) config: &'static str,
    pub(super) settings: &'static str,
}

pub(super) const FILES: Files = Files {
    graph: include_bytes!("../../models/default/model.onnx"),
    tokenizer: include_str!("../../models/default/tokenizer.json"),
    config: include_str!("../../models/default/config.json"),
    settings: include_str!("../../models/default/responsum-model.toml"),
};
