//! Where a service that a command starts keeps its data.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// A folder of a command's own among the temporary files: reachable for the account that runs Postgres, also when the
/// repository is in root's home. Removed when dropped.
pub(crate) struct DataDir {
    /// Where it is.
    pub(crate) path: PathBuf,
    kept: bool,
}

impl DataDir {
    /// Makes it; `command` is a part of its name.
    pub(crate) fn make(command: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("responsum-{command}-{}", std::process::id()));
        // Open to pass whatever the umask says; what is inside is closed on its own.
        let open = Permissions::from_mode(0o755);
        let made = std::fs::create_dir(&path).and_then(|()| std::fs::set_permissions(&path, open));
        made.with_context(|| format!("create {}", path.display()))?;
        Ok(Self { path, kept: false })
    }

    /// Leaves it where it is.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.kept = true;
        self.path.clone()
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("warning: {} could not be removed: {error}", self.path.display());
        }
    }
}
