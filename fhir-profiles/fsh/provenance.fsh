Profile: TreatmentResponseProvenance
Parent: Provenance
Id: treatment-response-provenance
Title: "How an answer came about"
Description: "Which software or person made, changed or took back one version of an answer, from which exact version of which report."
* insert Active
* obeys trs-target
* target 1..1
* target only Reference(Observation)
* target.reference 1..1
* activity 1..1
* agent.type 1..1
* agent.who only Reference(Device or Practitioner or PractitionerRole or Organization)
* entity 1..*
* entity.what.reference 1..1
* entity ^slicing.discriminator[0].type = #value
* entity ^slicing.discriminator[0].path = "role"
* entity ^slicing.rules = #open
* entity contains report 1..1 and rendition 0..*
* entity[report].role = #source
* entity[report] ^short = "The exact version of the report"
* entity[rendition].role = #derivation
* entity[rendition] ^short = "What was read of it: the narrative drawn from that version"
* reason ^short = "AIAST where an AI asserts it; a reason of withdrawal where it is taken back"

Invariant: trs-target
Description: "It is about one version of an Observation."
Severity: #error
Expression: "target.all(reference.matches('(^|/)Observation/[^/]+/_history/[^/]+$'))"
