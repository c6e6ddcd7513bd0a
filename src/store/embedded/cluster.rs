//! The cluster's files: which Postgres runs them, how they are made, what its settings are.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::binaries::{self, Binaries};
use super::{Durability, EmbeddedError, NAME, Settings, folders, server};

/// Chooses the programs: those asked for, else the first that the cluster's version allows of the system's and the
/// bundled ones; copied into `home` where the account cannot reach them.
pub(super) fn choose_binaries(settings: &Settings, home: &Path, account: &Account) -> Result<Binaries, EmbeddedError> {
    let variable = std::env::var_os(binaries::OVERRIDE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let made_by = cluster_version(&home.join("cluster"))?;
    let chosen = if let Some(asked) = settings.binaries.clone().or(variable) {
        let asked = binaries::at(&asked).map_err(|unfit| EmbeddedError::BinariesUnfit { source: unfit.into() })?;
        pick(home, made_by, std::iter::once(asked), &[])?
    } else {
        let bundled = bundled_folders();
        let ours = bundled.clone().into_iter().filter_map(|folder| binaries::at(&folder).ok());
        pick(home, made_by, binaries::system().chain(ours), &bundled)?
    };
    reachable(chosen, home, account)
}

/// The first that can run the cluster.
fn pick(
    home: &Path,
    made_by: Option<u32>,
    mut candidates: impl Iterator<Item = Binaries>,
    looked: &[PathBuf],
) -> Result<Binaries, EmbeddedError> {
    let Some(major) = made_by else {
        return candidates.next().ok_or_else(|| EmbeddedError::BinariesMissing { looked: looked.to_vec() });
    };
    let mut others = Vec::new();
    for candidate in candidates {
        if candidate.major == major {
            return Ok(candidate);
        }
        others.push(candidate.major.to_string());
    }
    let found = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
    Err(EmbeddedError::OtherVersion { cluster: home.join("cluster"), major, found })
}

/// Where the bundled Postgres may be: in the repository that this program was built in, else beside the program.
fn bundled_folders() -> Vec<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime/postgres/bin");
    let program = std::env::current_exe().and_then(fs::canonicalize).ok();
    let beside = program.and_then(|program| Some(program.parent()?.join("postgres/bin")));
    std::iter::once(repository).chain(beside).collect()
}

/// Copies a relocatable Postgres into `home`, once, where the account cannot reach the original.
fn reachable(found: Binaries, home: &Path, account: &Account) -> Result<Binaries, EmbeddedError> {
    let Some(blocking) = account.blocked_by(&found.bin.join("postgres")) else { return Ok(found) };
    let original = found.bin.parent().filter(|_| found.is_relocatable());
    let Some(original) = original else {
        return Err(EmbeddedError::Unreachable {
            path: found.bin,
            blocking,
            account: account.name.clone(),
            advice: "open it, or install Postgres elsewhere",
        });
    };
    let copy = home.join("software");
    let stamp = |folder: &Path| fs::read(folder.join("STAMP")).ok();
    if stamp(&copy).is_none() || stamp(&copy) != stamp(original) {
        let unfinished = home.join("software.unfinished");
        folders::remove(&unfinished)?;
        folders::copy(original, &unfinished)?;
        folders::remove(&copy)?;
        fs::rename(&unfinished, &copy).map_err(EmbeddedError::files("rename", &unfinished))?;
    }
    Ok(Binaries { bin: copy.join("bin"), ..found })
}

/// The major version that made the cluster; none if there is no cluster yet.
fn cluster_version(cluster: &Path) -> Result<Option<u32>, EmbeddedError> {
    let path = cluster.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(version) => Ok(version.trim().parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::files("read", &path)(error)),
    }
}

/// Makes the cluster unless it is there: beside its place first, then renamed, so that it is never half made.
pub(super) fn ensure_exists(
    home: &Path,
    binaries: &Binaries,
    account: &Account,
    durability: Durability,
) -> Result<(), EmbeddedError> {
    let cluster = home.join("cluster");
    if cluster.join("PG_VERSION").exists() {
        return Ok(());
    }
    let unfinished = home.join("cluster.unfinished");
    folders::remove(&unfinished)?;
    let mut command = binaries.command("initdb");
    command
        .arg("--pgdata")
        .arg(&unfinished)
        .args(["--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"])
        // Whoever may enter the socket's folder may connect; there is no other way in.
        .args(["--auth-local=trust", "--auth-host=reject", "--username", NAME]);
    if durability == Durability::None {
        command.arg("--no-sync");
    }
    server::clean_environment(&mut command);
    account.hand_over(&mut command);
    let output =
        command.output().map_err(|source| EmbeddedError::Spawn { path: binaries.bin.join("initdb"), source })?;
    if !output.status.success() {
        let output_text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(EmbeddedError::Program { program: "initdb", status: output.status, output: output_text });
    }
    let main_file = unfinished.join("postgresql.conf");
    let appended = fs::OpenOptions::new().append(true).open(&main_file).and_then(|mut file| {
        writeln!(file, "\n# Written anew at every start of the service.\ninclude 'responsum.conf'")
    });
    appended.map_err(EmbeddedError::files("write", &main_file))?;
    fs::rename(&unfinished, &cluster).map_err(EmbeddedError::files("rename", &unfinished))
}

/// Writes the settings that this start wants.
pub(super) fn write_settings(cluster: &Path, socket_dir: &Path, settings: &Settings) -> Result<(), EmbeddedError> {
    let path = cluster.join("responsum.conf");
    let text = settings_text(socket_dir.as_os_str(), settings);
    fs::write(&path, text).map_err(EmbeddedError::files("write", &path))
}

fn settings_text(socket_dir: &OsStr, settings: &Settings) -> String {
    let durable = match settings.durability {
        Durability::Full => "on",
        Durability::None => "off",
    };
    format!(
        "listen_addresses = ''\n\
         port = {port}\n\
         unix_socket_directories = {socket_dir}\n\
         unix_socket_permissions = 0700\n\
         max_connections = {connections}\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         # Many short queries on few rows: compiling them costs more than it saves.\n\
         jit = off\n\
         fsync = {durable}\n\
         full_page_writes = {durable}\n\
         # Statements, parameters and rows hold patients' data: none of them may reach the log. An error's own message\n\
         # and detail quote values too, so errors stay with the client; the log tells of the server itself.\n\
         logging_collector = off\n\
         log_destination = 'stderr'\n\
         log_min_messages = log\n\
         log_min_error_statement = panic\n\
         log_error_verbosity = terse\n\
         log_statement = 'none'\n\
         log_min_duration_statement = -1\n\
         log_min_duration_sample = -1\n\
         log_transaction_sample_rate = 0\n\
         log_duration = off\n\
         log_parameter_max_length = 0\n\
         log_parameter_max_length_on_error = 0\n\
         log_lock_waits = off\n\
         log_temp_files = -1\n\
         log_connections = off\n\
         log_disconnections = off\n\
         log_checkpoints = off\n\
         log_autovacuum_min_duration = -1\n\
         debug_print_parse = off\n\
         debug_print_rewritten = off\n\
         debug_print_plan = off\n",
        port = server::PORT,
        socket_dir = quoted_folder(socket_dir),
        connections = settings.connections_max,
    )
}

/// A folder as one element of a list of folders: quoted for the list, then for the file.
fn quoted_folder(folder: &OsStr) -> String {
    let element = format!("\"{}\"", folder.to_string_lossy().replace('"', "\"\""));
    format!("'{}'", element.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_with_commas_and_quotes_are_one_element_of_the_list() {
        assert_eq!(quoted_folder(OsStr::new("/a b,c")), "'\"/a b,c\"'");
        assert_eq!(quoted_folder(OsStr::new("/it's \"x\"")), "'\"/it''s \"\"x\"\"\"'");
    }

    #[test]
    fn a_cluster_is_run_by_its_own_version_only() {
        let home = Path::new("/data/postgres");
        let of = |major| Binaries { bin: PathBuf::from(format!("/pg{major}/bin")), major };
        assert_eq!(pick(home, None, [of(15), of(18)].into_iter(), &[]).expect("one").major, 15);
        assert_eq!(pick(home, Some(18), [of(15), of(18)].into_iter(), &[]).expect("one").major, 18);
        let error = pick(home, Some(16), [of(15), of(18)].into_iter(), &[]).expect_err("none fits").to_string();
        assert!(error.contains("made by Postgres 16, and only 15, 18 was found"), "{error}");
    }
}
