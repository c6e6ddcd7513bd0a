//! The private Postgres clusters of the tests: where they are kept, and their end.
//!
//! A test program leaves its cluster running, so that the next one need not start it; this stops what is left.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::workspace;

/// Longest wait for a cluster to stop.
const STOP_SECONDS_MAX: u64 = 30;

/// A folder for the tests' clusters; dropped, its clusters are stopped and it is removed.
pub(crate) struct TestPostgres {
    folder: PathBuf,
}

impl TestPostgres {
    /// Makes it, after ending what an interrupted run left. It lies among the temporary files, where the account that
    /// runs Postgres can reach it also when the repository is in root's home; tests/api/harness.rs has the same name.
    pub(crate) fn prepare() -> Result<Self> {
        let digest = format!("{:x}", Sha256::digest(workspace::root().as_os_str().as_encoded_bytes()));
        let folder = std::env::temp_dir().join(format!("responsum-tests-{}", &digest[..12]));
        clear(&folder)?;
        let made = fs::create_dir(&folder).and_then(|()| fs::set_permissions(&folder, Permissions::from_mode(0o755)));
        made.with_context(|| format!("create {}", folder.display()))?;
        Ok(Self { folder })
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.folder) {
            eprintln!("warning: {error:#}");
        }
    }
}

/// Stops the clusters in the folder and removes it.
fn clear(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for cluster in clusters(folder, 4) {
        stop(&cluster)?;
    }
    fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))
}

/// Folders that hold a `postmaster.pid`, down to a depth.
fn clusters(folder: &Path, depth: u32) -> Vec<PathBuf> {
    if folder.join("postmaster.pid").is_file() {
        return vec![folder.to_owned()];
    }
    let below = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let below = below.filter(|path| path.is_dir() && depth > 0);
    below.flat_map(|path| clusters(&path, depth - 1)).collect()
}

/// Stops one, if it runs.
fn stop(cluster: &Path) -> Result<()> {
    let pid_file = cluster.join("postmaster.pid");
    let text = fs::read_to_string(&pid_file).unwrap_or_default();
    let pid = text.lines().next().unwrap_or_default().trim().to_owned();
    if !runs(&pid, cluster) {
        return Ok(());
    }
    println!("Stopping the tests' Postgres (process {pid})");
    Command::new("kill").args(["-INT", &pid]).status().context("start kill")?;
    let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
    while runs(&pid, cluster) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Whether this process is the Postgres of this cluster, and not another one with a reused id.
fn runs(pid: &str, cluster: &Path) -> bool {
    if pid.parse::<u32>().is_err() {
        return false;
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_else(|_| {
        let listed = Command::new("ps").args(["-ww", "-o", "command=", "-p", pid]).output();
        listed.map(|output| output.stdout).unwrap_or_default()
    });
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let real = fs::canonicalize(cluster).unwrap_or_else(|_| cluster.to_owned());
    line.contains(&format!("postgres -D {}", real.display()))
}
