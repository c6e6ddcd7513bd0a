#!/usr/bin/env python3
"""Builds fhir-profiles/*.json from fsh/*.fsh with SUSHI, offline but for the first installation.

usage: build.py [--check]

With --check it writes nothing and exits 1 if what is there is not what the sources give.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "validator"))
import install  # noqa: E402 (found through the line above)

KEPT = {"package.json", "package-lock.json"}  # JSON here that is not built


def build(work: Path) -> dict[str, str]:
    """File names and texts of what the sources give; raises InstallError where SUSHI refuses them."""
    install.core_package()
    command = [*install.sushi(), "build", "--snapshot", str(work)]
    shutil.copytree(HERE / "fsh", work / "input" / "fsh")
    shutil.copy(HERE / "sushi-config.yaml", work)
    environment = os.environ | {"HOME": str(install.home()), "USERPROFILE": str(install.home())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode != 0 or any(line.startswith("error") for line in lines):
        raise install.InstallError("SUSHI refused the sources\n" + "\n".join(lines))
    for line in lines:
        # The packages that it would fetch by itself are not used here.
        if line.startswith("warn") and "automatically-provided" not in line:
            print(line, file=sys.stderr)
    return {file.name: file.read_text("utf-8") for file in sorted((work / "fsh-generated/resources").glob("*.json"))}


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as work:
            built = build(Path(work))
    except install.InstallError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    present = {file.name: file.read_text("utf-8") for file in HERE.glob("*.json") if file.name not in KEPT}
    differing = sorted(name for name in built.keys() | present.keys() if built.get(name) != present.get(name))
    for name in differing:
        print(f"{'differs' if check else 'written' if name in built else 'removed'}: {name}")
        if not check:
            (HERE / name).write_text(built[name], "utf-8") if name in built else (HERE / name).unlink()
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
