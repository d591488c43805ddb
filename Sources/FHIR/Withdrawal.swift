import HealthRecords
import Primitives

/// What a resource that is withdrawn leaves behind: it says itself that it was entered in error, and nothing clinical
/// but what the standard demands of its type. It supersedes the record that said more.
enum Withdrawal {
  /// Marks it for machines, also where its type has no status for that.
  static let tag = CanonicalJSON.members([
    ("system", .string("urn:consilium:record")), ("code", .string("withdrawn")),
    ("display", .string("Deleted or moved by the hospital that wrote it")),
  ])

  static func isTag(_ coding: CanonicalJSON) -> Bool {
    coding["system"]?.text == self.tag["system"]?.text && coding["code"]?.text == self.tag["code"]?.text
  }

  /// What supersedes a version of a resource; nil of it, where it is not kept any more.
  static func of(_ type: String, _ id: String, _ last: CanonicalJSON?, at time: Timestamp) -> [UInt8] {
    let definition = Definitions.table[type] ?? Definitions.Definition()
    var meta = CanonicalJSON.members([("lastUpdated", .string(time.description)), ("tag", .array([self.tag]))])
    // It stays in the category of what it withdraws.
    if let last, Sensitivity.isSensitive(last) { meta = meta.setting("security", .array([Sensitivity.label])) }
    var out = CanonicalJSON.members([("resourceType", .string(type)), ("id", .string(id)), ("meta", meta)])
    if case .object(let members)? = last {
      for (name, value) in members where self.isKept(name, of: definition) { out = out.setting(name, value) }
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

  private static func isKept(_ name: String, of definition: Definitions.Definition) -> Bool {
    // Not its code either, where it can be without: a diagnosis would outlive its erasure.
    if definition.required.contains(name) { return true }
    return definition.elements[name]?.choice.map { definition.required.contains("\($0)[x]") } ?? false
  }
}
