extension Definitions {
  static let parts = [part1, part2]

  /// Part 1; written by Scripts/definitions from fhir.schema.json (FHIR R4, CC0).
  static let part1 = """
    AllergyIntolerance identifier*:Identifier clinicalStatus:CodeableConcept verificationStatus:CodeableConcept
      type:code=allergy,intolerance category*:code=food,medication,environment,biologic
      criticality:code=low,high,unable-to-assess code:CodeableConcept patient!:Reference encounter:Reference
      onset?:dateTime,Age,Period,Range,string recordedDate:dateTime recorder:Reference asserter:Reference
      lastOccurrence:dateTime note*:Annotation reaction*:AllergyIntolerance_Reaction
    AllergyIntolerance_Reaction substance:CodeableConcept manifestation*!:CodeableConcept description:string
      onset:dateTime severity:code=mild,moderate,severe exposureRoute:CodeableConcept note*:Annotation
    Appointment identifier*:Identifier
      status!:code=proposed,pending,booked,arrived,fulfilled,cancelled,noshow,entered-in-error,checked-in,waitlist
      cancelationReason:CodeableConcept serviceCategory*:CodeableConcept serviceType*:CodeableConcept
      specialty*:CodeableConcept appointmentType:CodeableConcept reasonCode*:CodeableConcept
      reasonReference*:Reference priority:unsignedInt description:string supportingInformation*:Reference
      start:instant end:instant minutesDuration:positiveInt slot*:Reference created:dateTime comment:string
      patientInstruction:string basedOn*:Reference participant*!:Appointment_Participant requestedPeriod*:Period
    Appointment_Participant type*:CodeableConcept actor:Reference required:code=required,optional,information-only
      status!:code=accepted,declined,tentative,needs-action period:Period
    Binary contentType!:code securityContext:Reference data:base64Binary
    CarePlan identifier*:Identifier instantiatesCanonical*:canonical instantiatesUri*:uri basedOn*:Reference
      replaces*:Reference partOf*:Reference status!:code intent!:code category*:CodeableConcept title:string
      description:string subject!:Reference encounter:Reference period:Period created:dateTime author:Reference
      contributor*:Reference careTeam*:Reference addresses*:Reference supportingInfo*:Reference goal*:Reference
      activity*:CarePlan_Activity note*:Annotation
    CarePlan_Activity outcomeCodeableConcept*:CodeableConcept outcomeReference*:Reference progress*:Annotation
      reference:Reference detail:CarePlan_Detail
    CarePlan_Detail kind:code instantiatesCanonical*:canonical instantiatesUri*:uri code:CodeableConcept
      reasonCode*:CodeableConcept reasonReference*:Reference goal*:Reference
      status!:code=not-started,scheduled,in-progress,on-hold,completed,cancelled,stopped,unknown,entered-in-error
      statusReason:CodeableConcept doNotPerform:boolean scheduled?:Timing,Period,string location:Reference
      performer*:Reference product?:CodeableConcept,Reference dailyAmount:Quantity quantity:Quantity
      description:string
    CareTeam identifier*:Identifier status:code=proposed,active,suspended,inactive,entered-in-error
      category*:CodeableConcept name:string subject:Reference encounter:Reference period:Period
      participant*:CareTeam_Participant reasonCode*:CodeableConcept reasonReference*:Reference
      managingOrganization*:Reference telecom*:ContactPoint note*:Annotation
    CareTeam_Participant role*:CodeableConcept member:Reference onBehalfOf:Reference period:Period
    Claim identifier*:Identifier status!:code type!:CodeableConcept subType:CodeableConcept
      use!:code=claim,preauthorization,predetermination patient!:Reference billablePeriod:Period created!:dateTime
      enterer:Reference insurer:Reference provider!:Reference priority!:CodeableConcept fundsReserve:CodeableConcept
      related*:Claim_Related prescription:Reference originalPrescription:Reference payee:Claim_Payee
      referral:Reference facility:Reference careTeam*:Claim_CareTeam supportingInfo*:Claim_SupportingInfo
      diagnosis*:Claim_Diagnosis procedure*:Claim_Procedure insurance*!:Claim_Insurance accident:Claim_Accident
      item*:Claim_Item total:Money
    Claim_Accident date!:date type:CodeableConcept location?:Address,Reference
    Claim_CareTeam sequence!:positiveInt provider!:Reference responsible:boolean role:CodeableConcept
      qualification:CodeableConcept
    Claim_Detail sequence!:positiveInt revenue:CodeableConcept category:CodeableConcept
      productOrService!:CodeableConcept modifier*:CodeableConcept programCode*:CodeableConcept quantity:Quantity
      unitPrice:Money factor:decimal net:Money udi*:Reference subDetail*:Claim_SubDetail
    Claim_Diagnosis sequence!:positiveInt diagnosis?!:CodeableConcept,Reference type*:CodeableConcept
      onAdmission:CodeableConcept packageCode:CodeableConcept
    Claim_Insurance sequence!:positiveInt focal!:boolean identifier:Identifier coverage!:Reference
      businessArrangement:string preAuthRef*:string claimResponse:Reference
    Claim_Item sequence!:positiveInt careTeamSequence*:positiveInt diagnosisSequence*:positiveInt
      procedureSequence*:positiveInt informationSequence*:positiveInt revenue:CodeableConcept category:CodeableConcept
      productOrService!:CodeableConcept modifier*:CodeableConcept programCode*:CodeableConcept serviced?:date,Period
      location?:CodeableConcept,Address,Reference quantity:Quantity unitPrice:Money factor:decimal net:Money
      udi*:Reference bodySite:CodeableConcept subSite*:CodeableConcept encounter*:Reference detail*:Claim_Detail
    Claim_Payee type!:CodeableConcept party:Reference
    Claim_Procedure sequence!:positiveInt type*:CodeableConcept date:dateTime procedure?!:CodeableConcept,Reference
      udi*:Reference
    Claim_Related claim:Reference relationship:CodeableConcept reference:Identifier
    Claim_SubDetail sequence!:positiveInt revenue:CodeableConcept category:CodeableConcept
      productOrService!:CodeableConcept modifier*:CodeableConcept programCode*:CodeableConcept quantity:Quantity
      unitPrice:Money factor:decimal net:Money udi*:Reference
    Claim_SupportingInfo sequence!:positiveInt category!:CodeableConcept code:CodeableConcept timing?:date,Period
      value?:boolean,string,Quantity,Attachment,Reference reason:CodeableConcept
    Communication identifier*:Identifier instantiatesCanonical*:canonical instantiatesUri*:uri basedOn*:Reference
      partOf*:Reference inResponseTo*:Reference status!:code statusReason:CodeableConcept category*:CodeableConcept
      priority:code medium*:CodeableConcept subject:Reference topic:CodeableConcept about*:Reference
      encounter:Reference sent:dateTime received:dateTime recipient*:Reference sender:Reference
      reasonCode*:CodeableConcept reasonReference*:Reference payload*:Communication_Payload note*:Annotation
    Communication_Payload content?!:string,Attachment,Reference
    Composition identifier:Identifier status!:code=preliminary,final,amended,entered-in-error type!:CodeableConcept
      category*:CodeableConcept subject:Reference encounter:Reference date!:dateTime author*!:Reference title!:string
      confidentiality:code attester*:Composition_Attester custodian:Reference relatesTo*:Composition_RelatesTo
      event*:Composition_Event section*:Composition_Section
    Composition_Attester mode!:code=personal,professional,legal,official time:dateTime party:Reference
    Composition_Event code*:CodeableConcept period:Period detail*:Reference
    Composition_RelatesTo code!:code target?!:Identifier,Reference
    Composition_Section title:string code:CodeableConcept author*:Reference focus:Reference text:Narrative mode:code
      orderedBy:CodeableConcept entry*:Reference emptyReason:CodeableConcept section*:Composition_Section
    Condition identifier*:Identifier clinicalStatus:CodeableConcept verificationStatus:CodeableConcept
      category*:CodeableConcept severity:CodeableConcept code:CodeableConcept bodySite*:CodeableConcept
      subject!:Reference encounter:Reference onset?:dateTime,Age,Period,Range,string
      abatement?:dateTime,Age,Period,Range,string recordedDate:dateTime recorder:Reference asserter:Reference
      stage*:Condition_Stage evidence*:Condition_Evidence note*:Annotation
    Condition_Evidence code*:CodeableConcept detail*:Reference
    Condition_Stage summary:CodeableConcept assessment*:Reference type:CodeableConcept
    Coverage identifier*:Identifier status!:code type:CodeableConcept policyHolder:Reference subscriber:Reference
      subscriberId:string beneficiary!:Reference dependent:string relationship:CodeableConcept period:Period
      payor*!:Reference class*:Coverage_Class order:positiveInt network:string
      costToBeneficiary*:Coverage_CostToBeneficiary subrogation:boolean contract*:Reference
    Coverage_Class type!:CodeableConcept value!:string name:string
    Coverage_CostToBeneficiary type:CodeableConcept value?!:Quantity,Money exception*:Coverage_Exception
    Coverage_Exception type!:CodeableConcept period:Period
    DataRequirement_CodeFilter path:string searchParam:string valueSet:canonical code*:Coding
    DataRequirement_DateFilter path:string searchParam:string value?:dateTime,Period,Duration
    DataRequirement_Sort path!:string direction!:code=ascending,descending
    Device identifier*:Identifier definition:Reference udiCarrier*:Device_UdiCarrier
      status:code=active,inactive,entered-in-error,unknown statusReason*:CodeableConcept distinctIdentifier:string
      manufacturer:string manufactureDate:dateTime expirationDate:dateTime lotNumber:string serialNumber:string
      deviceName*:Device_DeviceName modelNumber:string partNumber:string type:CodeableConcept
      specialization*:Device_Specialization version*:Device_Version property*:Device_Property patient:Reference
      owner:Reference contact*:ContactPoint location:Reference url:uri note*:Annotation safety*:CodeableConcept
      parent:Reference
    Device_DeviceName name!:string
      type!:code=udi-label-name,user-friendly-name,patient-reported-name,manufacturer-name,model-name,other
    Device_Property type!:CodeableConcept valueQuantity*:Quantity valueCode*:CodeableConcept
    Device_Specialization systemType!:CodeableConcept version:string
    Device_UdiCarrier deviceIdentifier:string issuer:uri jurisdiction:uri carrierAIDC:base64Binary carrierHRF:string
      entryType:code=barcode,rfid,manual,card,self-reported,unknown
    Device_Version type:CodeableConcept component:Identifier value!:string
    DiagnosticReport identifier*:Identifier basedOn*:Reference
      status!:code=registered,partial,preliminary,final,amended,corrected,appended,cancelled,entered-in-error,unknown
      category*:CodeableConcept code!:CodeableConcept subject:Reference encounter:Reference effective?:dateTime,Period
      issued:instant performer*:Reference resultsInterpreter*:Reference specimen*:Reference result*:Reference
      imagingStudy*:Reference media*:DiagnosticReport_Media conclusion:string conclusionCode*:CodeableConcept
      presentedForm*:Attachment
    DiagnosticReport_Media comment:string link!:Reference
    DocumentReference masterIdentifier:Identifier identifier*:Identifier
      status!:code=current,superseded,entered-in-error docStatus:code type:CodeableConcept category*:CodeableConcept
      subject:Reference date:instant author*:Reference authenticator:Reference custodian:Reference
      relatesTo*:DocumentReference_RelatesTo description:string securityLabel*:CodeableConcept
      content*!:DocumentReference_Content context:DocumentReference_Context
    DocumentReference_Content attachment!:Attachment format:Coding
    DocumentReference_Context encounter*:Reference event*:CodeableConcept period:Period facilityType:CodeableConcept
      practiceSetting:CodeableConcept sourcePatientInfo:Reference related*:Reference
    DocumentReference_RelatesTo code!:code=replaces,transforms,signs,appends target!:Reference
    Dosage_DoseAndRate type:CodeableConcept dose?:Range,Quantity rate?:Ratio,Range,Quantity
    Encounter identifier*:Identifier
      status!:code=planned,arrived,triaged,in-progress,onleave,finished,cancelled,entered-in-error,unknown
      statusHistory*:Encounter_StatusHistory class!:Coding classHistory*:Encounter_ClassHistory type*:CodeableConcept
      serviceType:CodeableConcept priority:CodeableConcept subject:Reference episodeOfCare*:Reference
      basedOn*:Reference participant*:Encounter_Participant appointment*:Reference period:Period length:Duration
      reasonCode*:CodeableConcept reasonReference*:Reference diagnosis*:Encounter_Diagnosis account*:Reference
      hospitalization:Encounter_Hospitalization location*:Encounter_Location serviceProvider:Reference
      partOf:Reference
    Encounter_ClassHistory class!:Coding period!:Period
    Encounter_Diagnosis condition!:Reference use:CodeableConcept rank:positiveInt
    Encounter_Hospitalization preAdmissionIdentifier:Identifier origin:Reference admitSource:CodeableConcept
      reAdmission:CodeableConcept dietPreference*:CodeableConcept specialCourtesy*:CodeableConcept
      specialArrangement*:CodeableConcept destination:Reference dischargeDisposition:CodeableConcept
    Encounter_Location location!:Reference status:code=planned,active,reserved,completed physicalType:CodeableConcept
      period:Period
    Encounter_Participant type*:CodeableConcept period:Period individual:Reference
    Encounter_StatusHistory
      status!:code=planned,arrived,triaged,in-progress,onleave,finished,cancelled,entered-in-error,unknown
      period!:Period
    EpisodeOfCare identifier*:Identifier
      status!:code=planned,waitlist,active,onhold,finished,cancelled,entered-in-error
      statusHistory*:EpisodeOfCare_StatusHistory type*:CodeableConcept diagnosis*:EpisodeOfCare_Diagnosis
      patient!:Reference managingOrganization:Reference period:Period referralRequest*:Reference careManager:Reference
      team*:Reference account*:Reference
    EpisodeOfCare_Diagnosis condition!:Reference role:CodeableConcept rank:positiveInt
    EpisodeOfCare_StatusHistory status!:code=planned,waitlist,active,onhold,finished,cancelled,entered-in-error
      period!:Period
    ExplanationOfBenefit identifier*:Identifier status!:code=active,cancelled,draft,entered-in-error
      type!:CodeableConcept subType:CodeableConcept use!:code patient!:Reference billablePeriod:Period
      created!:dateTime enterer:Reference insurer!:Reference provider!:Reference priority:CodeableConcept
      fundsReserveRequested:CodeableConcept fundsReserve:CodeableConcept related*:ExplanationOfBenefit_Related
      prescription:Reference originalPrescription:Reference payee:ExplanationOfBenefit_Payee referral:Reference
      facility:Reference claim:Reference claimResponse:Reference outcome!:code disposition:string preAuthRef*:string
      preAuthRefPeriod*:Period careTeam*:ExplanationOfBenefit_CareTeam
      supportingInfo*:ExplanationOfBenefit_SupportingInfo diagnosis*:ExplanationOfBenefit_Diagnosis
      procedure*:ExplanationOfBenefit_Procedure precedence:positiveInt insurance*!:ExplanationOfBenefit_Insurance
      accident:ExplanationOfBenefit_Accident item*:ExplanationOfBenefit_Item addItem*:ExplanationOfBenefit_AddItem
      adjudication*:ExplanationOfBenefit_Adjudication total*:ExplanationOfBenefit_Total
      payment:ExplanationOfBenefit_Payment formCode:CodeableConcept form:Attachment
      processNote*:ExplanationOfBenefit_ProcessNote benefitPeriod:Period
      benefitBalance*:ExplanationOfBenefit_BenefitBalance
    ExplanationOfBenefit_Accident date:date type:CodeableConcept location?:Address,Reference
    ExplanationOfBenefit_AddItem itemSequence*:positiveInt detailSequence*:positiveInt subDetailSequence*:positiveInt
      provider*:Reference productOrService!:CodeableConcept modifier*:CodeableConcept programCode*:CodeableConcept
      serviced?:date,Period location?:CodeableConcept,Address,Reference quantity:Quantity unitPrice:Money
      factor:decimal net:Money bodySite:CodeableConcept subSite*:CodeableConcept noteNumber*:positiveInt
      adjudication*:ExplanationOfBenefit_Adjudication detail*:ExplanationOfBenefit_Detail1
    ExplanationOfBenefit_Adjudication category!:CodeableConcept reason:CodeableConcept amount:Money value:decimal
    ExplanationOfBenefit_BenefitBalance category!:CodeableConcept excluded:boolean name:string description:string
      network:CodeableConcept unit:CodeableConcept term:CodeableConcept financial*:ExplanationOfBenefit_Financial
    ExplanationOfBenefit_CareTeam sequence!:positiveInt provider!:Reference responsible:boolean role:CodeableConcept
      qualification:CodeableConcept
    ExplanationOfBenefit_Detail sequence!:positiveInt revenue:CodeableConcept category:CodeableConcept
      productOrService!:CodeableConcept modifier*:CodeableConcept programCode*:CodeableConcept quantity:Quantity
      unitPrice:Money factor:decimal net:Money udi*:Reference noteNumber*:positiveInt
      adjudication*:ExplanationOfBenefit_Adjudication subDetail*:ExplanationOfBenefit_SubDetail
    ExplanationOfBenefit_Detail1 productOrService!:CodeableConcept modifier*:CodeableConcept quantity:Quantity
      unitPrice:Money factor:decimal net:Money noteNumber*:positiveInt adjudication*:ExplanationOfBenefit_Adjudication
      subDetail*:ExplanationOfBenefit_SubDetail1
    ExplanationOfBenefit_Diagnosis sequence!:positiveInt diagnosis?!:CodeableConcept,Reference type*:CodeableConcept
      onAdmission:CodeableConcept packageCode:CodeableConcept
    ExplanationOfBenefit_Financial type!:CodeableConcept allowed?:unsignedInt,string,Money used?:unsignedInt,Money
    ExplanationOfBenefit_Insurance focal!:boolean coverage!:Reference preAuthRef*:string
    ExplanationOfBenefit_Item sequence!:positiveInt careTeamSequence*:positiveInt diagnosisSequence*:positiveInt
      procedureSequence*:positiveInt informationSequence*:positiveInt revenue:CodeableConcept category:CodeableConcept
      productOrService!:CodeableConcept modifier*:CodeableConcept programCode*:CodeableConcept serviced?:date,Period
      location?:CodeableConcept,Address,Reference quantity:Quantity unitPrice:Money factor:decimal net:Money
      udi*:Reference bodySite:CodeableConcept subSite*:CodeableConcept encounter*:Reference noteNumber*:positiveInt
      adjudication*:ExplanationOfBenefit_Adjudication detail*:ExplanationOfBenefit_Detail
    ExplanationOfBenefit_Payee type:CodeableConcept party:Reference
    ExplanationOfBenefit_Payment type:CodeableConcept adjustment:Money adjustmentReason:CodeableConcept date:date
      amount:Money identifier:Identifier
    ExplanationOfBenefit_Procedure sequence!:positiveInt type*:CodeableConcept date:dateTime
      procedure?!:CodeableConcept,Reference udi*:Reference
    ExplanationOfBenefit_ProcessNote number:positiveInt type:code=display,print,printoper text:string
      language:CodeableConcept
    ExplanationOfBenefit_Related claim:Reference relationship:CodeableConcept reference:Identifier
    ExplanationOfBenefit_SubDetail sequence!:positiveInt revenue:CodeableConcept category:CodeableConcept
      productOrService!:CodeableConcept modifier*:CodeableConcept programCode*:CodeableConcept quantity:Quantity
      unitPrice:Money factor:decimal net:Money udi*:Reference noteNumber*:positiveInt
      adjudication*:ExplanationOfBenefit_Adjudication
    ExplanationOfBenefit_SubDetail1 productOrService!:CodeableConcept modifier*:CodeableConcept quantity:Quantity
      unitPrice:Money factor:decimal net:Money noteNumber*:positiveInt adjudication*:ExplanationOfBenefit_Adjudication
    ExplanationOfBenefit_SupportingInfo sequence!:positiveInt category!:CodeableConcept code:CodeableConcept
      timing?:date,Period value?:boolean,string,Quantity,Attachment,Reference reason:Coding
    ExplanationOfBenefit_Total category!:CodeableConcept amount!:Money
    FamilyMemberHistory identifier*:Identifier instantiatesCanonical*:canonical instantiatesUri*:uri
      status!:code=partial,completed,entered-in-error,health-unknown dataAbsentReason:CodeableConcept
      patient!:Reference date:dateTime name:string relationship!:CodeableConcept sex:CodeableConcept
      born?:Period,date,string age?:Age,Range,string estimatedAge:boolean deceased?:boolean,Age,Range,date,string
      reasonCode*:CodeableConcept reasonReference*:Reference note*:Annotation condition*:FamilyMemberHistory_Condition
    FamilyMemberHistory_Condition code!:CodeableConcept outcome:CodeableConcept contributedToDeath:boolean
      onset?:Age,Range,Period,string note*:Annotation
    Goal identifier*:Identifier
      lifecycleStatus!:code=proposed,planned,accepted,active,on-hold,completed,cancelled,entered-in-error,rejected
      achievementStatus:CodeableConcept category*:CodeableConcept priority:CodeableConcept
      description!:CodeableConcept subject!:Reference start?:date,CodeableConcept target*:Goal_Target statusDate:date
      statusReason:string expressedBy:Reference addresses*:Reference note*:Annotation outcomeCode*:CodeableConcept
      outcomeReference*:Reference
    Goal_Target measure:CodeableConcept detail?:Quantity,Range,CodeableConcept,string,boolean,integer,Ratio
      due?:date,Duration
    Group identifier*:Identifier active:boolean type!:code=person,animal,practitioner,device,medication,substance
      actual!:boolean code:CodeableConcept name:string quantity:unsignedInt managingEntity:Reference
      characteristic*:Group_Characteristic member*:Group_Member
    Group_Characteristic code!:CodeableConcept value?!:CodeableConcept,boolean,Quantity,Range,Reference
      exclude!:boolean period:Period
    Group_Member entity!:Reference period:Period inactive:boolean
    ImagingStudy identifier*:Identifier status!:code=registered,available,cancelled,entered-in-error,unknown
      modality*:Coding subject!:Reference encounter:Reference started:dateTime basedOn*:Reference referrer:Reference
      interpreter*:Reference endpoint*:Reference numberOfSeries:unsignedInt numberOfInstances:unsignedInt
      procedureReference:Reference procedureCode*:CodeableConcept location:Reference reasonCode*:CodeableConcept
      reasonReference*:Reference note*:Annotation description:string series*:ImagingStudy_Series
    ImagingStudy_Instance uid!:id sopClass!:Coding number:unsignedInt title:string
    ImagingStudy_Performer function:CodeableConcept actor!:Reference
    ImagingStudy_Series uid!:id number:unsignedInt modality!:Coding description:string numberOfInstances:unsignedInt
      endpoint*:Reference bodySite:Coding laterality:Coding specimen*:Reference started:dateTime
      performer*:ImagingStudy_Performer instance*:ImagingStudy_Instance
    Immunization identifier*:Identifier status!:code statusReason:CodeableConcept vaccineCode!:CodeableConcept
      patient!:Reference encounter:Reference occurrence?!:dateTime,string recorded:dateTime primarySource:boolean
      reportOrigin:CodeableConcept location:Reference manufacturer:Reference lotNumber:string expirationDate:date
      site:CodeableConcept route:CodeableConcept doseQuantity:Quantity performer*:Immunization_Performer
      note*:Annotation reasonCode*:CodeableConcept reasonReference*:Reference isSubpotent:boolean
      subpotentReason*:CodeableConcept education*:Immunization_Education programEligibility*:CodeableConcept
      fundingSource:CodeableConcept reaction*:Immunization_Reaction protocolApplied*:Immunization_ProtocolApplied
    Immunization_Education documentType:string reference:uri publicationDate:dateTime presentationDate:dateTime
    Immunization_Performer function:CodeableConcept actor!:Reference
    Immunization_ProtocolApplied series:string authority:Reference targetDisease*:CodeableConcept
      doseNumber?!:positiveInt,string seriesDoses?:positiveInt,string
    Immunization_Reaction date:dateTime detail:Reference reported:boolean
    List identifier*:Identifier status!:code=current,retired,entered-in-error mode!:code=working,snapshot,changes
      title:string code:CodeableConcept subject:Reference encounter:Reference date:dateTime source:Reference
      orderedBy:CodeableConcept note*:Annotation entry*:List_Entry emptyReason:CodeableConcept
    List_Entry flag:CodeableConcept deleted:boolean date:dateTime item!:Reference
    Location identifier*:Identifier status:code=active,suspended,inactive operationalStatus:Coding name:string
      alias*:string description:string mode:code=instance,kind type*:CodeableConcept telecom*:ContactPoint
      address:Address physicalType:CodeableConcept position:Location_Position managingOrganization:Reference
      partOf:Reference hoursOfOperation*:Location_HoursOfOperation availabilityExceptions:string endpoint*:Reference
    Location_HoursOfOperation daysOfWeek*:code allDay:boolean openingTime:time closingTime:time
    Location_Position longitude!:decimal latitude!:decimal altitude:decimal
    Media identifier*:Identifier basedOn*:Reference partOf*:Reference status!:code type:CodeableConcept
      modality:CodeableConcept view:CodeableConcept subject:Reference encounter:Reference created?:dateTime,Period
      issued:instant operator:Reference reasonCode*:CodeableConcept bodySite:CodeableConcept deviceName:string
      device:Reference height:positiveInt width:positiveInt frames:positiveInt duration:decimal content!:Attachment
      note*:Annotation
    Medication identifier*:Identifier code:CodeableConcept status:code manufacturer:Reference form:CodeableConcept
      amount:Ratio ingredient*:Medication_Ingredient batch:Medication_Batch
    MedicationAdministration identifier*:Identifier instantiates*:uri partOf*:Reference status!:code
      statusReason*:CodeableConcept category:CodeableConcept medication?!:CodeableConcept,Reference subject!:Reference
      context:Reference supportingInformation*:Reference effective?!:dateTime,Period
      performer*:MedicationAdministration_Performer reasonCode*:CodeableConcept reasonReference*:Reference
      request:Reference device*:Reference note*:Annotation dosage:MedicationAdministration_Dosage
      eventHistory*:Reference
    MedicationAdministration_Dosage text:string site:CodeableConcept route:CodeableConcept method:CodeableConcept
      dose:Quantity rate?:Ratio,Quantity
    MedicationAdministration_Performer function:CodeableConcept actor!:Reference
    MedicationDispense identifier*:Identifier partOf*:Reference status!:code statusReason?:CodeableConcept,Reference
      category:CodeableConcept medication?!:CodeableConcept,Reference subject:Reference context:Reference
      supportingInformation*:Reference performer*:MedicationDispense_Performer location:Reference
      authorizingPrescription*:Reference type:CodeableConcept quantity:Quantity daysSupply:Quantity
      whenPrepared:dateTime whenHandedOver:dateTime destination:Reference receiver*:Reference note*:Annotation
      dosageInstruction*:Dosage substitution:MedicationDispense_Substitution detectedIssue*:Reference
      eventHistory*:Reference
    MedicationDispense_Performer function:CodeableConcept actor!:Reference
    MedicationDispense_Substitution wasSubstituted!:boolean type:CodeableConcept reason*:CodeableConcept
      responsibleParty*:Reference
    MedicationRequest identifier*:Identifier status!:code statusReason:CodeableConcept intent!:code
      category*:CodeableConcept priority:code doNotPerform:boolean reported?:boolean,Reference
      medication?!:CodeableConcept,Reference subject!:Reference encounter:Reference supportingInformation*:Reference
      authoredOn:dateTime requester:Reference performer:Reference performerType:CodeableConcept recorder:Reference
      reasonCode*:CodeableConcept reasonReference*:Reference instantiatesCanonical*:canonical instantiatesUri*:uri
      basedOn*:Reference groupIdentifier:Identifier courseOfTherapyType:CodeableConcept insurance*:Reference
      note*:Annotation dosageInstruction*:Dosage dispenseRequest:MedicationRequest_DispenseRequest
      substitution:MedicationRequest_Substitution priorPrescription:Reference detectedIssue*:Reference
      eventHistory*:Reference
    MedicationRequest_DispenseRequest initialFill:MedicationRequest_InitialFill dispenseInterval:Duration
      validityPeriod:Period numberOfRepeatsAllowed:unsignedInt quantity:Quantity expectedSupplyDuration:Duration
      performer:Reference
    MedicationRequest_InitialFill quantity:Quantity duration:Duration
    MedicationRequest_Substitution allowed?!:boolean,CodeableConcept reason:CodeableConcept
    MedicationStatement identifier*:Identifier basedOn*:Reference partOf*:Reference status!:code
      statusReason*:CodeableConcept category:CodeableConcept medication?!:CodeableConcept,Reference subject!:Reference
      context:Reference effective?:dateTime,Period dateAsserted:dateTime informationSource:Reference
      derivedFrom*:Reference reasonCode*:CodeableConcept reasonReference*:Reference note*:Annotation dosage*:Dosage
    Medication_Batch lotNumber:string expirationDate:dateTime
    Medication_Ingredient item?!:CodeableConcept,Reference isActive:boolean strength:Ratio
    Observation identifier*:Identifier basedOn*:Reference partOf*:Reference
      status!:code=registered,preliminary,final,amended,corrected,cancelled,entered-in-error,unknown
      category*:CodeableConcept code!:CodeableConcept subject:Reference focus*:Reference encounter:Reference
      effective?:dateTime,Period,Timing,instant issued:instant performer*:Reference
      value?:Quantity,CodeableConcept,string,boolean,integer,Range,Ratio,SampledData,time,dateTime,Period
      dataAbsentReason:CodeableConcept interpretation*:CodeableConcept note*:Annotation bodySite:CodeableConcept
      method:CodeableConcept specimen:Reference device:Reference referenceRange*:Observation_ReferenceRange
      hasMember*:Reference derivedFrom*:Reference component*:Observation_Component
    Observation_Component code!:CodeableConcept
      value?:Quantity,CodeableConcept,string,boolean,integer,Range,Ratio,SampledData,time,dateTime,Period
      dataAbsentReason:CodeableConcept interpretation*:CodeableConcept referenceRange*:Observation_ReferenceRange
    Observation_ReferenceRange low:Quantity high:Quantity type:CodeableConcept appliesTo*:CodeableConcept age:Range
      text:string
    Organization identifier*:Identifier active:boolean type*:CodeableConcept name:string alias*:string
      telecom*:ContactPoint address*:Address partOf:Reference contact*:Organization_Contact endpoint*:Reference
    Organization_Contact purpose:CodeableConcept name:HumanName telecom*:ContactPoint address:Address
    Patient identifier*:Identifier active:boolean name*:HumanName telecom*:ContactPoint
      gender:code=male,female,other,unknown birthDate:date deceased?:boolean,dateTime address*:Address
      maritalStatus:CodeableConcept multipleBirth?:boolean,integer photo*:Attachment contact*:Patient_Contact
      communication*:Patient_Communication generalPractitioner*:Reference managingOrganization:Reference
      link*:Patient_Link
    Patient_Communication language!:CodeableConcept preferred:boolean
    Patient_Contact relationship*:CodeableConcept name:HumanName telecom*:ContactPoint address:Address
      gender:code=male,female,other,unknown organization:Reference period:Period
    Patient_Link other!:Reference type!:code=replaced-by,replaces,refer,seealso
    Practitioner identifier*:Identifier active:boolean name*:HumanName telecom*:ContactPoint address*:Address
      gender:code=male,female,other,unknown birthDate:date photo*:Attachment qualification*:Practitioner_Qualification
      communication*:CodeableConcept
    PractitionerRole identifier*:Identifier active:boolean period:Period practitioner:Reference organization:Reference
      code*:CodeableConcept specialty*:CodeableConcept location*:Reference healthcareService*:Reference
      telecom*:ContactPoint availableTime*:PractitionerRole_AvailableTime notAvailable*:PractitionerRole_NotAvailable
      availabilityExceptions:string endpoint*:Reference
    PractitionerRole_AvailableTime daysOfWeek*:code allDay:boolean availableStartTime:time availableEndTime:time
    PractitionerRole_NotAvailable description!:string during:Period
    Practitioner_Qualification identifier*:Identifier code!:CodeableConcept period:Period issuer:Reference
    Procedure identifier*:Identifier instantiatesCanonical*:canonical instantiatesUri*:uri basedOn*:Reference
      partOf*:Reference status!:code statusReason:CodeableConcept category:CodeableConcept code:CodeableConcept
      subject!:Reference encounter:Reference performed?:dateTime,Period,string,Age,Range recorder:Reference
      asserter:Reference performer*:Procedure_Performer location:Reference reasonCode*:CodeableConcept
      reasonReference*:Reference bodySite*:CodeableConcept outcome:CodeableConcept report*:Reference
      complication*:CodeableConcept complicationDetail*:Reference followUp*:CodeableConcept note*:Annotation
      focalDevice*:Procedure_FocalDevice usedReference*:Reference usedCode*:CodeableConcept
    Procedure_FocalDevice action:CodeableConcept manipulated!:Reference
    Procedure_Performer function:CodeableConcept actor!:Reference onBehalfOf:Reference
    Provenance target*!:Reference occurred?:Period,dateTime recorded!:instant policy*:uri location:Reference
      reason*:CodeableConcept activity:CodeableConcept agent*!:Provenance_Agent entity*:Provenance_Entity
      signature*:Signature
    Provenance_Agent type:CodeableConcept role*:CodeableConcept who!:Reference onBehalfOf:Reference
    Provenance_Entity role!:code=derivation,revision,quotation,source,removal what!:Reference agent*:Provenance_Agent
    QuestionnaireResponse identifier:Identifier basedOn*:Reference partOf*:Reference questionnaire:canonical
      status!:code=in-progress,completed,amended,entered-in-error,stopped subject:Reference encounter:Reference
      authored:dateTime author:Reference source:Reference item*:QuestionnaireResponse_Item
    QuestionnaireResponse_Answer
      value?:boolean,decimal,integer,date,dateTime,time,string,uri,Attachment,Coding,Quantity,Reference
      item*:QuestionnaireResponse_Item
    QuestionnaireResponse_Item linkId!:string definition:uri text:string answer*:QuestionnaireResponse_Answer
      item*:QuestionnaireResponse_Item
    RelatedPerson identifier*:Identifier active:boolean patient!:Reference relationship*:CodeableConcept
      name*:HumanName telecom*:ContactPoint gender:code=male,female,other,unknown birthDate:date address*:Address
      photo*:Attachment period:Period communication*:RelatedPerson_Communication
    RelatedPerson_Communication language!:CodeableConcept preferred:boolean
    Schedule identifier*:Identifier active:boolean serviceCategory*:CodeableConcept serviceType*:CodeableConcept
      specialty*:CodeableConcept actor*!:Reference planningHorizon:Period comment:string
    ServiceRequest identifier*:Identifier instantiatesCanonical*:canonical instantiatesUri*:uri basedOn*:Reference
      replaces*:Reference requisition:Identifier status!:code intent!:code category*:CodeableConcept priority:code
      doNotPerform:boolean code:CodeableConcept orderDetail*:CodeableConcept quantity?:Quantity,Ratio,Range
      subject!:Reference encounter:Reference occurrence?:dateTime,Period,Timing asNeeded?:boolean,CodeableConcept
      authoredOn:dateTime requester:Reference performerType:CodeableConcept performer*:Reference
      locationCode*:CodeableConcept locationReference*:Reference reasonCode*:CodeableConcept
      reasonReference*:Reference insurance*:Reference supportingInfo*:Reference specimen*:Reference
      bodySite*:CodeableConcept note*:Annotation patientInstruction:string relevantHistory*:Reference
    Slot identifier*:Identifier serviceCategory*:CodeableConcept serviceType*:CodeableConcept
      specialty*:CodeableConcept appointmentType:CodeableConcept schedule!:Reference
      status!:code=busy,free,busy-unavailable,busy-tentative,entered-in-error start!:instant end!:instant
      overbooked:boolean comment:string
    Specimen identifier*:Identifier accessionIdentifier:Identifier
      status:code=available,unavailable,unsatisfactory,entered-in-error type:CodeableConcept subject:Reference
      receivedTime:dateTime parent*:Reference request*:Reference collection:Specimen_Collection
      processing*:Specimen_Processing container*:Specimen_Container condition*:CodeableConcept note*:Annotation
    Specimen_Collection collector:Reference collected?:dateTime,Period duration:Duration quantity:Quantity
      method:CodeableConcept bodySite:CodeableConcept fastingStatus?:CodeableConcept,Duration
    Specimen_Container identifier*:Identifier description:string type:CodeableConcept capacity:Quantity
      specimenQuantity:Quantity additive?:CodeableConcept,Reference
    Specimen_Processing description:string procedure:CodeableConcept additive*:Reference time?:dateTime,Period
    Substance identifier*:Identifier status:code=active,inactive,entered-in-error category*:CodeableConcept
      code!:CodeableConcept description:string instance*:Substance_Instance ingredient*:Substance_Ingredient
    Substance_Ingredient quantity:Ratio substance?!:CodeableConcept,Reference
    Substance_Instance identifier:Identifier expiry:dateTime quantity:Quantity
    Task identifier*:Identifier instantiatesCanonical:canonical instantiatesUri:uri basedOn*:Reference
      groupIdentifier:Identifier partOf*:Reference status!:code=draft,requested,received,accepted,rejected,ready,
      cancelled,in-progress,on-hold,failed,completed,entered-in-error statusReason:CodeableConcept
      businessStatus:CodeableConcept
      intent!:code=unknown,proposal,plan,order,original-order,reflex-order,filler-order,instance-order,option
      priority:code code:CodeableConcept description:string focus:Reference for:Reference encounter:Reference
      executionPeriod:Period authoredOn:dateTime lastModified:dateTime requester:Reference
      performerType*:CodeableConcept owner:Reference location:Reference reasonCode:CodeableConcept
      reasonReference:Reference insurance*:Reference note*:Annotation relevantHistory*:Reference
      restriction:Task_Restriction input*:Task_Input output*:Task_Output
    Task_Input type!:CodeableConcept value?!:base64Binary,boolean,canonical,code,date,dateTime,decimal,id,instant,
      integer,markdown,oid,positiveInt,string,time,unsignedInt,uri,url,uuid,Address,Age,Annotation,Attachment,
      CodeableConcept,Coding,ContactPoint,Count,Distance,Duration,HumanName,Identifier,Money,Period,Quantity,Range,
      Ratio,Reference,SampledData,Signature,Timing,ContactDetail,Contributor,DataRequirement,Expression,
      ParameterDefinition,RelatedArtifact,TriggerDefinition,UsageContext,Dosage,Meta
    Task_Output type!:CodeableConcept value?!:base64Binary,boolean,canonical,code,date,dateTime,decimal,id,instant,
      integer,markdown,oid,positiveInt,string,time,unsignedInt,uri,url,uuid,Address,Age,Annotation,Attachment,
      CodeableConcept,Coding,ContactPoint,Count,Distance,Duration,HumanName,Identifier,Money,Period,Quantity,Range,
      Ratio,Reference,SampledData,Signature,Timing,ContactDetail,Contributor,DataRequirement,Expression,
      ParameterDefinition,RelatedArtifact,TriggerDefinition,UsageContext,Dosage,Meta
    Task_Restriction repetitions:positiveInt period:Period recipient*:Reference
    Timing_Repeat bounds?:Duration,Range,Period count:positiveInt countMax:positiveInt duration:decimal
      durationMax:decimal durationUnit:code=s,min,h,d,wk,mo,a frequency:positiveInt frequencyMax:positiveInt
      period:decimal periodMax:decimal periodUnit:code=s,min,h,d,wk,mo,a dayOfWeek*:code timeOfDay*:time
      when*:code=MORN,MORN.early,MORN.late,NOON,AFT,AFT.early,AFT.late,EVE,EVE.early,EVE.late,NIGHT,PHS,HS,WAKE,C,CM,
      CD,CV,AC,ACM,ACD,ACV,PC,PCM,PCD,PCV offset:unsignedInt
    Address use:code=home,work,temp,old,billing type:code=postal,physical,both text:string line*:string city:string
      district:string state:string postalCode:string country:string period:Period
    Age value:decimal comparator:code=<,<=,>=,> unit:string system:uri code:code
    Annotation author?:Reference,string time:dateTime text!:markdown
    Attachment contentType:code language:code data:base64Binary url:url size:unsignedInt hash:base64Binary
      title:string creation:dateTime
    CodeableConcept coding*:Coding text:string
    Coding system:uri version:string code:code display:string userSelected:boolean
    ContactDetail name:string telecom*:ContactPoint
    ContactPoint system:code=phone,fax,email,pager,url,sms,other value:string use:code=home,work,temp,old,mobile
      rank:positiveInt period:Period
    Contributor type!:code=author,editor,reviewer,endorser name!:string contact*:ContactDetail
    Count value:decimal comparator:code=<,<=,>=,> unit:string system:uri code:code
    DataRequirement type!:code profile*:canonical subject?:CodeableConcept,Reference mustSupport*:string
      codeFilter*:DataRequirement_CodeFilter dateFilter*:DataRequirement_DateFilter limit:positiveInt
      sort*:DataRequirement_Sort
    Distance value:decimal comparator:code=<,<=,>=,> unit:string system:uri code:code
    Dosage sequence:integer text:string additionalInstruction*:CodeableConcept patientInstruction:string timing:Timing
      asNeeded?:boolean,CodeableConcept site:CodeableConcept route:CodeableConcept method:CodeableConcept
      doseAndRate*:Dosage_DoseAndRate maxDosePerPeriod:Ratio maxDosePerAdministration:Quantity
      maxDosePerLifetime:Quantity
    Duration value:decimal comparator:code=<,<=,>=,> unit:string system:uri code:code
    Element
    Expression description:string name:id language!:code=text/cql,text/fhirpath,application/x-fhir-query
      expression:string reference:uri
    Extension url!:uri value?:base64Binary,boolean,canonical,code,date,dateTime,decimal,id,instant,integer,markdown,
      oid,positiveInt,string,time,unsignedInt,uri,url,uuid,Address,Age,Annotation,Attachment,CodeableConcept,Coding,
      ContactPoint,Count,Distance,Duration,HumanName,Identifier,Money,Period,Quantity,Range,Ratio,Reference,
      SampledData,Signature,Timing,ContactDetail,Contributor,DataRequirement,Expression,ParameterDefinition,
      RelatedArtifact,TriggerDefinition,UsageContext,Dosage,Meta
    HumanName use:code=usual,official,temp,nickname,anonymous,old,maiden text:string family:string given*:string
      prefix*:string suffix*:string period:Period
    Identifier use:code=usual,official,temp,secondary,old type:CodeableConcept system:uri value:string period:Period
      assigner:Reference
    Meta versionId:id lastUpdated:instant source:uri profile*:canonical security*:Coding tag*:Coding
    Money value:decimal currency:code
    Narrative status!:code=generated,extensions,additional,empty div!:xhtml
    ParameterDefinition name:code use!:code min:integer max:string documentation:string type!:code profile:canonical
    Period start:dateTime end:dateTime
    Quantity value:decimal comparator:code=<,<=,>=,> unit:string system:uri code:code
    Range low:Quantity high:Quantity
    Ratio numerator:Quantity denominator:Quantity
    Reference reference:string type:uri identifier:Identifier display:string
    RelatedArtifact
      type!:code=documentation,justification,citation,predecessor,successor,derived-from,depends-on,composed-of
      label:string display:string citation:markdown url:url document:Attachment resource:canonical
    SampledData origin!:Quantity period!:decimal factor:decimal lowerLimit:decimal upperLimit:decimal
      dimensions!:positiveInt data:string
    Signature type*!:Coding when!:instant who!:Reference onBehalfOf:Reference targetFormat:code sigFormat:code
      data:base64Binary
    Timing event*:dateTime repeat:Timing_Repeat code:CodeableConcept
    """
}
