Instance: example-answer
InstanceOf: TreatmentResponse
Usage: #example
Title: "A partial response, read from a note"
* meta.versionId = "1"
* meta.lastUpdated = "2026-03-02T09:15:30.500Z"
* meta.source = "https://ehr.example.org/fhir/DocumentReference/note-7"
* meta.security[ai].display = "Artificial Intelligence asserted"
* status = #preliminary
* code.coding[task].display = "Response to treatment"
* code.coding[cancer].display = "Response to cancer treatment"
* subject.reference = "Patient/1"
* effectiveDateTime = "2026-02-27T16:40:00-05:00"
* issued = "2026-03-02T09:15:30.500Z"
* valueCodeableConcept.extension[+].url = "http://hl7.org/fhir/StructureDefinition/derivation-reference"
* valueCodeableConcept.extension[=].extension[+].url = "reference"
* valueCodeableConcept.extension[=].extension[=].valueReference.reference = "Binary/narrative-7"
* valueCodeableConcept.extension[=].extension[+].url = "offset"
* valueCodeableConcept.extension[=].extension[=].valueInteger = 118
* valueCodeableConcept.extension[=].extension[+].url = "length"
* valueCodeableConcept.extension[=].extension[=].valueInteger = 64
* valueCodeableConcept.coding = $label#responded "Responded to treatment"
* device.reference = "Device/example-model"
* derivedFrom.reference = "DocumentReference/note-7"
* component[category].valueCodeableConcept.coding[+] = $category#partial "Partial response"
* component[category].valueCodeableConcept.coding[+] = $sct#268910001 "Patient's condition improved"
* component[confidence].valueQuantity.value = 0.9731
* component[confidence].valueQuantity.unit = "probability"

Instance: example-provenance
InstanceOf: TreatmentResponseProvenance
Usage: #example
Title: "How that answer came about"
* target.reference = "Observation/example-answer/_history/1"
* recorded = "2026-03-02T09:15:30.500Z"
* reason = $value#AIAST "Artificial Intelligence asserted"
* activity = $operation#CREATE "create"
* agent.type = $participant#assembler "Assembler"
* agent.who.reference = "Device/example-model"
* entity[report].what.reference = "DocumentReference/note-7/_history/2"
* entity[rendition].what.reference = "Binary/narrative-7"

Instance: example-model
InstanceOf: ModelDevice
Usage: #example
Title: "The model that gave it"
* identifier[sha256].value = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
* status = #active
* deviceName.name = "responsum-minilm-response"
* deviceName.type = #model-name
* type.text = "Text classifier for response to treatment"
* version[+].type = $version-type#model "Model"
* version[=].value = "0.1.0"
* version[+].type = $version-type#software "Responsum"
* version[=].value = "0.1.0"
* note.text = "Software that reads the text of reports. Its answers are preliminary until a person has confirmed them."
