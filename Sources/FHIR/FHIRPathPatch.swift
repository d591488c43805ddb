import HealthRecords

/// A FHIRPath Patch (FHIR R4, fhirpatch.html): `Parameters` with operations, all or none.
///
/// Of FHIRPath it takes what names an element: `Patient.name[0].given`, `.first()`, `.last()`, `.where(use = 'home')`.
struct FHIRPathPatch {
  private let operations: [[CanonicalJSON]]

  /// Reads a document.
  ///
  /// - Throws: `FHIRFailure` 400 where it is none.
  init(_ document: CanonicalJSON) throws(FHIRFailure) {
    let parameters = document["parameter"]?.items ?? []
    guard !parameters.isEmpty, parameters.count <= JSONPatch.operationsMax,
      parameters.allSatisfy({ $0["name"]?.text == "operation" && $0["part"]?.items != nil })
    else {
      throw FHIRFailure(
        400, "structure",
        "a FHIRPath Patch has 1 to \(JSONPatch.operationsMax) parameters of the name operation, each with parts",
        at: "Parameters.parameter")
    }
    self.operations = parameters.map { $0["part"]?.items ?? [] }
  }

  /// A resource after all operations.
  ///
  /// - Throws: `FHIRFailure` 422 where one cannot be done, 400 where it is none.
  func applied(to resource: CanonicalJSON) throws(FHIRFailure) -> CanonicalJSON {
    try JSONPatch.requireWork(self.operations.count, on: resource)
    var work = JSONPatch.Work(on: resource)
    var resource = resource
    for (number, parts) in self.operations.enumerated() {
      try work.take()
      work.add(CanonicalJSON.array(parts).valueCount(upTo: FHIRService.resourceValuesMax))
      do throws(FHIRFailure) {
        resource = try Operation(parts).applied(to: resource)
        guard resource.isReadable else {
          throw FHIRFailure(422, "processing", "it nests deeper than \(CanonicalJSON.depthMax) levels")
        }
      } catch {
        throw FHIRFailure(
          error.status, error.code, "operation \(number) of the patch: \(error.message); nothing is changed",
          at: "Parameters.parameter[\(number)]")
      }
    }
    return resource
  }

  /// A step from an element to one within it.
  enum Step: Equatable {
    case member(String)
    case item(Int)
  }

  private struct Operation {
    private let parts: [CanonicalJSON]

    init(_ parts: [CanonicalJSON]) { self.parts = parts }

    private func part(_ name: String) -> CanonicalJSON? { self.parts.first { $0["name"]?.text == name } }

    private func text(_ name: String) throws(FHIRFailure) -> String {
      guard let part = self.part(name), case .object(let members) = part,
        let text = members.first(where: { $0.name.hasPrefix("value") })?.value.text
      else { throw FHIRFailure(400, "required", "the part \(name) is missing") }
      return text
    }

    private func index(_ name: String, _ count: Int) throws(FHIRFailure) -> Int {
      guard case .number(let token)? = self.part(name)?["valueInteger"], let index = Int(token), index >= 0,
        index < count
      else { throw FHIRFailure(422, "processing", "\(name) must be a whole number below \(count)") }
      return index
    }

    /// The value, and the type that its name says, with a capital; values of complex types can come as parts.
    private func value() throws(FHIRFailure) -> (value: CanonicalJSON, type: String?) {
      guard let part = self.part("value"), case .object(let members) = part else {
        throw FHIRFailure(400, "required", "the part value is missing")
      }
      if let member = members.first(where: { $0.name.hasPrefix("value") }) {
        return (member.value, String(member.name.dropFirst("value".count)))
      }
      return (try Self.object(part["part"]?.items ?? []), nil)
    }

    private static func object(_ parts: [CanonicalJSON]) throws(FHIRFailure) -> CanonicalJSON {
      var made = CanonicalJSON.members([])
      for part in parts {
        guard let name = part["name"]?.text, case .object(let members) = part else {
          throw FHIRFailure(400, "required", "a part has no name")
        }
        let plain = members.first { $0.name.hasPrefix("value") }?.value
        let value = if let plain { plain } else { try Self.object(part["part"]?.items ?? []) }
        made = made.setting(name, value)
      }
      return made
    }

    func applied(to resource: CanonicalJSON) throws(FHIRFailure) -> CanonicalJSON {
      let path = try self.text("path")
      let found = try FHIRPathName(path).places(in: resource)
      func one() throws(FHIRFailure) -> [Step] {
        guard let place = found.first, found.count == 1 else {
          throw FHIRFailure(422, "processing", "\(path) names \(found.count) elements, one is expected")
        }
        return place
      }
      switch try self.text("type") {
      case "add": return try self.added(to: resource, at: try one())
      case "replace":
        let value = try self.value().value
        return FHIRPathPatch.changed(resource, try one()[...]) { _ in value }
      case "delete":
        guard let place = found.first else { return resource }
        guard found.count == 1 else {
          throw FHIRFailure(422, "processing", "\(path) names \(found.count) elements, at most one is expected")
        }
        return FHIRPathPatch.changed(resource, place[...]) { _ in nil }
      case "insert":
        let (place, items) = try self.list(found, resource, path)
        let (index, value) = (try self.index("index", items.count + 1), try self.value().value)
        return FHIRPathPatch.changed(resource, place) { _ in .array(items[..<index] + [value] + items[index...]) }
      case "move":
        let (place, items) = try self.list(found, resource, path)
        let (from, to) = (try self.index("source", items.count), try self.index("destination", items.count))
        var moved = items
        moved.insert(moved.remove(at: from), at: to)
        return FHIRPathPatch.changed(resource, place) { _ in .array(moved) }
      case let other:
        throw FHIRFailure(400, "value", "type is add, insert, delete, replace or move, not \(other)")
      }
    }

    private func list(
      _ found: [[Step]], _ resource: CanonicalJSON, _ path: String
    ) throws(FHIRFailure) -> (place: ArraySlice<Step>, items: [CanonicalJSON]) {
      let lists = found.map { $0.dropLast() }
      guard let place = lists.first, lists.allSatisfy({ $0 == place }), case .item? = found.first?.last,
        let items = FHIRPathPatch.value(resource, at: place)?.items
      else { throw FHIRFailure(422, "processing", "\(path) names no list of elements") }
      return (place, items)
    }

    private func added(to resource: CanonicalJSON, at place: [Step]) throws(FHIRFailure) -> CanonicalJSON {
      let (name, (value, type)) = (try self.text("name"), try self.value())
      let definition = FHIRPathPatch.definition(of: resource, at: place)
      let whole = type.map { name + $0 } ?? name
      let member = definition?.elements[name] == nil && definition?.elements[whole] != nil ? whole : name
      let element = definition?.elements[member] ?? Definitions.ofResources[member] ?? Definitions.ofAll[member]
      return FHIRPathPatch.changed(resource, place[...]) { object in
        guard element?.repeats == true else { return object.setting(member, value) }
        return object.setting(member, .array((object[member]?.items ?? []) + [value]))
      }
    }
  }

  static func value(_ value: CanonicalJSON, at place: some Sequence<Step>) -> CanonicalJSON? {
    place.reduce(value) { value, step in
      switch step {
      case .member(let name): value?[name]
      case .item(let number): value?.items.flatMap { number < $0.count ? $0[number] : nil }
      }
    }
  }

  private static func definition(of resource: CanonicalJSON, at place: [Step]) -> Definitions.Definition? {
    var definition = resource["resourceType"]?.text.flatMap { Definitions.table[$0] }
    for case .member(let name) in place {
      let element = definition?.elements[name] ?? Definitions.ofResources[name] ?? Definitions.ofAll[name]
      guard case .object(let type)? = element?.kind else { return nil }
      definition = Definitions.table[type]
    }
    return definition
  }

  /// A value in which what is at a place is what `change` makes of it; nil takes it away, and a list that is
  /// then empty.
  private static func changed(
    _ value: CanonicalJSON, _ place: ArraySlice<Step>, _ change: (CanonicalJSON) -> CanonicalJSON?
  ) -> CanonicalJSON {
    self.kept(value, place, change) ?? .null
  }

  private static func kept(
    _ value: CanonicalJSON, _ place: ArraySlice<Step>, _ change: (CanonicalJSON) -> CanonicalJSON?
  ) -> CanonicalJSON? {
    switch place.first {
    case nil: return change(value)
    case .member(let name)?: return value.setting(name, self.kept(value[name] ?? .null, place.dropFirst(), change))
    case .item(let number)?:
      var items = value.items ?? []
      guard number < items.count else { return value }
      if let new = self.kept(items[number], place.dropFirst(), change) {
        items[number] = new
      } else {
        items.remove(at: number)
      }
      return items.isEmpty ? nil : .array(items)
    }
  }
}

/// A FHIRPath that names elements.
private struct FHIRPathName {
  private enum Part {
    case member(String)
    case item(Int)
    case last
    case `where`(member: String, text: String)
  }

  private let text: String
  private let type: String
  private var parts: [Part] = []

  init(_ text: String) throws(FHIRFailure) {
    self.text = text
    var rest = text[...]
    func word() -> String {
      let found = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
      rest = rest[found.endIndex...]
      return String(found)
    }
    func skip(_ expected: String) -> Bool {
      guard rest.hasPrefix(expected) else { return false }
      rest = rest.dropFirst(expected.count)
      return true
    }
    self.type = word()
    while !rest.isEmpty {
      if skip("[") {
        guard let number = Int(word()), number >= 0, skip("]") else { throw Self.refusal(of: text) }
        self.parts.append(.item(number))
        continue
      }
      guard skip(".") else { throw Self.refusal(of: text) }
      let name = word()
      guard skip("(") else {
        guard !name.isEmpty else { throw Self.refusal(of: text) }
        self.parts.append(.member(name))
        continue
      }
      switch name {
      case "first": self.parts.append(.item(0))
      case "last": self.parts.append(.last)
      case "where":
        let member = word()
        rest = rest.drop { $0 == " " }
        guard !member.isEmpty, skip("=") else { throw Self.refusal(of: text) }
        rest = rest.drop { $0 == " " }
        guard skip("'"), let end = rest.firstIndex(of: "'") else { throw Self.refusal(of: text) }
        self.parts.append(.where(member: member, text: String(rest[..<end])))
        rest = rest[end...].dropFirst()
      default: throw Self.refusal(of: text)
      }
      guard skip(")") else { throw Self.refusal(of: text) }
    }
  }

  private static func refusal(of text: String) -> FHIRFailure {
    FHIRFailure(
      422, "not-supported",
      "\(text.prefix(200)): of FHIRPath members, [n], first(), last() and where(member = 'text') are taken")
  }

  /// The places of what it names; items of lists each by itself.
  func places(in resource: CanonicalJSON) throws(FHIRFailure) -> [[FHIRPathPatch.Step]] {
    guard resource["resourceType"]?.text == self.type else {
      throw FHIRFailure(422, "processing", "\(self.text) is no path in a \(resource["resourceType"]?.text ?? "")")
    }
    var places: [[FHIRPathPatch.Step]] = [[]]
    for part in self.parts {
      switch part {
      case .member(let name):
        places = places.flatMap { place -> [[FHIRPathPatch.Step]] in
          let parent = FHIRPathPatch.value(resource, at: place)
          // A choice is named without its type.
          guard let member = parent.flatMap({ Self.member(name, of: $0) }), let value = parent?[member] else {
            return []
          }
          let inner = place + [.member(member)]
          return value.items.map { $0.indices.map { inner + [.item($0)] } } ?? [inner]
        }
      case .item(let number): places = number < places.count ? [places[number]] : []
      case .last: places = places.last.map { [$0] } ?? []
      case .where(let member, let text):
        places = places.filter { FHIRPathPatch.value(resource, at: $0)?[member]?.text == text }
      }
    }
    return places
  }

  private static func member(_ name: String, of value: CanonicalJSON) -> String? {
    guard case .object(let members) = value else { return nil }
    if members.contains(where: { $0.name == name }) { return name }
    return members.first { $0.name.hasPrefix(name) && $0.name.dropFirst(name.count).first?.isUppercase == true }?.name
  }
}
