//! Migrations are append-only: each has a line in `migrations/CHECKSUMS`, and the line holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// Fails with everything that is wrong, and with the lines to add.
pub(crate) fn check(folder: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry.context("read the migrations")?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, format!("{:x}", Sha256::digest(text)));
        }
    }
    let listed = folder.join("CHECKSUMS");
    let listed = fs::read_to_string(&listed).with_context(|| format!("read {}", listed.display()))?;
    let faults = faults(&listed, &files);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n  "));
    }
    Ok(())
}

/// Compares the list (`sha256  name`, as sha256sum writes it) with the files.
fn faults(listed: &str, files: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut lines = BTreeMap::new();
    for line in listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once("  ") {
            Some((sum, name)) => drop(lines.insert(name, sum)),
            None => faults.push(format!("CHECKSUMS has a line that is not `sha256  name`: {line}")),
        }
    }
    for (name, sum) in files {
        match lines.remove(name.as_str()) {
            Some(listed) if listed == sum => {}
            Some(_) => {
                faults.push(format!("{name} was changed after it was committed: write a new migration"));
            }
            None => faults.push(format!("{name} has no line in CHECKSUMS: add `{sum}  {name}`")),
        }
    }
    faults
        .extend(lines.keys().map(|name| format!("{name} is in CHECKSUMS and not there: migrations are never removed")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_missing_and_an_unlisted_migration_are_faults() {
        let files = [("0001_a.sql", "aa"), ("0002_b.sql", "bb"), ("0004_d.sql", "dd")];
        let files = files.map(|(name, sum)| (name.to_owned(), sum.to_owned())).into();
        let faults = faults("aa  0001_a.sql\nxx  0002_b.sql\ncc  0003_c.sql\n", &files);
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("0002_b.sql was changed"), "{faults:?}");
        assert!(faults[1].contains("add `dd  0004_d.sql`"), "{faults:?}");
        assert!(faults[2].starts_with("0003_c.sql is in CHECKSUMS and not there"), "{faults:?}");
    }
}
