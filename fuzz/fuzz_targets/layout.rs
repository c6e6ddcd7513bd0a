#![no_main]
//! A whole zip: its directory, the model in it, and the graph in its inner zip.

use std::io::{Cursor, Read as _};

use libfuzzer_sys::fuzz_target;
use responsum_fuzz::archive::Archive;
use responsum_fuzz::spark::{self, SparkError, SparkModel};

fuzz_target!(|bytes: &[u8]| {
    // The inner zip alone, which is read as it comes.
    let _ = spark::inner_zip::read_only_file(bytes, |content| {
        let _ = std::io::copy(&mut content.take(1 << 20), &mut std::io::sink());
        Ok::<_, spark::inner_zip::InnerZipError>(())
    });
    let Ok(mut archive) = Archive::of_zip(Box::new(Cursor::new(bytes.to_vec()))) else { return };
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    for name in &names {
        assert!(!name.starts_with('/') && !name.split('/').any(|part| part == ".."), "a name leads out");
        let _ = archive.read(name, 1 << 16);
    }
    if let Ok(model) = SparkModel::read(&mut archive) {
        assert!(model.vocabulary.len() >= 4);
        let _ = spark::with_graph(&mut archive, &model.graph, &mut |_| {}, |content| {
            let _ = std::io::copy(&mut content.take(1 << 20), &mut std::io::sink());
            Ok::<_, SparkError>(())
        });
    }
});
