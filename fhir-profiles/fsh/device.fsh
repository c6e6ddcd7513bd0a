Profile: ModelDevice
Parent: Device
Id: model-device
Title: "A model"
Description: "One version of one model that reads reports."
* insert Active
* obeys trs-sha256
* identifier 1..*
* identifier ^slicing.discriminator[0].type = #value
* identifier ^slicing.discriminator[0].path = "system"
* identifier ^slicing.rules = #open
* identifier contains sha256 1..1
* identifier[sha256].system 1..1
* identifier[sha256].system = "http://responsum.health/fhir/sid/model-sha256"
* identifier[sha256].value 1..1
* identifier[sha256] ^short = "SHA-256 of all that decides its answers"
* deviceName 1..*
* type 1..1
* type.coding ^slicing.discriminator[0].type = #value
* type.coding ^slicing.discriminator[0].path = "system"
* type.coding ^slicing.discriminator[+].type = #value
* type.coding ^slicing.discriminator[=].path = "code"
* type.coding ^slicing.rules = #open
* type.coding contains ai 1..1
* type.coding[ai].system 1..1
* type.coding[ai].system = "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS"
* type.coding[ai].code 1..1
* type.coding[ai].code = #Artificial-Intelligence
* version 1..*
* version.type from DeviceVersionTypeValues (extensible)
* note 1..*
* note ^short = "What whoever reads an answer must know of what made it"

Invariant: trs-sha256
Description: "A SHA-256 is 64 lower-case hexadecimal digits."
Severity: #error
Expression: "identifier.where(system = 'http://responsum.health/fhir/sid/model-sha256').all(value.matches('^[0-9a-f]{64}$'))"
