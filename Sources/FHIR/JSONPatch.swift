import HealthRecords

/// A JSON Patch (RFC 6902): all of its operations, or none.
struct JSONPatch {
  /// The most operations.
  static let operationsMax = 1000
  /// The most values that all of its copies bring. ⚑ What is copied into itself doubles with each operation.
  static let copiedMax = 100_000
  /// The most values that are gone through: those of the resource, once per operation.
  private static let visitedMax = 20_000_000
  /// Its media type.
  static let media = "application/json-patch+json"

  private let operations: [CanonicalJSON]

  /// Reads a document.
  ///
  /// - Throws: `FHIRFailure` 400 where it is none.
  init(_ document: CanonicalJSON) throws(FHIRFailure) {
    guard let operations = document.items, operations.count <= Self.operationsMax else {
      throw FHIRFailure(400, "structure", "a JSON Patch is an array of at most \(Self.operationsMax) operations")
    }
    self.operations = operations
  }

  /// A resource after all operations.
  ///
  /// - Throws: `FHIRFailure` 422 where one cannot be done, or a test fails.
  func applied(to resource: CanonicalJSON) throws(FHIRFailure) -> CanonicalJSON {
    try Self.requireWork(self.operations.count, on: resource)
    var work = Work(on: resource)
    var resource = resource
    var copied = 0
    for (number, operation) in self.operations.enumerated() {
      try work.take()
      let before = copied
      do throws(Fault) {
        try Self.apply(operation, to: &resource, &copied)
        work.add(copied - before + (operation["value"]?.valueCount(upTo: Self.visitedMax) ?? 0))
        // ⚑ Each operation could nest what is there once more.
        guard resource.isReadable else { throw Fault("it nests deeper than \(CanonicalJSON.depthMax) levels") }
      } catch {
        throw FHIRFailure(
          error.isMalformed ? 400 : 422, error.isMalformed ? "structure" : "processing",
          "operation \(number) of the patch: \(error.reason); nothing is changed")
      }
    }
    return resource
  }

  /// Requires that the operations of a patch are not too many for a resource of its size.
  ///
  /// - Throws: `FHIRFailure` 413.
  static func requireWork(_ operationCount: Int, on resource: CanonicalJSON) throws(FHIRFailure) {
    let most = self.visitedMax / max(1, operationCount)
    guard resource.valueCount(upTo: most + 1) <= most else {
      throw FHIRFailure(
        413, "too-costly",
        "\(operationCount) operations on a resource of more than \(most) values: send them in several patches")
    }
  }

  /// Counts what operations go through: each all that is there by then. ⚑ A small resource grows by what is copied.
  struct Work {
    private var size: Int
    private var left = JSONPatch.visitedMax

    /// Begins with a resource.
    init(on resource: CanonicalJSON) { self.size = resource.valueCount(upTo: JSONPatch.visitedMax) }

    /// Counts an operation.
    mutating func take() throws(FHIRFailure) {
      self.left -= self.size
      guard self.left >= 0 else {
        throw FHIRFailure(
          413, "too-costly",
          "its operations go through more than \(JSONPatch.visitedMax) values: send them in several patches")
      }
    }

    /// Counts what an operation brought.
    mutating func add(_ count: Int) { self.size += count }
  }

  private struct Fault: Error {
    let isMalformed: Bool
    let reason: String
    init(_ reason: String, isMalformed: Bool = false) { (self.reason, self.isMalformed) = (reason, isMalformed) }
  }

  private static func apply(
    _ operation: CanonicalJSON, to resource: inout CanonicalJSON, _ copied: inout Int
  ) throws(Fault) {
    func place(_ name: String) throws(Fault) -> [String] {
      guard let text = operation[name]?.text, text.isEmpty || text.first == "/" else {
        throw Fault("\(name) must be a JSON Pointer, like /name/0/family", isMalformed: true)
      }
      return text.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
        String($0).replacing("~1", with: "/").replacing("~0", with: "~")
      }
    }
    func value() throws(Fault) -> CanonicalJSON {
      guard let value = operation["value"] else { throw Fault("there is no value", isMalformed: true) }
      return value
    }
    let path = try place("path")
    switch operation["op"]?.text {
    case "add": resource = try self.changed(resource, path[...], .add(try value()))
    case "replace": resource = try self.changed(resource, path[...], .replace(try value()))
    case "remove": resource = try self.changed(resource, path[...], .remove)
    case "copy":
      let copy = try self.found(resource, try place("from"))
      copied += copy.valueCount(upTo: Self.copiedMax + 1)
      guard copied <= Self.copiedMax else { throw Fault("it copies more than \(Self.copiedMax) values") }
      resource = try self.changed(resource, path[...], .add(copy))
    case "move":
      let from = try place("from")
      guard !path.starts(with: from) || path == from else { throw Fault("nothing is moved into itself") }
      let moved = try self.found(resource, from)
      resource = try self.changed(try self.changed(resource, from[...], .remove), path[...], .add(moved))
    case "test":
      guard self.areEqual(try self.found(resource, path), try value()) else {
        throw Fault("the test of \(operation["path"]?.text ?? "") fails")
      }
    default: throw Fault("op is add, remove, replace, move, copy or test", isMalformed: true)
    }
  }

  private static func found(_ value: CanonicalJSON, _ path: [String]) throws(Fault) -> CanonicalJSON {
    var value = value
    for part in path {
      let items = value.items
      guard let next = items.map({ items in self.index(part, items.count).map { items[$0] } }) ?? value[part] else {
        throw Fault("there is no \(part)")
      }
      value = next
    }
    return value
  }

  private enum Change {
    case add(CanonicalJSON)
    case replace(CanonicalJSON)
    case remove
  }

  private static func changed(
    _ value: CanonicalJSON, _ path: ArraySlice<String>, _ change: Change
  ) throws(Fault) -> CanonicalJSON {
    guard let name = path.first else {
      switch change {
      case .add(let new), .replace(let new): return new
      case .remove: throw Fault("the whole resource is not removed so")
      }
    }
    let rest = path.dropFirst()
    switch value {
    case .object:
      if !rest.isEmpty || !self.isAdding(change), value[name] == nil { throw Fault("there is no \(name)") }
      guard rest.isEmpty else { return value.setting(name, try self.changed(value[name] ?? .null, rest, change)) }
      switch change {
      case .add(let new), .replace(let new): return value.setting(name, new)
      case .remove: return value.setting(name, nil)
      }
    case .array(var items):
      let isAdding = rest.isEmpty && self.isAdding(change)
      guard let place = name == "-" && isAdding ? items.count : self.index(name, items.count + (isAdding ? 1 : 0))
      else {
        throw Fault("there is no item \(name)")
      }
      guard rest.isEmpty else {
        items[place] = try self.changed(items[place], rest, change)
        return .array(items)
      }
      switch change {
      case .add(let new): items.insert(new, at: place)
      case .replace(let new): items[place] = new
      case .remove: items.remove(at: place)
      }
      return .array(items)
    case .null, .bool, .number, .string: throw Fault("there is no \(name)")
    }
  }

  private static func isAdding(_ change: Change) -> Bool { if case .add = change { true } else { false } }

  private static func index(_ text: String, _ count: Int) -> Int? {
    guard let number = Int(text), "\(number)" == text, (0..<count).contains(number) else { return nil }
    return number
  }

  /// RFC 6902, §4.6: numbers are equal by their value.
  private static func areEqual(_ one: CanonicalJSON, _ other: CanonicalJSON) -> Bool {
    switch (one, other) {
    case (.number(let left), .number(let right)): ExactNumber(left) == ExactNumber(right)
    case (.array(let left), .array(let right)):
      left.count == right.count && zip(left, right).allSatisfy { self.areEqual($0, $1) }
    case (.object(let left), .object(let right)):
      left.count == right.count
        && zip(left, right).allSatisfy { $0.name == $1.name && self.areEqual($0.value, $1.value) }
    default: one == other
    }
  }
}
