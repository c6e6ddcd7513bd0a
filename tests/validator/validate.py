#!/usr/bin/env python3
"""Validates FHIR R4 resources in JSON files against the core definitions and our own profiles.

usage: validate.py [--expect-refused] [--warnings] FILE…

Exit 0 if every file is accepted (with --expect-refused: if every file is refused), else 1; 2 if a file or the
validator cannot be had. Two independent checks run on each: pyrofile-validator (profiles, bindings, reference types, invariants) and
HL7's own JSON Schema.
"""

import argparse
import contextlib
import io
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import install

# Faults of the validator, by its own issue id. Nothing else is ignored.
FALSE_POSITIVES = {"vs-1", "invariant.vs-1", "profile.invariant.vs-1"}
# It adds up the values of an element over all its parents where lists are nested. A JSON property cannot repeat, and
# the JSON Schema refuses an array where one value belongs, so nothing goes unchecked.
MISCOUNTED = {"CapabilityStatement": {"profile.element.cardinality.max"}}


@dataclass
class Issue:
    """One thing that is wrong with a resource."""

    severity: str
    id: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.path}: {self.message} [{self.id}]"


class Checker:
    """Both checks, loaded once."""

    def __init__(self) -> None:
        sys.path.insert(0, str(install.python_packages()))
        core, schema = install.core_package(), install.json_schema()
        import fastjsonschema
        from pyrofile_validator.config import ValidatorConfig
        from pyrofile_validator.core.engine import Validator

        supplement = sorted((install.HERE / "supplement").glob("*.json"))
        paths = [str(path) for path in [core, *supplement, *_staged_profiles()]]
        config = {"fhirVersion": "4.0.1", "localPackagePaths": paths, "terminology": {"mode": "local"}}
        config_file = install.RUNTIME / "config.json"
        config_file.write_text(json.dumps(config), "utf-8")
        self._profiles = Validator(ValidatorConfig.load(config_file))
        self._schema = json.loads(schema.read_text("utf-8"))
        # We never contain resources: without them the schema of one type compiles in a second.
        self._schema["definitions"]["ResourceList"] = {}
        self._compile = fastjsonschema.compile
        self._invalid = fastjsonschema.JsonSchemaValueException
        self._compiled = {}

    def issues(self, text: str) -> list[Issue]:
        """All that both checks say of a resource."""
        try:
            resource = json.loads(text)
        except ValueError as error:
            return [Issue("error", "json", "", str(error))]
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if kind not in self._schema["discriminator"]["mapping"]:
            return [Issue("error", "json", "", "it is no FHIR R4 resource")]
        issues = self._by_profile(kind, resource) + self._by_schema(kind, resource)
        for entry in resource.get("entry", []) if kind == "Bundle" else []:
            # The first check looks into a Bundle by itself.
            inner = entry.get("resource", {})
            issues += self._by_schema(inner.get("resourceType"), inner)
        return issues

    def _by_profile(self, kind: str, resource: dict) -> list[Issue]:
        ignored = FALSE_POSITIVES | MISCOUNTED.get(kind, set())
        # Its FHIRPath engine prints traces to stdout.
        with contextlib.redirect_stdout(io.StringIO()):
            found = self._profiles.validate_resource(resource).issues
        issues = [Issue(issue.severity.value, issue.code, issue.path or kind, issue.message) for issue in found]
        return [issue for issue in issues if issue.id not in ignored and not _is_primitive(issue)]

    def _by_schema(self, kind: str | None, resource: dict) -> list[Issue]:
        if kind not in self._schema["discriminator"]["mapping"]:
            return [Issue("error", "json-schema", "", "it is no FHIR R4 resource")] if resource else []
        if kind not in self._compiled:
            schema = {"$schema": "http://json-schema.org/draft-06/schema#", "$ref": f"#/definitions/{kind}"}
            self._compiled[kind] = self._compile(schema | {"definitions": self._schema["definitions"]})
        try:
            self._compiled[kind](resource)
        except self._invalid as error:
            return [Issue("error", "json-schema", ".".join(map(str, error.path)), error.message[:200])]
        return []


def _is_primitive(issue: Issue) -> bool:
    """Whether it misses an element `_name` within another element: it knows those of the resource alone. The JSON Schema
    knows them all, and refuses any other."""
    return issue.id == "element.unknown" and issue.path.rsplit(".", 1)[-1].startswith("_")


def _staged_profiles() -> list[Path]:
    """Our profiles as the validator can read them: it takes the slicing of a slice's inner extensions for the outer
    element's, and loses the last slice when it merges a differential, so it gets snapshots without those inner
    elements (which only repeat the base)."""
    staged = install.RUNTIME / "profiles"
    staged.mkdir(parents=True, exist_ok=True)
    paths = []
    for source in sorted(install.PROFILES.glob("*.json")):
        resource = json.loads(source.read_text("utf-8"))
        if resource.get("resourceType") not in {"StructureDefinition", "CodeSystem", "ValueSet"}:
            continue
        if resource["resourceType"] == "StructureDefinition":
            del resource["differential"]
            elements = resource["snapshot"]["element"]
            resource["snapshot"]["element"] = [one for one in elements if not _is_inner_extension(one["id"])]
        paths.append(staged / source.name)
        paths[-1].write_text(json.dumps(resource), "utf-8")
    if not paths:
        raise install.InstallError("fhir-profiles/ holds no built profiles; see its README")
    return paths


def _is_inner_extension(element_id: str) -> bool:
    return ":" in element_id and element_id.rsplit(".", 1)[-1] in {"extension", "modifierExtension"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--expect-refused", action="store_true", help="exit 0 only if every file is refused")
    parser.add_argument("--warnings", action="store_true", help="print warnings too")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    try:
        texts = [(file, file.read_text("utf-8-sig")) for file in arguments.files]
        checker = Checker()
    except (install.InstallError, OSError, UnicodeDecodeError) as error:
        print(f"validator: {error}", file=sys.stderr)
        return 2
    surprises = 0
    for file, text in texts:
        started = time.monotonic()
        issues = checker.issues(text)
        errors = [issue for issue in issues if issue.severity in {"error", "fatal"}]
        surprises += bool(errors) != arguments.expect_refused
        print(f"{'refused' if errors else 'accepted'} {file} ({time.monotonic() - started:.2f} s)")
        for issue in issues if arguments.warnings else errors:
            print(f"  {issue}")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
