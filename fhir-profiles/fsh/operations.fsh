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

RuleSet: Decision(code, title)
* name = "{title}"
* status = #active
* kind = #operation
* code = #{code}
* affectsState = true
* resource[0] = #Observation
* system = false
* type = false
* instance = true

RuleSet: DecisionParameter(n, name, type, documentation)
* parameter[{n}].name = #{name}
* parameter[{n}].use = #in
* parameter[{n}].min = 0
* parameter[{n}].max = "1"
* parameter[{n}].type = #{type}
* parameter[{n}].documentation = {documentation}

Instance: confirm
InstanceOf: OperationDefinition
Usage: #definition
* insert Decision(confirm, Confirm)
* url = "http://responsum.health/fhir/OperationDefinition/confirm"
* description = "A person, the access token's practitioner, stands for the answer: it becomes final."
* insert DecisionParameter(0, category, code, "How the disease behaved where the answer has it wrong; it must go with the label.")
* insert DecisionParameter(1, comment, string, "The person's own words.")
* insert DecisionParameter(2, report-version, positiveInt, "The newest version of the report: what the model says of it is confirmed instead of what stands.")
* parameter[3].name = #return
* parameter[3].use = #out
* parameter[3].min = 1
* parameter[3].max = "1"
* parameter[3].documentation = "The answer as it stands now."
* parameter[3].type = #Observation

Instance: refute
InstanceOf: OperationDefinition
Usage: #definition
* insert Decision(refute, Refute)
* url = "http://responsum.health/fhir/OperationDefinition/refute"
* description = "A person, the access token's practitioner, says that the answer is wrong: it becomes entered-in-error. If the person says what is right, that stands as an Observation of its own."
* insert DecisionParameter(0, label, code, "What is right: responded | not-responded | not-stated.")
* insert DecisionParameter(1, category, code, "How the disease behaved; it must go with the label.")
* insert DecisionParameter(2, comment, string, "The person's own words.")
* insert DecisionParameter(3, report-version, positiveInt, "The newest version of the report: what the model says of it is refuted instead of what stands.")
* parameter[4].name = #return
* parameter[4].use = #out
* parameter[4].min = 1
* parameter[4].max = "1"
* parameter[4].documentation = "The answer as it stands now."
* parameter[4].type = #Observation
