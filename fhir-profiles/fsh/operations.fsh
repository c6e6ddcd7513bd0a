RuleSet: Operation(code, title)
* name = "{title}"
* status = #active
* kind = #operation
* code = #{code}
* affectsState = false
* resource[0] = #DiagnosticReport
* resource[1] = #DocumentReference
* system = false

Instance: annotate
InstanceOf: OperationDefinition
Usage: #definition
* insert Operation(annotate, Annotate)
* url = "http://responsum.health/fhir/OperationDefinition/annotate"
* description = "Says at once what the report given says, and stores nothing."
* type = true
* instance = false
* parameter[0].name = #resource
* parameter[0].use = #in
* parameter[0].min = 1
* parameter[0].max = "1"
* parameter[0].documentation = "The report: a DiagnosticReport or DocumentReference with its text."
* parameter[0].type = #Resource
* parameter[1].name = #return
* parameter[1].use = #out
* parameter[1].min = 1
* parameter[1].max = "1"
* parameter[1].documentation = "A collection Bundle: Observation, Provenance and Device; no Observation where the report does not say it."
* parameter[1].type = #Bundle

Instance: received
InstanceOf: OperationDefinition
Usage: #definition
* insert Operation(received, Received)
* url = "http://responsum.health/fhir/OperationDefinition/received"
* description = "The very bytes that were received of a version of the report."
* type = false
* instance = true
* parameter[0].name = #return
* parameter[0].use = #out
* parameter[0].min = 1
* parameter[0].max = "1"
* parameter[0].documentation = "The bytes as they came."
* parameter[0].type = #Binary

Instance: annotation
InstanceOf: OperationDefinition
Usage: #definition
* insert Operation(annotation, Annotation)
* url = "http://responsum.health/fhir/OperationDefinition/annotation"
* description = "How far a version of the report has come, and what the model said of it, also where it gives no Observation."
* type = false
* instance = true
* parameter[0].name = #return
* parameter[0].use = #out
* parameter[0].min = 1
* parameter[0].max = "1"
* parameter[0].documentation = "JSON that is no FHIR resource."
* parameter[0].type = #Binary
