//! Who runs Postgres, and what that account can reach.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User};

use super::EmbeddedError;

/// Accounts that a root service lets run Postgres, the first that exists.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The account that runs Postgres and owns the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
    /// Its name, or `user 123`.
    pub(super) name: String,
    /// True if this process is root and hands over to the account.
    switch: bool,
}

impl Account {
    /// The one that owns the cluster's folder, if it is there; else this process's own, or for root an unprivileged
    /// one.
    pub(super) fn for_cluster(home: &Path) -> Result<Self, EmbeddedError> {
        let owner = fs::metadata(home).ok();
        let own = Uid::effective();
        if !own.is_root() {
            let account = Self::of(own, Gid::effective(), false);
            return match owner {
                Some(owner) if owner.uid() != own.as_raw() => Err(EmbeddedError::NotOurs {
                    path: home.to_owned(),
                    owner: Self::of(Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()), false).name,
                }),
                _ => Ok(account),
            };
        }
        if let Some(owner) = owner.filter(|owner| owner.uid() != 0) {
            return Ok(Self::of(Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()), true));
        }
        let user = UNPRIVILEGED.into_iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = user.filter(|user| !user.uid.is_root()).ok_or(EmbeddedError::NoAccount)?;
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), name: user.name, switch: true })
    }

    fn of(uid: Uid, gid: Gid, switch: bool) -> Self {
        let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
        Self { uid: uid.as_raw(), gid: gid.as_raw(), name: name.unwrap_or_else(|| format!("user {uid}")), switch }
    }

    /// Lets the command run as this account, in a folder that everybody can enter.
    pub(super) fn hand_over(&self, command: &mut Command) {
        command.current_dir("/");
        if self.switch {
            // With the user id set, the standard library drops root's supplementary groups too.
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a file or folder to the account.
    pub(super) fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        if self.switch {
            chown(path, Some(self.uid), Some(self.gid)).map_err(EmbeddedError::files("change the owner of", path))?;
        }
        Ok(())
    }

    /// True if it is the account's, and nobody else may enter.
    pub(super) fn owns_alone(&self, metadata: &Metadata) -> bool {
        metadata.is_dir() && metadata.uid() == self.uid && metadata.mode() & 0o777 == 0o700
    }

    /// The first folder above `path` that the account may not pass; none if it can reach `path`.
    ///
    /// Judged by owner, group and mode, as for a process without supplementary groups.
    pub(super) fn blocked_by(&self, path: &Path) -> Option<PathBuf> {
        if !self.switch {
            return None;
        }
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        above.into_iter().find(|folder| !fs::metadata(folder).is_ok_and(|m| self.may_pass(&m))).map(Path::to_owned)
    }

    fn may_pass(&self, folder: &Metadata) -> bool {
        let bit = match folder {
            owned if owned.uid() == self.uid => 0o100,
            shared if shared.gid() == self.gid => 0o010,
            _ => 0o001,
        };
        folder.mode() & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_folder_that_blocks_the_account_is_named() {
        let base = tempfile::tempdir().expect("a folder");
        let closed = base.path().join("closed");
        fs::create_dir_all(closed.join("data")).expect("folders");
        let path = fs::canonicalize(&closed).expect("a path").join("data");
        // An account that owns none of it, whoever runs this test.
        let stranger = Account { uid: 4_000_000, gid: 4_000_000, name: "stranger".to_owned(), switch: true };
        for folder in [base.path(), &closed] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        assert_eq!(stranger.blocked_by(&path), None);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("a mode");
        assert_eq!(stranger.blocked_by(&path).as_deref(), path.parent());
        let same = Account { switch: false, ..stranger };
        assert_eq!(same.blocked_by(&path), None, "without a change of account the system itself judges");
    }
}
