//! The folders of a private cluster: who may enter, who holds them, and a socket whose path is short enough.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::account::Account;
use super::{EmbeddedError, server};

/// Longest path of a unix socket: `sun_path` of `sockaddr_un` less its closing NUL (108 bytes on Linux, 104 on macOS).
pub(super) const SOCKET_PATH_BYTES_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// Makes the data folder and gives its real path.
pub(super) fn prepare_data_dir(data_dir: &Path) -> Result<PathBuf, EmbeddedError> {
    // Root's must be passable for the account that runs Postgres; what is inside is closed on its own.
    let mode = if nix::unistd::Uid::effective().is_root() { 0o755 } else { 0o700 };
    let created = DirBuilder::new().recursive(true).mode(mode).create(data_dir);
    created.map_err(EmbeddedError::files("create the data folder", data_dir))?;
    fs::canonicalize(data_dir).map_err(EmbeddedError::files("find the data folder", data_dir))
}

/// Tries to lock the data folder, and the pause after each: half a second in all.
const LOCK_TRIES_MAX: u32 = 10;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Holds the data folder for this process, until the file is dropped or the process ends.
pub(super) fn lock(data_dir: &Path) -> Result<File, EmbeddedError> {
    let path = data_dir.join("responsum.lock");
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.map_err(EmbeddedError::files("open", &path))?;
    match try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let known = file.read_to_string(&mut pid).is_ok() && pid.trim().parse::<u32>().is_ok();
            let holder = if known { format!(" (process {})", pid.trim()) } else { String::new() };
            return Err(EmbeddedError::InUse { path: data_dir.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(EmbeddedError::files("lock", &path)(error)),
    }
    let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(EmbeddedError::files("write", &path))?;
    Ok(file)
}

/// A program that is being started shares every open file until it has been loaded, this lock's too: a lock that was let
/// go is free a moment later at most.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES_MAX {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            done => return done,
        }
    }
    file.try_lock()
}

/// Makes the folder that holds the cluster, its own account's alone.
pub(super) fn prepare_home(home: &Path, account: &Account) -> Result<(), EmbeddedError> {
    if let Some(blocking) = account.blocked_by(home) {
        return Err(EmbeddedError::Unreachable {
            path: home.to_owned(),
            blocking,
            account: account.name.clone(),
            advice: "pass a --data-dir elsewhere, like /var/lib/responsum",
        });
    }
    closed_folder(home, account)?;
    // Also when it is there: a start that was cut short may not have come this far.
    account.own(home)
}

/// The folder of the socket: within `home`, or if that is too long, a short one among the temporary files.
pub(super) fn socket_dir(home: &Path, account: &Account) -> Result<PathBuf, EmbeddedError> {
    let own = home.join("socket");
    if fits(&own) {
        closed_folder(&own, account)?;
        return Ok(own);
    }
    let digest = format!("{:x}", Sha256::digest(home.as_os_str().as_bytes()));
    let name = format!("responsum-{}", &digest[..12]);
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let mut tried = vec![own];
    for base in runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]) {
        let Ok(base) = fs::canonicalize(base) else { continue };
        let folder = base.join(&name);
        if !fits(&folder) {
            tried.push(folder);
        } else if account.blocked_by(&folder).is_none() {
            closed_folder(&folder, account)?;
            let metadata = fs::symlink_metadata(&folder).map_err(EmbeddedError::files("look at", &folder))?;
            if !account.owns_alone(&metadata) {
                let account = account.name.clone();
                return Err(EmbeddedError::SocketFolderUnsafe { path: folder, account });
            }
            return Ok(folder);
        }
    }
    Err(EmbeddedError::SocketPathTooLong { tried })
}

/// Whether Postgres's socket in this folder has a path that the system allows.
fn fits(folder: &Path) -> bool {
    let socket = folder.join(format!(".s.PGSQL.{}", server::PORT));
    socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}

/// Makes a folder that only the account may enter. One that is there stays as it is.
fn closed_folder(folder: &Path, account: &Account) -> Result<(), EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => account.own(folder),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(EmbeddedError::files("create", folder)(error)),
    }
}

/// Removes a folder and all in it, if it is there.
pub(super) fn remove(folder: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(EmbeddedError::files("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// Copies a folder with everything in it; permission bits are kept, and what links point to is copied in their place.
///
/// Another process does it: a file that this one had open for writing could not be run while a process that was started
/// meanwhile still has it open, too (`ETXTBSY`).
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), EmbeddedError> {
    fs::create_dir_all(to).map_err(EmbeddedError::files("create", to))?;
    let copying = Command::new("cp").args(["-R", "-L", "-p"]).arg(from.join(".")).arg(to).output();
    let copied = copying.and_then(|output| {
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    });
    copied.map_err(EmbeddedError::files("copy", from))
}
