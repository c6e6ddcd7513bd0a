#!/usr/bin/env python3
"""Shows that the validator accepts what we author and refuses it once broken.

usage: selftest.py SAMPLES SERVED

SAMPLES holds what `cargo run -p responsum-fhir-authoring --example author_samples -- SAMPLES` wrote, SERVED what the tests
`kept_for_the_validator` got from a running service and from the EHR that it writes to. Every file in them and every
example in fhir-profiles/ must be accepted; each of the faults below, made in a copy of an accepted one, must be refused by
an error that names the fault's place.
"""

import copy
import json
import sys
import time
from pathlib import Path

import install
import validate

OBSERVATION, PROVENANCE, DEVICE = "Observation-responded", "Provenance-created", "Device"
CONFIRMED, CORRECTED, STATUS = "Observation-confirmed", "Observation-corrected", "Observation-disease-status"
OUTCOME, CAPABILITIES = "OperationOutcome", "CapabilityStatement"
CLASSIC, BACKPORT = "subscription-classic", "subscription-backport"
DERIVATION = ("valueCodeableConcept", "extension", 0)
CATEGORY, CONFIDENCE = ("component", 0), ("component", 1)
GONE = object()


def put(value, *path):
    """A fault: the element at the path gets this value, or goes."""

    def apply(resource):
        target = resource
        for step in path[:-1]:
            target = target[step]
        if value is GONE:
            del target[path[-1]]
        else:
            target[path[-1]] = value

    return apply


# What is wrong, of which sample, how it is made, and a word of the error that must name it.
FAULTS = [
    ("a status that FHIR does not have", OBSERVATION, put("done", "status"), "status"),
    ("no status", OBSERVATION, put(GONE, "status"), "status"),
    ("no code", OBSERVATION, put(GONE, "code"), "code"),
    ("our own code is missing", OBSERVATION, put(GONE, "code", "coding", 0), "code.coding:task"),
    ("a value code that is no label", OBSERVATION, put("maybe", "valueCodeableConcept", "coding", 0, "code"), "value"),
    ("no value", OBSERVATION, put(GONE, "valueCodeableConcept"), "value"),
    ("a value of another type", OBSERVATION, put("responded", "valueString"), "value"),
    ("no AIAST", OBSERVATION, put(GONE, "meta", "security"), "meta.security"),
    ("another label than AIAST", OBSERVATION, put("CLINAST", "meta", "security", 0, "code"), "meta.security"),
    ("no device", OBSERVATION, put(GONE, "device"), "device"),
    ("a device that is a patient", OBSERVATION, put("Patient/1", "device", "reference"), "device"),
    ("derived from a DiagnosticReport", OBSERVATION, put("DiagnosticReport/7", "derivedFrom", 0, "reference"), "derivedFrom"),
    ("an effective date without a zone", OBSERVATION, put("2026-02-27T16:40:00", "effectiveDateTime"), "effective"),
    ("a confidence of 1.7", OBSERVATION, put(1.7, *CONFIDENCE, "valueQuantity", "value"), "trs-confidence"),
    ("a confidence below 0", OBSERVATION, put(-0.2, *CONFIDENCE, "valueQuantity", "value"), "trs-confidence"),
    ("a confidence without a unit", OBSERVATION, put(GONE, *CONFIDENCE, "valueQuantity", "code"), "code"),
    ("a confidence in percent", OBSERVATION, put("%", *CONFIDENCE, "valueQuantity", "code"), "code"),
    ("a confidence in words", OBSERVATION, put("high", *CONFIDENCE, "valueQuantity", "value"), "value"),
    ("an unknown category", OBSERVATION, put("better", *CATEGORY, "valueCodeableConcept", "coding", 0, "code"), "component"),
    ("a category that does not fit", OBSERVATION, put("progressive", *CATEGORY, "valueCodeableConcept", "coding", 0, "code"), "trs-category"),
    ("the category twice", OBSERVATION, lambda it: it["component"].append(copy.deepcopy(it["component"][0])), "component:category"),
    ("a part that derivation-reference does not have", OBSERVATION, put("start", *DERIVATION, "extension", 2, "url"), "trs-evidence"),
    ("an offset in words", OBSERVATION, put({"url": "offset", "valueString": "118"}, *DERIVATION, "extension", 2), "trs-evidence"),
    ("a length without an offset", OBSERVATION, put(GONE, *DERIVATION, "extension", 2), "trs-evidence"),
    ("a derivation-reference with a value", OBSERVATION, put("here", *DERIVATION, "valueString"), "derivation-reference"),
    ("an element that FHIR does not have", OBSERVATION, put("x", "evidence"), "evidence"),
    ("final and confirmed by nobody", CONFIRMED, put(GONE, "performer"), "trs-final"),
    ("confirmed by a patient", CONFIRMED, put("Patient/1", "performer", 0, "reference"), "trs-final"),
    ("corrected by a patient", CORRECTED, put("Patient/1", "performer", 0, "reference"), "trs-person"),
    ("corrected by nobody", CORRECTED, put(GONE, "performer"), "performer"),
    ("corrected by a device", CORRECTED, put({"reference": "Device/1"}, "device"), "device"),
    ("corrected by an AI", CORRECTED, put([{"code": "AIAST"}], "meta", "security"), "trs-person"),
    ("a correction that is preliminary", CORRECTED, put("preliminary", "status"), "trs-person"),
    ("a correction whose category does not fit", CORRECTED, put("complete", *CATEGORY, "valueCodeableConcept", "coding", 0, "code"), "trs-category"),
    ("a disease status without a patient", STATUS, put(GONE, "subject"), "subject"),
    ("a disease status of a group", STATUS, put("Group/1", "subject", "reference"), "mcs-subject"),
    ("a disease status by a device", STATUS, put({"reference": "Device/1"}, "device"), "mcs-unused"),
    ("a disease status with a component", STATUS, put([{"code": {"text": "x"}, "valueString": "y"}], "component"), "mcs-unused"),
    ("a disease status by nobody", STATUS, put(GONE, "performer"), "mcs-performer"),
    ("a disease status by an organization", STATUS, put("Organization/1", "performer", 0, "reference"), "mcs-performer"),
    ("a disease status with another code", STATUS, put("88040-1", "code", "coding", 0, "code"), "mcs-code"),
    ("a disease status with another value", STATUS, put("responded", "valueCodeableConcept", "coding", 0, "code"), "mcs-value"),
    ("a disease status over a period", STATUS, lambda it: (it.pop("effectiveDateTime"), it.update(effectivePeriod={"start": "2026-02"})), "mcs-effective"),
    ("an evidence type that mCODE does not have", STATUS, put("1", "extension", 0, "valueCodeableConcept", "coding", 0, "code"), "mcs-evidence"),
    ("an evidence type in words", STATUS, lambda it: it["extension"].__setitem__(0, {"url": it["extension"][0]["url"], "valueString": "CT"}), "extension"),
    ("no target", PROVENANCE, put(GONE, "target"), "target"),
    ("a target that is a report", PROVENANCE, put("DiagnosticReport/7/_history/1", "target", 0, "reference"), "trs-target"),
    ("no agent", PROVENANCE, put(GONE, "agent"), "agent"),
    ("an agent that is nobody", PROVENANCE, put(GONE, "agent", 0, "who"), "who"),
    ("no source document", PROVENANCE, put(GONE, "entity", 0), "entity:report"),
    ("a role that FHIR does not have", PROVENANCE, put("input", "entity", 0, "role"), "role"),
    ("no model hash", DEVICE, put(GONE, "identifier"), "identifier"),
    ("a model hash that is none", DEVICE, put("abc", "identifier", 0, "value"), "trs-sha256"),
    ("no version", DEVICE, put(GONE, "version"), "version"),
    ("a name type that FHIR does not have", DEVICE, put("nickname", "deviceName", 0, "type"), "deviceName"),
    ("no issue", OUTCOME, put(GONE, "issue"), "issue"),
    ("an issue code that FHIR does not have", OUTCOME, put("oops", "issue", 0, "code"), "code"),
    ("no FHIR version", CAPABILITIES, put(GONE, "fhirVersion"), "fhirVersion"),
    ("an interaction that FHIR does not have", CAPABILITIES, put("peek", "rest", 0, "resource", 0, "interaction", 0, "code"), "code"),
    ("no criteria", CLASSIC, put(GONE, "criteria"), "criteria"),
    ("a channel that FHIR does not have", CLASSIC, put("pigeon", "channel", "type"), "channel.type"),
    ("criteria that are no topic", BACKPORT, put("DiagnosticReport?status=final", "criteria"), "bps-topic"),
    ("a payload of unknown content", BACKPORT, put("all", "channel", "_payload", "extension", 0, "valueCode"), "bps-content"),
    ("no payload", BACKPORT, put(GONE, "channel", "_payload"), "bps-content"),
    ("two heartbeats", BACKPORT, lambda it: it["channel"]["extension"].append(it["channel"]["extension"][0]), "bps-once"),
    ("an element beside one that FHIR does not have", BACKPORT, put({}, "channel", "_load"), "_load"),
    ("two modes", CAPABILITIES, put(["server", "client"], "rest", 0, "mode"), "mode"),
]


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    files = [file for folder in sys.argv[1:] for file in sorted(Path(folder).glob("*.json"))]
    samples = {file.stem: file.read_text("utf-8") for file in files}
    examples = [file for file in sorted(install.PROFILES.glob("*.json")) if is_example(file)]
    try:
        checker = validate.Checker()
    except install.InstallError as error:
        print(f"validator: {error}", file=sys.stderr)
        return 2
    results = [report(f"accepts {name}", not errors(checker, text)) for name, text in samples.items()]
    results += [report(f"accepts {file.name}", not errors(checker, file.read_text("utf-8"))) for file in examples]
    results += [report(f"refuses {fault}", found) for fault, found in faults(checker, samples)]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


def is_example(file: Path) -> bool:
    return file.name.startswith(("Observation-", "Provenance-", "Device-"))


def faults(checker, samples):
    """Each fault in words, and whether an error names its place."""
    for fault, sample, apply, place in FAULTS:
        resource = json.loads(samples[sample])
        apply(resource)
        found = errors(checker, json.dumps(resource))
        yield f"{sample}: {fault} ({place})", any(place in str(error) for error in found)


def errors(checker, text: str) -> list:
    return [issue for issue in checker.issues(text) if issue.severity in {"error", "fatal"}]


def report(what: str, passed: bool) -> bool:
    print(f"{'ok' if passed else 'FAILED'}: {what}", flush=True)
    return passed


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"in {time.monotonic() - started:.1f} s", file=sys.stderr)
    sys.exit(code)
