extension Definitions {
  /// Part 2; written by Scripts/definitions from fhir.schema.json (FHIR R4, CC0).
  static let part2 = """
    TriggerDefinition type!:code=named-event,periodic,data-changed,data-added,data-modified,data-removed,
      data-accessed,data-access-ended name:string timing?:Timing,Reference,date,dateTime data*:DataRequirement
      condition:Expression
    UsageContext code!:Coding value?!:CodeableConcept,Quantity,Range,Reference
    """
}
