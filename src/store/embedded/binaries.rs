//! Finding the server programs of Postgres. Standard library only: `cargo xtask setup` includes this very file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version that the schema is tested with.
pub(crate) const MAJOR_MIN: u32 = 14;

/// The variable that names a folder with the programs, before any other place.
pub(crate) const OVERRIDE: &str = "RESPONSUM_POSTGRES_BIN";

/// The programs that a private cluster takes.
const PROGRAMS: [&str; 2] = ["postgres", "initdb"];

/// A folder that holds the server programs of one Postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// The folder.
    pub(crate) bin: PathBuf,
    /// Major version, like 18.
    pub(crate) major: u32,
}

impl Binaries {
    /// A command that runs one of the programs, with the libraries that lie beside it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        let beside = self.bin.parent().map(|root| root.join("lib"));
        if let Some(lib) = beside.filter(|_| self.is_relocatable()) {
            command.env(if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" }, lib);
        }
        command
    }

    /// True for the bundled Postgres: a folder of its own, marked by the set-up, that works wherever it is copied.
    pub(crate) fn is_relocatable(&self) -> bool {
        self.bin.parent().is_some_and(|root| root.join("STAMP").is_file())
    }
}

/// Why a folder does not do.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// A program is not in the folder.
    Missing(&'static str, PathBuf),
    /// `postgres --version` could not be started.
    NotRunnable(PathBuf, io::Error),
    /// `postgres --version` failed or said something else.
    NoVersion(PathBuf, String),
    /// Its version is below [`MAJOR_MIN`].
    TooOld(PathBuf, u32),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(program, bin) => write!(f, "{} holds no program {program}", bin.display()),
            Self::NotRunnable(bin, _) => write!(f, "{}/postgres cannot be started", bin.display()),
            Self::NoVersion(bin, said) => write!(f, "{}/postgres --version says: {said}", bin.display()),
            Self::TooOld(bin, major) => {
                write!(f, "{} holds Postgres {major}, and {MAJOR_MIN} or later is needed", bin.display())
            }
        }
    }
}

impl std::error::Error for Unfit {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotRunnable(_, error) => Some(error),
            Self::Missing(..) | Self::NoVersion(..) | Self::TooOld(..) => None,
        }
    }
}

/// The programs in this folder, if all are there and new enough.
pub(crate) fn at(bin: &Path) -> Result<Binaries, Unfit> {
    if let Some(missing) = PROGRAMS.into_iter().find(|program| !bin.join(program).is_file()) {
        return Err(Unfit::Missing(missing, bin.to_owned()));
    }
    let found = Binaries { bin: bin.to_owned(), major: 0 };
    let mut command = found.command("postgres");
    let output = command.arg("--version").output().map_err(|error| Unfit::NotRunnable(bin.to_owned(), error))?;
    let said = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    let Some(major) = major_version(&said).filter(|_| output.status.success()) else {
        return Err(Unfit::NoVersion(bin.to_owned(), said.trim().chars().take(200).collect()));
    };
    if major < MAJOR_MIN { Err(Unfit::TooOld(bin.to_owned(), major)) } else { Ok(Binaries { major, ..found }) }
}

/// Those of this system that do: first those in `PATH`, then the usual folders, newest first.
pub(crate) fn system() -> impl Iterator<Item = Binaries> {
    system_folders().into_iter().filter_map(|bin| at(&bin).ok())
}

/// Folders of this system that hold a program named `postgres`, each once.
fn system_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = Vec::new();
    let versioned = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ];
    let listed = versioned.into_iter().flat_map(|(parent, prefix, below)| newest_first(parent, prefix, below));
    for folder in std::env::split_paths(&path).chain(listed).chain([PathBuf::from("/usr/local/pgsql/bin")]) {
        // A link like /usr/local/bin/postgres leads to the folder that holds the libraries too.
        let Ok(program) = fs::canonicalize(folder.join("postgres")) else { continue };
        let real = program.parent().filter(|real| PROGRAMS.iter().all(|program| real.join(program).is_file()));
        let folder = real.map_or(folder, Path::to_owned);
        if folder.is_absolute() && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// `parent/{prefix}{number}/below` for each number, the highest first.
fn newest_first(parent: &str, prefix: &str, below: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<(u32, PathBuf)> = names
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join(below)))
        })
        .collect();
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// 15 of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; 19 of `postgres (PostgreSQL) 19beta1`.
fn major_version(said: &str) -> Option<u32> {
    let number = said.trim().strip_prefix("postgres (PostgreSQL) ")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        for (said, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18.4\n", Some(18)),
            ("postgres (PostgreSQL) 19beta1\n", Some(19)),
            ("postgres (Other) 15\n", None),
            ("", None),
        ] {
            assert_eq!(major_version(said), major, "{said}");
        }
    }

    #[test]
    fn a_folder_without_the_programs_says_which_is_missing() {
        let error = at(Path::new("/nonexistent")).expect_err("there is none").to_string();
        assert_eq!(error, "/nonexistent holds no program postgres");
    }
}
