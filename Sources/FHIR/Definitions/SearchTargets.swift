extension Definitions {
  /// Which types each parameter of references can lead to: those that are stored here, * all, - none.
  ///
  /// Written by Scripts/search-tables.
  static let searchTargets = """
    ¶ *: Appointment.supporting-info Communication.based-on Communication.part-of Composition.entry
      Composition.subject Condition.evidence-detail DocumentReference.related List.item Observation.focus
      Provenance.entity Provenance.target QuestionnaireResponse.subject Task.based-on Task.focus Task.subject
    ¶ -: CarePlan.instantiates-canonical Communication.instantiates-canonical Encounter.account
      FamilyMemberHistory.instantiates-canonical ImagingStudy.endpoint Location.endpoint Organization.endpoint
      PractitionerRole.endpoint PractitionerRole.service Procedure.instantiates-canonical
      QuestionnaireResponse.questionnaire ServiceRequest.instantiates-canonical
    ¶ Appointment: Encounter.appointment
    ¶ Appointment CarePlan ServiceRequest Task: ImagingStudy.basedon
    ¶ Appointment MedicationRequest ServiceRequest Task: CarePlan.activity-reference
    ¶ CarePlan: CarePlan.based-on CarePlan.part-of CarePlan.replaces
    ¶ CarePlan MedicationRequest ServiceRequest: DiagnosticReport.based-on Observation.based-on
      ServiceRequest.based-on
    ¶ CarePlan ServiceRequest: Media.based-on Procedure.based-on QuestionnaireResponse.based-on
    ¶ CareTeam: CarePlan.care-team
    ¶ CareTeam Device Group Organization Patient Practitioner PractitionerRole RelatedPerson:
      Communication.recipient
    ¶ CareTeam Device Organization Patient Practitioner PractitionerRole RelatedPerson: CarePlan.performer
      ImagingStudy.performer Media.operator MedicationRequest.intended-performer ServiceRequest.performer
      Task.owner
    ¶ CareTeam Organization Patient Practitioner PractitionerRole RelatedPerson: CareTeam.participant
      Observation.performer
    ¶ CareTeam Organization Practitioner PractitionerRole: DiagnosticReport.performer
      DiagnosticReport.results-interpreter
    ¶ Claim: ExplanationOfBenefit.claim
    ¶ Composition: Composition.related-ref
    ¶ Condition: CarePlan.condition EpisodeOfCare.condition
    ¶ Condition DiagnosticReport DocumentReference Observation Procedure: Procedure.reason-reference
    ¶ Condition DiagnosticReport Observation: Immunization.reason-reference
    ¶ Condition Observation Procedure: Appointment.reason-reference Encounter.reason-reference
    ¶ Condition Procedure: Encounter.diagnosis
    ¶ Coverage: ExplanationOfBenefit.coverage
    ¶ Device: Claim.detail-udi Claim.item-udi Claim.procedure-udi Claim.subdetail-udi
      ExplanationOfBenefit.detail-udi ExplanationOfBenefit.item-udi ExplanationOfBenefit.procedure-udi
      ExplanationOfBenefit.subdetail-udi Media.device MedicationAdministration.device Observation.device
    ¶ Device Group Location Patient: DiagnosticReport.subject List.subject Observation.subject
      ServiceRequest.subject
    ¶ Device Group Location Patient Practitioner PractitionerRole Specimen: Media.subject
    ¶ Device Group Location Patient Substance: Specimen.subject
    ¶ Device Group Medication Patient Practitioner PractitionerRole Substance: Group.member
    ¶ Device Group Patient: ImagingStudy.subject
    ¶ Device Group Patient Practitioner: DocumentReference.subject
    ¶ Device Location Patient Practitioner PractitionerRole RelatedPerson: Appointment.actor Schedule.actor
    ¶ Device Organization Patient Practitioner PractitionerRole RelatedPerson: Communication.sender
      Composition.author DocumentReference.author MedicationDispense.performer MedicationRequest.requester
      Procedure.performer Provenance.agent QuestionnaireResponse.author ServiceRequest.requester Task.requester
    ¶ Device Patient Practitioner PractitionerRole: List.source
    ¶ Device Patient Practitioner PractitionerRole RelatedPerson: MedicationAdministration.performer
    ¶ DocumentReference: DocumentReference.relatesto
    ¶ DocumentReference ImagingStudy Media Observation QuestionnaireResponse: Observation.derived-from
    ¶ Encounter: CarePlan.encounter CareTeam.encounter Claim.encounter Communication.encounter Condition.encounter
      Encounter.part-of ExplanationOfBenefit.encounter ImagingStudy.encounter Media.encounter
      MedicationRequest.encounter QuestionnaireResponse.encounter Task.encounter
    ¶ Encounter EpisodeOfCare: Composition.encounter DiagnosticReport.encounter DocumentReference.encounter
      List.encounter MedicationAdministration.context MedicationDispense.context MedicationStatement.context
      Observation.encounter Procedure.encounter ServiceRequest.encounter
    ¶ EpisodeOfCare: Encounter.episode-of-care
    ¶ Goal: CarePlan.goal
    ¶ Group Organization Patient: Goal.subject
    ¶ Group Patient: CarePlan.subject CareTeam.subject Communication.subject Condition.subject Encounter.subject
      MedicationAdministration.subject MedicationDispense.subject MedicationRequest.subject
      MedicationStatement.subject Procedure.subject
    ¶ ImagingStudy Immunization MedicationAdministration MedicationDispense MedicationStatement Procedure:
      Observation.part-of
    ¶ Location: Appointment.location Claim.facility Device.location Encounter.location
      ExplanationOfBenefit.facility Immunization.location Location.partof MedicationDispense.destination
      PractitionerRole.location Procedure.location Provenance.location
    ¶ Media: DiagnosticReport.media
    ¶ Medication: MedicationAdministration.medication MedicationDispense.medication MedicationRequest.medication
      MedicationStatement.medication
    ¶ Medication Substance: Medication.ingredient
    ¶ MedicationAdministration MedicationDispense MedicationStatement Observation Procedure:
      MedicationStatement.part-of
    ¶ MedicationAdministration Observation Procedure: Procedure.part-of
    ¶ MedicationRequest: MedicationAdministration.request MedicationDispense.prescription
    ¶ Observation: DiagnosticReport.result Immunization.reaction
    ¶ Observation Procedure: QuestionnaireResponse.part-of
    ¶ Observation QuestionnaireResponse: Observation.has-member
    ¶ Organization: Claim.insurer Device.organization DocumentReference.custodian Encounter.service-provider
      EpisodeOfCare.organization Immunization.manufacturer Location.organization Medication.manufacturer
      MedicationRequest.intended-dispenser Organization.partof Patient.organization PractitionerRole.organization
    ¶ Organization Patient Practitioner PractitionerRole RelatedPerson: Claim.payee Composition.attester
      ExplanationOfBenefit.payee MedicationStatement.source
    ¶ Organization Patient RelatedPerson: Coverage.payor Coverage.policy-holder
    ¶ Organization Practitioner PractitionerRole: Claim.care-team Claim.provider DocumentReference.authenticator
      ExplanationOfBenefit.care-team ExplanationOfBenefit.provider Immunization.performer
      Patient.general-practitioner
    ¶ Organization Practitioner PractitionerRole RelatedPerson: Group.managing-entity
    ¶ Patient: AllergyIntolerance.patient Appointment.patient CarePlan.patient CareTeam.patient Claim.patient
      Communication.patient Composition.patient Condition.patient Coverage.beneficiary Coverage.patient
      Device.patient DiagnosticReport.patient DocumentReference.patient Encounter.patient EpisodeOfCare.patient
      ExplanationOfBenefit.patient FamilyMemberHistory.patient Goal.patient ImagingStudy.patient
      Immunization.patient List.patient Media.patient MedicationAdministration.patient MedicationDispense.patient
      MedicationRequest.patient MedicationStatement.patient Observation.patient Procedure.patient
      Provenance.patient QuestionnaireResponse.patient RelatedPerson.patient ServiceRequest.patient
      Specimen.patient Task.patient
    ¶ Patient Practitioner: MedicationDispense.receiver
    ¶ Patient Practitioner PractitionerRole RelatedPerson: AllergyIntolerance.asserter AllergyIntolerance.recorder
      Condition.asserter QuestionnaireResponse.source
    ¶ Patient RelatedPerson: Coverage.subscriber Patient.link
    ¶ Practitioner: Appointment.practitioner Encounter.practitioner EpisodeOfCare.care-manager
      PractitionerRole.practitioner
    ¶ Practitioner PractitionerRole: Claim.enterer ExplanationOfBenefit.enterer ImagingStudy.interpreter
      ImagingStudy.referrer MedicationDispense.responsibleparty Specimen.collector
    ¶ Practitioner PractitionerRole RelatedPerson: Encounter.participant
    ¶ Schedule: Slot.schedule
    ¶ ServiceRequest: Appointment.based-on Encounter.based-on EpisodeOfCare.incoming-referral
      ServiceRequest.replaces
    ¶ Slot: Appointment.slot
    ¶ Specimen: DiagnosticReport.specimen Observation.specimen ServiceRequest.specimen Specimen.parent
    ¶ Substance: Substance.substance-reference
    ¶ Task: Task.part-of
    """
}
