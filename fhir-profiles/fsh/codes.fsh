Alias: $observation = http://responsum.health/fhir/CodeSystem/observation
Alias: $label = http://responsum.health/fhir/CodeSystem/label
Alias: $category = http://responsum.health/fhir/CodeSystem/category
Alias: $withdrawal = http://responsum.health/fhir/CodeSystem/withdrawal-reason
Alias: $version-type = http://responsum.health/fhir/CodeSystem/device-version-type
Alias: $sct = http://snomed.info/sct
Alias: $value = http://terminology.hl7.org/CodeSystem/v3-ObservationValue
Alias: $operation = http://terminology.hl7.org/CodeSystem/v3-DataOperation
Alias: $participant = http://terminology.hl7.org/CodeSystem/provenance-participant-type

RuleSet: CompleteCodes
* ^status = #active
* ^experimental = false
* ^caseSensitive = true
* ^content = #complete

RuleSet: Active
* ^status = #active
* ^experimental = false

CodeSystem: ObservationCodes
Id: observation
Title: "What is observed"
Description: "What our Observations and their components are about."
* insert CompleteCodes
* #treatment-response "Response to treatment" "Whether the patient responded to the treatment that the report speaks of, as the report tells it."
* #response-category "Category of the response" "How the treated disease behaved, as the report tells it. It is no RECIST or other formal assessment."
* #confidence "Confidence of the model" "The model's probability that the label given is right, from 0 to 1."

CodeSystem: LabelCodes
Id: label
Title: "Response labels"
Description: "Whether the patient responded. A report that does not say so has no Observation."
* insert CompleteCodes
* #responded "Responded to treatment" "Resolved, better, or held stable after or under a treatment that was given."
* #not-responded "Did not respond to treatment" "Progression, relapse, death of the disease, or no improvement."

CodeSystem: CategoryCodes
Id: category
Title: "Response categories"
Description: "How the treated disease behaved, as far as the report tells."
* insert CompleteCodes
* #complete "Complete response" "Resolved, cured, in remission, no evidence of disease."
* #partial "Partial response" "Better, smaller, less."
* #stable "Stable disease" "Held: no change in size, no progression."
* #no-response "No response" "The treatment did not help; nothing says that the disease got worse."
* #progressive "Progressive disease" "Worse: progression, new lesions, relapse, death of the disease."
* #mixed "Mixed response" "One part better, another worse."
* #indeterminate "Indeterminate" "Assessed, but it cannot be told, as between progression and pseudoprogression."

CodeSystem: WithdrawalCodes
Id: withdrawal-reason
Title: "Reasons of withdrawal"
Description: "Why an answer was taken back."
* insert CompleteCodes
* #entered-in-error "The report was entered in error" "The report says of itself that it was entered in error."
* #deleted "The report was deleted" "The report is gone from its source."
* #superseded "The report was superseded or replaced" "The report says that it is superseded, or another one replaces it."
* #no-longer-stated "The report no longer states whether the patient responded" "The newest version of the report no longer says it, or its text cannot be read."
* #no-longer-reported "The report was cancelled or is not yet reported" "The newest version of the report is one that is not read."
* #refuted "A person has refuted it" "A person says that the answer is wrong."
* #linked "Another report with the same attachment has the answer" "The report has the same attachment as another one, whose answer stands for both."

CodeSystem: DeviceVersionTypeCodes
Id: device-version-type
Title: "What a version is the version of"
Description: "A Device of ours has the version of its model and that of the software that runs it."
* insert CompleteCodes
* #model "Model" "The model: weights, tokenizer, settings."
* #software "Responsum" "The software that runs the model."

ValueSet: LabelValues
Id: label
Title: "Response labels"
Description: "All response labels."
* insert Active
* include codes from system LabelCodes

ValueSet: CategoryValues
Id: category
Title: "Response categories"
Description: "All response categories, and the SNOMED CT findings that mean the same as some of them."
* insert Active
* include codes from system CategoryCodes
* $sct#268910001 "Patient's condition improved"
* $sct#359746009 "Patient's condition stable"
* $sct#271299001 "Patient's condition worsened"

ValueSet: WithdrawalValues
Id: withdrawal-reason
Title: "Reasons of withdrawal"
Description: "All reasons of withdrawal."
* insert Active
* include codes from system WithdrawalCodes

ValueSet: DeviceVersionTypeValues
Id: device-version-type
Title: "What a version is the version of"
Description: "All types of version."
* insert Active
* include codes from system DeviceVersionTypeCodes
