extension Definitions {
  /// The elements of each type that its definition marks as part of a summary.
  ///
  /// Written by Scripts/search-tables.
  static let summaryElements = """
    ¶ AllergyIntolerance: identifier clinicalStatus verificationStatus type category criticality code patient
      asserter
    ¶ Appointment: identifier status cancelationReason serviceCategory serviceType specialty appointmentType
      reasonCode start end
    ¶ Binary: contentType securityContext
    ¶ CarePlan: identifier instantiatesCanonical instantiatesUri basedOn replaces partOf status intent category
      title description subject encounter period created author addresses
    ¶ CareTeam: identifier status category name subject encounter period managingOrganization
    ¶ Claim: status type use patient billablePeriod created insurer provider priority insurance
    ¶ Communication: identifier instantiatesCanonical instantiatesUri basedOn partOf status statusReason priority
      subject encounter reasonCode reasonReference
    ¶ Composition: identifier status type category subject encounter date author title confidentiality custodian
      event
    ¶ Condition: identifier clinicalStatus verificationStatus code bodySite subject encounter onsetDateTime
      onsetAge onsetPeriod onsetRange onsetString recordedDate recorder asserter
    ¶ Coverage: identifier status type policyHolder subscriber subscriberId beneficiary dependent period payor
      order network
    ¶ Device: udiCarrier status safety
    ¶ DiagnosticReport: identifier status category code subject encounter effectiveDateTime effectivePeriod issued
      performer resultsInterpreter media
    ¶ DocumentReference: masterIdentifier identifier status docStatus type category subject date author relatesTo
      description securityLabel content context
    ¶ Encounter: identifier status class type serviceType subject episodeOfCare participant appointment reasonCode
      reasonReference diagnosis
    ¶ EpisodeOfCare: status type diagnosis patient managingOrganization period
    ¶ ExplanationOfBenefit: status type use patient billablePeriod created insurer provider outcome insurance
      total
    ¶ FamilyMemberHistory: identifier instantiatesCanonical instantiatesUri status dataAbsentReason patient date
      name relationship sex ageAge ageRange ageString estimatedAge deceasedBoolean deceasedAge deceasedRange
      deceasedDate deceasedString reasonCode reasonReference
    ¶ Goal: lifecycleStatus achievementStatus category priority description subject startDate startCodeableConcept
      statusDate expressedBy
    ¶ Group: identifier active type actual code name quantity managingEntity
    ¶ ImagingStudy: identifier status modality subject encounter started basedOn referrer interpreter endpoint
      numberOfSeries numberOfInstances procedureReference procedureCode location reasonCode reasonReference note
      description series
    ¶ Immunization: status vaccineCode patient occurrenceDateTime occurrenceString primarySource performer note
      isSubpotent
    ¶ List: status mode title code subject date source
    ¶ Location: identifier status operationalStatus name description mode type physicalType managingOrganization
    ¶ Media: identifier basedOn partOf status type modality view subject encounter createdDateTime createdPeriod
      issued operator reasonCode bodySite deviceName device height width frames duration content
    ¶ Medication: identifier code status manufacturer amount
    ¶ MedicationAdministration: instantiates partOf status medicationCodeableConcept medicationReference subject
      effectiveDateTime effectivePeriod performer
    ¶ MedicationDispense: status medicationCodeableConcept medicationReference subject whenPrepared
    ¶ MedicationRequest: status intent priority doNotPerform reportedBoolean reportedReference
      medicationCodeableConcept medicationReference subject authoredOn requester performerType
      instantiatesCanonical instantiatesUri basedOn groupIdentifier
    ¶ MedicationStatement: identifier basedOn partOf status category medicationCodeableConcept medicationReference
      subject context effectiveDateTime effectivePeriod dateAsserted
    ¶ Observation: identifier basedOn partOf status code subject focus encounter effectiveDateTime effectivePeriod
      effectiveTiming effectiveInstant issued performer valueQuantity valueCodeableConcept valueString
      valueBoolean valueInteger valueRange valueRatio valueSampledData valueTime valueDateTime valuePeriod
      hasMember derivedFrom component
    ¶ Organization: identifier active type name partOf
    ¶ Patient: identifier active name telecom gender birthDate deceasedBoolean deceasedDateTime address
      managingOrganization link
    ¶ Practitioner: identifier active name telecom address gender birthDate
    ¶ PractitionerRole: identifier active period practitioner organization code specialty location telecom
    ¶ Procedure: identifier instantiatesCanonical instantiatesUri basedOn partOf status statusReason category code
      subject encounter performedDateTime performedPeriod performedString performedAge performedRange recorder
      asserter performer location reasonCode reasonReference bodySite outcome
    ¶ Provenance: target recorded
    ¶ QuestionnaireResponse: identifier basedOn partOf questionnaire status subject encounter authored author
      source
    ¶ RelatedPerson: identifier active patient relationship name telecom gender birthDate address
    ¶ Schedule: identifier active serviceCategory serviceType specialty actor planningHorizon
    ¶ ServiceRequest: identifier instantiatesCanonical instantiatesUri basedOn replaces requisition status intent
      category priority doNotPerform code orderDetail quantityQuantity quantityRatio quantityRange subject
      encounter occurrenceDateTime occurrencePeriod occurrenceTiming asNeededBoolean asNeededCodeableConcept
      authoredOn requester performerType performer locationCode locationReference reasonCode reasonReference
      specimen bodySite patientInstruction
    ¶ Slot: identifier serviceCategory serviceType specialty appointmentType schedule status start end
    ¶ Specimen: identifier accessionIdentifier status type subject receivedTime condition
    ¶ Substance: identifier status category code description instance ingredient
    ¶ Task: instantiatesCanonical instantiatesUri basedOn groupIdentifier partOf status statusReason
      businessStatus intent code description focus for encounter executionPeriod lastModified requester owner
      location
    """
}
