Profile: CorrectedTreatmentResponse
Parent: Observation
Id: corrected-treatment-response
Title: "Corrected response to treatment"
Description: "What a person says in the place of an answer of software that the person has refuted: whether the patient responded to treatment. Its Provenance names the refuted answer."
* insert Active
* obeys trs-category and trs-source and trs-person
* meta.source ^short = "The report, without its version"
* code.coding 1..*
* code.coding ^slicing.discriminator[0].type = #value
* code.coding ^slicing.discriminator[0].path = "system"
* code.coding ^slicing.discriminator[+].type = #value
* code.coding ^slicing.discriminator[=].path = "code"
* code.coding ^slicing.rules = #open
* code.coding contains task 1..1 and cancer 0..1
* code.coding[task].system 1..1
* code.coding[task].system = "http://responsum.health/fhir/CodeSystem/observation"
* code.coding[task].code 1..1
* code.coding[task].code = #treatment-response
* code.coding[cancer].system 1..1
* code.coding[cancer].system = "http://loinc.org"
* code.coding[cancer].code 1..1
* code.coding[cancer].code = #88040-1
* effective[x] only dateTime or Period
* issued 1..1
* performer 1..*
* performer only Reference(Practitioner or PractitionerRole or Organization)
* performer ^short = "The person who says so"
* value[x] 1..1
* value[x] only CodeableConcept
* valueCodeableConcept from LabelValues (required)
* valueCodeableConcept.coding 1..1
* dataAbsentReason 0..0
* interpretation 0..0
* device 0..0
* component ^slicing.discriminator[0].type = #pattern
* component ^slicing.discriminator[0].path = "code"
* component ^slicing.rules = #open
* component contains category 0..1
* component[category].code = $observation#response-category
* component[category].value[x] 1..1
* component[category].value[x] only CodeableConcept
* component[category].valueCodeableConcept from CategoryValues (required)

Invariant: trs-person
Description: "A person says it, or an organization that answers for one: no AI asserts it, and it is final until it is taken back."
Severity: #error
Expression: "meta.security.where(code = 'AIAST').empty() and (status = 'final' or status = 'entered-in-error') and performer.all(reference.exists() implies reference.matches('(^|/)(Practitioner|PractitionerRole|Organization)/'))"
