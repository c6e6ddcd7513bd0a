Profile: TreatmentResponse
Parent: Observation
Id: treatment-response
Title: "Response to treatment"
Description: "Whether the patient responded to treatment, as a report tells it, with the words that say so. What software read is preliminary until a person has confirmed it."
* insert Active
* obeys trs-category and trs-confidence and trs-source and trs-evidence and trs-final
* meta 1..1
* meta.security 1..*
* meta.security ^slicing.discriminator[0].type = #value
* meta.security ^slicing.discriminator[0].path = "system"
* meta.security ^slicing.discriminator[+].type = #value
* meta.security ^slicing.discriminator[=].path = "code"
* meta.security ^slicing.rules = #open
* meta.security contains ai 1..1
* meta.security[ai].system 1..1
* meta.security[ai].system = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
* meta.security[ai].code 1..1
* meta.security[ai].code = #AIAST
* meta.security[ai] ^short = "Artificial Intelligence asserted; kept after a person has confirmed it"
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
* code.coding[cancer] ^short = "Where the report is about cancer"
* effective[x] only dateTime or Period
* issued 1..1
* performer only Reference(Practitioner or PractitionerRole or Organization)
* performer ^short = "The person who has confirmed it"
* category ^short = "What kind of report tells it"
* value[x] 1..1
* value[x] only CodeableConcept
* valueCodeableConcept from LabelValues (required)
* valueCodeableConcept.coding 1..1
* valueCodeableConcept ^short = "The answer; its derivation-reference extensions point at the words that say so, offset and length in Unicode code points"
* dataAbsentReason 0..0
* interpretation 0..0
* device 1..1
* device only Reference(Device)
* device ^short = "The model that said so: one version of it"
* derivedFrom ^short = "The DocumentReference, if the report is one; R4 allows no DiagnosticReport here, which the Provenance names"
* component ^slicing.discriminator[0].type = #pattern
* component ^slicing.discriminator[0].path = "code"
* component ^slicing.rules = #open
* component contains category 0..1 and confidence 0..1
* component[category].code = $observation#response-category
* component[category].value[x] 1..1
* component[category].value[x] only CodeableConcept
* component[category].valueCodeableConcept from CategoryValues (required)
* component[confidence].code = $observation#confidence
* component[confidence].value[x] 1..1
* component[confidence].value[x] only Quantity
* component[confidence].valueQuantity.value 1..1
* component[confidence].valueQuantity.comparator 0..0
* component[confidence].valueQuantity.system 1..1
* component[confidence].valueQuantity.system = "http://unitsofmeasure.org"
* component[confidence].valueQuantity.code 1..1
* component[confidence].valueQuantity.code = #1

Invariant: trs-category
Description: "The category fits the label: complete, partial and stable are responses; no-response and progressive are none; mixed and indeterminate go with either."
Severity: #error
Expression: "component.value.coding.where(system = 'http://responsum.health/fhir/CodeSystem/category').all((code in ('complete' | 'partial' | 'stable') implies %resource.value.coding.where(code = 'responded').exists()) and (code in ('no-response' | 'progressive') implies %resource.value.coding.where(code = 'not-responded').exists()))"

Invariant: trs-confidence
Description: "The confidence is a probability: it lies within 0 and 1."
Severity: #error
Expression: "component.where(code.coding.where(system = 'http://responsum.health/fhir/CodeSystem/observation' and code = 'confidence').exists()).value.value.all($this >= 0.0 and $this <= 1.0)"

Invariant: trs-source
Description: "An answer is derived from a document, never from a DiagnosticReport."
Severity: #error
Expression: "derivedFrom.all(reference.exists() implies reference.matches('(^|/)DiagnosticReport/').not())"

Invariant: trs-evidence
Description: "Each derivation-reference of the answer says where its words are: a reference, an offset and a length, at most a path beside them, each of its type."
Severity: #error
Expression: "value.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/derivation-reference').all(extension.where(url = 'reference').count() = 1 and extension.where(url = 'offset').count() = 1 and extension.where(url = 'length').count() = 1 and extension.where(url = 'path').count() <= 1 and extension.all(url in ('reference' | 'path' | 'offset' | 'length')) and extension.where(url = 'reference').value.reference.exists() and extension.where(url = 'offset').value.is(integer) and extension.where(url = 'length').value.is(integer))"

Invariant: trs-final
Description: "What is final has been confirmed by a person or an organization that answers for one."
Severity: #error
Expression: "status = 'final' implies (performer.exists() and performer.all(reference.exists() implies reference.matches('(^|/)(Practitioner|PractitionerRole|Organization)/')))"
