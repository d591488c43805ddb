import HealthRecords

/// Holds a resource against the definitions, with all that is within it.
struct Validation {
  /// As many faults are told; a resource of nothing but faults shall not fill an answer.
  static let faultsMax = 50

  private enum Step {
    case member(String)
    case item(Int)
  }

  private var path: [Step] = []
  private var faults: [String] = []

  /// What is wrong with a resource, each with its FHIRPath; none where its form is right.
  static func faults(of resource: CanonicalJSON, type: String) -> [String] {
    guard case .object(let members) = resource, let definition = Definitions.table[type] else { return ["no \(type)"] }
    var validation = Validation()
    validation.path = [.member(type)]
    validation.object(members, of: definition, isResource: true)
    return validation.faults
  }

  private var place: String {
    self.path.reduce(into: "") { text, step in
      switch step {
      case .member(let name): text += text.isEmpty ? name : "." + name
      case .item(let number): text += "[\(number)]"
      }
    }
  }

  private mutating func fault(_ message: String) {
    if self.faults.count < Self.faultsMax { self.faults.append("\(self.place): \(message)") }
  }

  private mutating func at(_ step: Step, _ body: (inout Validation) -> Void) {
    self.path.append(step)
    body(&self)
    self.path.removeLast()
  }

  private mutating func object(
    _ members: [(name: String, value: CanonicalJSON)], of definition: Definitions.Definition, isResource: Bool
  ) {
    if members.isEmpty { return self.fault("an object is never empty") }
    var chosen: [String: String] = [:]
    for (name, value) in members {
      let isBeside = name.first == "_"
      let plain = isBeside ? String(name.dropFirst()) : name
      guard let element = Self.element(plain, of: definition, isResource: isResource) else {
        self.at(.member(name)) { $0.fault("there is no such element") }
        continue
      }
      if let choice = element.choice, let other = chosen.updateValue(plain, forKey: choice), other != plain {
        self.fault("\(choice)[x] is there once, and here are \(other) and \(plain)")
      }
      let hasBeside =
        !isBeside && element.repeats && members.contains { $0.name.first == "_" && $0.name.dropFirst() == name }
      if isBeside, element.repeats {
        let values = members.first { $0.name == plain }?.value.items
        self.at(.member(name)) { $0.pair(value.items ?? [], values) }
      }
      self.at(.member(name)) {
        if isBeside { $0.beside(value, element) } else { $0.values(value, of: element, mayLack: hasBeside) }
      }
    }
    for name in definition.required {
      if name.hasSuffix("[x]") {
        let choice = String(name.dropLast("[x]".count))
        if chosen[choice] == nil { self.at(.member(name)) { $0.fault("one of its forms must be there") } }
      } else if !members.contains(where: { $0.name == name || ($0.name.first == "_" && $0.name.dropFirst() == name) }) {
        self.at(.member(name)) { $0.fault("it must be there") }
      }
    }
  }

  private static func element(
    _ name: String, of definition: Definitions.Definition, isResource: Bool
  ) -> Definitions.Element? {
    if let element = definition.elements[name] { return element }
    if isResource { return Definitions.ofResources[name] }
    if name == "modifierExtension" { return definition.takesModifiers ? Definitions.modifiers : nil }
    return Definitions.ofAll[name]
  }

  private mutating func values(_ value: CanonicalJSON, of element: Definitions.Element, mayLack: Bool) {
    guard element.repeats else {
      if value.items != nil { return self.fault("it does not repeat, so no array is expected") }
      return self.one(value, of: element.kind)
    }
    guard let items = value.items else { return self.fault("an array is expected") }
    if items.isEmpty { return self.fault("an array is never empty") }
    for (number, item) in items.enumerated() where !(mayLack && item == .null) {
      self.at(.item(number)) { $0.one(item, of: element.kind) }
    }
  }

  /// The member `_name` beside a primitive (FHIR R4, JSON §2.6.2.2): an identifier and extensions.
  private mutating func beside(_ value: CanonicalJSON, _ element: Definitions.Element) {
    switch element.kind {
    case .object, .resource: return self.fault("only primitives have extensions beside them")
    case .primitive, .code: break
    }
    let of = Definitions.Element(repeats: element.repeats, kind: .object("Element"), choice: nil)
    self.values(value, of: of, mayLack: true)
  }

  /// Values and what stands beside them are two arrays of one length, and at each place there is something in one of
  /// them (FHIR R4, JSON §2.6.2.2; ele-1).
  private mutating func pair(_ besides: [CanonicalJSON], _ values: [CanonicalJSON]?) {
    if let values, values.count != besides.count {
      return self.fault("it has \(besides.count) items, and what it stands beside has \(values.count)")
    }
    for (number, beside) in besides.enumerated() where beside == .null && values?[number] ?? .null == .null {
      self.at(.item(number)) { $0.fault("a null beside a null says nothing") }
    }
  }

  private mutating func one(_ value: CanonicalJSON, of kind: Definitions.Kind) {
    if value == .null { return self.fault("null is left out") }
    if value.text?.isEmpty == true { return self.fault("a string is never empty") }
    switch kind {
    case .primitive(let primitive):
      if let fault = primitive.fault(of: value) { self.fault(fault) }
    case .code(let codes):
      guard let code = value.text else { return self.fault("a string is expected") }
      if !codes.contains(Substring(code)) { self.fault("\"\(code)\" is none of \(codes.joined(separator: ", "))") }
    case .object(let name):
      guard case .object(let members) = value else { return self.fault("an object is expected") }
      guard let definition = Definitions.table[name] else { return }
      self.object(members, of: definition, isResource: false)
    case .resource: self.contained(value)
    }
  }

  private mutating func contained(_ value: CanonicalJSON) {
    guard case .object(let members) = value, let type = value["resourceType"]?.text else {
      return self.fault("a resource is expected, with its resourceType")
    }
    if value["contained"] != nil { return self.fault("a contained resource contains no others") }
    // Types that are not stored here may be contained; of those no more is known.
    guard SearchParameter.types.contains(type), let definition = Definitions.table[type] else { return }
    self.object(members, of: definition, isResource: true)
  }
}
