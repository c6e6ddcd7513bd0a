//! Holds true what `src/lib.rs` says of the code's shape.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file: it should be one room.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function.
const FUNCTION_LINES_MAX: usize = 70;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.insert(name, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "nothing in {folder}");
    found
}

/// The code of a file: without its tests and comments.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_module_names_only_those_that_the_map_allows() {
    // What each module of ours may name, besides the vocabulary that all share: `domain`, `digest`, `clock`, `view`.
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("domain", &[][..]),
        ("fhir", &[][..]),
        ("extract", &[][..]),
        ("classify", &[][..]),
        ("store", &[][..]),
        ("receive", &["fhir", "store"][..]),
        ("registry", &["classify", "config", "telemetry"][..]),
        ("notified", &["config", "fhir", "receive", "source", "store", "telemetry"][..]),
        ("catch_up", &["fhir", "notified", "receive", "source", "store", "subscriptions", "telemetry"][..]),
        ("subscriptions", &["config", "fhir", "source", "store", "telemetry"][..]),
        ("source", &["config", "fhir", "telemetry"][..]),
        ("pipeline", &["classify", "extract", "fhir", "registry", "store", "telemetry"][..]),
        ("exchange", &["catch_up", "config", "fhir", "receive", "source", "store", "telemetry"][..]),
        ("worker", &["config", "exchange", "pipeline", "source", "store", "telemetry"][..]),
        // `$annotate` answers with what the pipeline says; its errors are told here.
        (
            "web",
            &[
                "classify",
                "config",
                "fhir",
                "notified",
                "pipeline",
                "receive",
                "registry",
                "source",
                "store",
                "telemetry",
            ][..],
        ),
        // Subscriptions are made at the sources and kept; decisions are exported.
        ("command", &["classify", "config", "extract", "fhir", "source", "store", "subscriptions"][..]),
        // It reads names and defaults that a model is run with.
        ("config", &["classify"][..]),
        ("telemetry", &[][..]),
        ("view", &[][..]),
        ("clock", &[][..]),
        ("digest", &[][..]),
    ]);
    let shared: &[&str] = &["domain", "digest", "clock", "view"];
    for (file, text) in sources("src") {
        let module = file.trim_start_matches("src/").split(['/', '.']).next().expect("a module");
        let Some(allowed) = allowed.get(module) else {
            assert!(["app", "main", "lib"].contains(&module), "{file}: a module that the map does not know");
            continue;
        };
        for (at, _) in code(&text).match_indices("crate::") {
            let code = code(&text);
            let named: String = code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let may = named == module || allowed.contains(&named.as_str()) || shared.contains(&named.as_str());
            assert!(may || module == "domain" && named == "domain", "{file} names crate::{named}");
        }
    }
}

#[test]
fn the_domain_knows_no_web_database_json_or_model() {
    for (file, text) in sources("src/domain") {
        for word in ["actix", "sqlx", "serde", "ort::", "tokio", "fhir_sdk"] {
            assert!(!code(&text).contains(word), "{file} names {word}");
        }
        for module in ["store", "web", "fhir::", "classify", "extract"] {
            assert!(!code(&text).contains(&format!("crate::{module}")), "{file} names crate::{module}");
        }
    }
}

#[test]
fn each_library_lives_where_the_map_says() {
    for (word, places) in [
        ("ort::", &["src/classify/onnx.rs"][..]),
        ("sqlx::", &["src/store/", "src/app.rs"][..]),
        ("actix_web::", &["src/web/"][..]),
        ("scraper::", &["src/extract/"][..]),
        ("hayro", &["src/extract/pdf/"][..]),
        ("fhir_sdk", &[][..]),
        ("reqwest", &["src/source/"][..]),
    ] {
        for (file, text) in sources("src") {
            // `ort::` is also the end of other words.
            let found = code(&text)
                .match_indices(word)
                .any(|(at, _)| !code(&text)[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            assert!(!found || places.iter().any(|place| file.starts_with(place)), "{file} names {word}");
        }
    }
}

#[test]
fn only_the_store_speaks_sql() {
    for (file, text) in sources("src") {
        let code = code(&text);
        let sql = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "].iter().any(|word| code.contains(word));
        assert!(!sql || file.starts_with("src/store/"), "{file} speaks SQL");
    }
}

#[test]
fn files_and_functions_stay_short() {
    for folder in ["src", "xtask/src", "fhir-authoring/src"] {
        for (file, text) in sources(folder) {
            let lines = code(&text).lines().count();
            assert!(lines <= FILE_LINES_MAX, "{file} has {lines} lines of code");
            for (name, length) in functions(&text) {
                assert!(length <= FUNCTION_LINES_MAX, "{file}: {name} has {length} lines");
            }
        }
    }
}

/// Functions and their lengths, by indentation: rustfmt puts a function's last brace below its first word.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_function = [
            "fn ",
            "pub fn ",
            "pub(super) fn ",
            "pub(crate) fn ",
            "async fn ",
            "pub async fn ",
            "pub(super) async fn ",
        ]
        .iter()
        .any(|head| trimmed.starts_with(head));
        if !is_function {
            continue;
        }
        let indent = &line[..line.len() - trimmed.len()];
        let end = lines[start..].iter().position(|line| *line == format!("{indent}}}"));
        if let Some(length) = end {
            found.push((trimmed.split('(').next().unwrap_or_default().to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn handlers_stay_short() {
    for (file, text) in sources("src/web") {
        for (name, length) in functions(&text).into_iter().filter(|(name, _)| name.starts_with("pub async fn")) {
            assert!(length <= 40, "{file}: {name} has {length} lines");
        }
    }
}

#[test]
fn serde_json_keeps_decimals_as_fhir_sdk_needs_them() {
    // With `arbitrary_precision` anywhere in the tree, fhir-sdk drops every non-integer value without a word.
    let value: serde_json::Value = serde_json::from_str("1.5").expect("a number");
    assert_eq!(serde_json::to_value(1.5).expect("a number"), value);
    let lock = fs::read_to_string(root().join("Cargo.toml")).expect("text");
    assert!(!lock.replace("Never enable `arbitrary_precision`", "").contains("arbitrary_precision"));
    assert_eq!(value.as_number().map(ToString::to_string).as_deref(), Some("1.5"));
    let precise: serde_json::Value = serde_json::from_str("1.0000000000000000000000001").expect("a number");
    assert_eq!(precise.to_string(), "1.0", "arbitrary_precision is on somewhere in the tree");
}

#[test]
fn no_file_names_a_registry_host() {
    for folder in
        ["src", "xtask/src", "fhir-authoring/src", "tests", "migrations", "docs", "docker", "fhir-profiles", "training"]
    {
        let mut stack = vec![root().join(folder)];
        while let Some(path) = stack.pop() {
            if path.is_dir() {
                stack.extend(fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            } else if let Ok(text) = fs::read_to_string(&path) {
                for host in [["pypi", "org"], ["pythonhosted", "org"], ["npmjs", "org"], ["static.crates", "io"]] {
                    let host = host.join(".");
                    assert!(!text.contains(&host), "{} names {host}", path.display());
                }
            }
        }
    }
}

#[test]
fn the_architecture_page_names_every_module() {
    let page = fs::read_to_string(root().join("src/lib.rs")).expect("text");
    let modules = page.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        assert!(page.contains(&format!("[`{module}`]")), "the page does not tell what {module} is for");
    }
}
