import HealthRecords
import Primitives

/// What a resource that is withdrawn leaves behind: it says itself that it was entered in error, and has the form that
/// the standard demands of its type, without what that said. It supersedes the record that said more.
enum Withdrawal {
  /// Marks it for machines, also where its type has no status for that.
  static let tag = CanonicalJSON.members([
    ("system", .string("urn:consilium:record")), ("code", .string("withdrawn")),
    ("display", .string("Deleted or moved by the hospital that wrote it")),
  ])

  static func isTag(_ coding: CanonicalJSON) -> Bool {
    coding["system"]?.text == self.tag["system"]?.text && coding["code"]?.text == self.tag["code"]?.text
  }

  /// Whether a resource says that it was withdrawn.
  static func isOne(_ json: CanonicalJSON) -> Bool {
    json["meta"]?["tag"]?.items?.contains { self.isTag($0) } ?? false
  }

  /// What supersedes a version of a resource; nil of it, where it is not kept any more.
  static func of(_ type: String, _ id: String, _ last: CanonicalJSON?, at time: Timestamp) -> [UInt8] {
    let definition = Definitions.table[type] ?? Definitions.Definition()
    var meta = CanonicalJSON.members([("lastUpdated", .string(time.description)), ("tag", .array([self.tag]))])
    // It stays in the category of what it withdraws.
    if let last, Sensitivity.isSensitive(last) { meta = meta.setting("security", .array([Sensitivity.label])) }
    var out = CanonicalJSON.members([("resourceType", .string(type)), ("id", .string(id)), ("meta", meta)])
    if case .object(let members)? = last {
      for (name, value) in self.bare(members, of: definition) { out = out.setting(name, value) }
    }
    for name in ["status", "lifecycleStatus"] {
      switch definition.elements[name]?.kind {
      case .code(let codes) where codes.contains("entered-in-error"):
        out = out.setting(name, .string("entered-in-error"))
      // Types whose codes the definitions leave open have this one too.
      case .primitive: out = out.setting(name, .string("entered-in-error"))
      default: break
      }
    }
    let systems = [
      "Condition": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
      "AllergyIntolerance": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
    ]
    if let system = systems[type] {
      let coding = CanonicalJSON.members([("system", .string(system)), ("code", .string("entered-in-error"))])
      out = out.setting("verificationStatus", .members([("coding", .array([coding]))]))
    }
    if definition.elements["active"] != nil { out = out.setting("active", .bool(false)) }
    return out.canonicalBytes
  }

  /// What stands for text that is not repeated.
  private static let mask = CanonicalJSON.string("withdrawn")
  /// What stands for an element of which nothing is repeated.
  private static let absent = CanonicalJSON.members([
    (
      "extension",
      .array([
        .members([
          ("url", .string("http://hl7.org/fhir/StructureDefinition/data-absent-reason")),
          ("valueCode", .string("masked")),
        ])
      ])
    )
  ])

  /// What is repeated of types though it need not be there: of which kind it was, when, and of whom.
  private static let kept = ["Attachment": ["contentType"], "Period": ["start", "end"], "Reference": ["reference"]]

  /// The members that must be there, without what they said. ⚑ No code either, no title and no file: a diagnosis or a
  /// letter would outlive its erasure, and stay with a patient whose it never was.
  private static func bare(
    _ members: [(name: String, value: CanonicalJSON)], of definition: Definitions.Definition
  ) -> [(name: String, value: CanonicalJSON)] {
    members.compactMap { name, value in
      guard let element = definition.elements[name],
        definition.required.contains(element.choice.map { "\($0)[x]" } ?? name)
      else { return nil }
      // What was given or done is no name of a person.
      let isChosen = element.choice != nil && value["reference"] != nil
      return (name: name, value: isChosen ? self.absent : self.bare(value, of: element.kind))
    }
  }

  private static func bare(_ value: CanonicalJSON, of kind: Definitions.Kind) -> CanonicalJSON {
    if let items = value.items { return .array(items.prefix(1).map { self.bare($0, of: kind) }) }
    switch kind {
    case .primitive(.string), .primitive(.markdown): return self.mask
    case .primitive, .code: return value
    case .object("CodeableConcept"): return .members([("text", self.mask)])
    case .object(let type):
      guard case .object(let members) = value, let definition = Definitions.table[type] else { return self.absent }
      let names = self.kept[type] ?? []
      // What it contained is not there any more.
      let extra = members.filter { names.contains($0.name) && $0.value.text?.hasPrefix("#") != true }
      let left = extra + self.bare(members, of: definition)
      return left.isEmpty ? self.absent : .members(left.map { ($0.name, $0.value) })
    case .resource: return self.absent
    }
  }
}
