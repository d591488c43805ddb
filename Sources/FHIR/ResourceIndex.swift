import HealthRecords
public import Primitives

/// One version of a resource.
public struct StoredResource: Sendable, Hashable {
  /// Its type.
  public let type: String
  /// Its identifier in its type.
  public let id: String
  /// Its version, from 1.
  public let version: UInt64
  /// How many resources were made before it: the order of search results, also after a restart.
  public let ordinal: UInt64
  /// When it was written.
  public let updated: Timestamp
  /// Its canonical bytes; empty where this version is the deletion.
  public let body: [UInt8]
  /// The record that anchors it; nil while none does.
  public var record: Digest?
  /// What is known of a version that the ledger erased; nil of every other.
  public var erased: Erased?

  /// A version of given parts.
  public init(
    type: String, id: String, version: UInt64, ordinal: UInt64, updated: Timestamp, body: [UInt8], record: Digest?
  ) {
    (self.type, self.id, self.version, self.ordinal, self.updated) = (type, id, version, ordinal, updated)
    (self.body, self.record) = (body, record)
  }

  /// `Type/id`.
  public var name: String { "\(self.type)/\(self.id)" }
  /// Whether this version is the deletion.
  public var isDeleted: Bool { self.body.isEmpty }
  /// When it became what it is: written, or erased.
  var changed: Timestamp { max(self.updated, self.erased?.time ?? .zero) }
  /// The resource.
  var json: CanonicalJSON? { try? CanonicalJSON(self.body) }
}

/// Keeps every version of every resource, for one caller at a time.
public protocol ResourceStore: Sendable {
  /// The latest version of every resource, one after another.
  func latest(_ each: (StoredResource) -> Void) throws
  /// All versions of a resource, in order.
  func versions(type: String, id: String) throws -> [StoredResource]
  /// One version of a resource; nil where there is none.
  func version(_ version: UInt64, type: String, id: String) throws -> StoredResource?
  /// The records that anchor anything here.
  func records() throws -> [Digest]
  /// The versions that go with a record (`StoredResource.going(with:of:)`).
  func going(with record: Digest) throws -> [StoredResource]
  /// Puts what `remains` of them in the place of the versions that go with a record (`StoredResource.going(with:of:)`),
  /// and gives that. When it returns, nothing else of them can be read on this disk.
  func erase(_ record: Digest, remains: (StoredResource) -> StoredResource) throws -> [StoredResource]
  /// What the ledger has of each resource that it has anything of.
  func notes(_ each: (AnchorNote) -> Void) throws
  /// What the ledger has of a resource; nil where nothing.
  func note(of name: String) throws -> AnchorNote?
  /// The bases under which this server was reached, as they were last kept.
  func bases() throws -> [String]
  /// Makes them durable, in the place of those before.
  func keep(bases: [String]) throws
  /// Makes versions and notes durable, all or none.
  func write(_ resources: [StoredResource], notes: [AnchorNote]) throws
}

extension ResourceStore {
  /// Makes versions durable, all or none.
  public func write(_ resources: [StoredResource]) throws { try self.write(resources, notes: []) }
}

/// What can be searched, in memory: each resource's values, and for codes and references where they occur.
struct ResourceIndex {
  /// A resource as the search sees it.
  struct Row {
    let id: String
    let ordinal: UInt64
    var version: UInt64
    var updated: Timestamp
    var isDeleted: Bool
    var record: Digest?
    /// What is known of it where the ledger erased it.
    var erased: StoredResource.Erased?
    /// The patient that it belongs to, by local identifier.
    var patient: String?
    /// Whether it names that patient itself.
    var isOwn = false
    /// The account that it is linked to, where it is a patient.
    var account: Digest?
    /// Whether it says that it is sensitive, and so are the Binaries that it bears.
    var isSensitive = false
    var values: [String: [SearchValue]]
    /// Parameters whose elements are there without a value that a search compares.
    var bare: Set<String> = []

    /// When it became what it is: written, or erased.
    var changed: Timestamp { max(self.updated, self.erased?.time ?? .zero) }
  }

  private let site: Site
  private(set) var rows: [String: [Row]] = [:]
  private var places: [String: Int] = [:]
  /// Rows by type, parameter and code or reference. A row may have left; whoever finds it looks again.
  private var postings: [String: [Int]] = [:]

  /// Nothing yet; what references mean is a site's.
  init(site: Site) { self.site = site }

  /// Takes in the latest version of a resource.
  mutating func put(_ resource: StoredResource) {
    let json = resource.json
    let found = json.map { SearchValue.all(of: resource.type, in: $0, at: self.site) }
    var values = found?.values ?? [:]
    if let erased = resource.erased {
      self.erasedIdentifiers.formUnion(erased.identifiers)
      self.erasedNames.insert(resource.name)
      // The patient's account goes on: what else there is of it, and what comes.
      if let account = erased.account {
        values["identifier"] = [.token(system: FHIRService.accountSystem, code: "\(account)")]
      }
    }
    var row = Row(
      id: resource.id, ordinal: resource.ordinal, version: resource.version, updated: resource.updated,
      isDeleted: resource.isDeleted, record: resource.record, erased: resource.erased,
      patient: json.flatMap { self.patient(of: $0, type: resource.type, id: resource.id) },
      values: values, bare: found?.bare ?? [])
    row.isOwn = row.patient != nil
    row.isSensitive = json.map { Sensitivity.isSensitive($0) } ?? false
    if resource.type == "Binary" {
      let context = json.flatMap { Attached.context(of: $0, at: self.site) }
      let whose = context.flatMap { self.row($0)?.patient }
      self.bearers.put(resource.name, under: context, of: whose)
    }
    if !row.isOwn, !row.isDeleted { row.patient = self.bearers.patient(of: resource.name) }
    let before = self.row(resource.name)
    let earlier = before?.values ?? [:]
    if let account = before?.account { self.charts[account]?.remove(resource.id) }
    if resource.type == "Patient" {
      row.account = resource.erased?.account ?? json.flatMap { Self.account(in: $0, at: resource.updated) }
      if let account = row.account { self.charts[account, default: []].insert(resource.id) }
    }
    let place = self.places[resource.name] ?? self.rows[resource.type]?.count ?? 0
    if place == self.rows[resource.type]?.count ?? 0 {
      self.rows[resource.type, default: []].append(row)
      self.places[resource.name] = place
    } else {
      self.rows[resource.type]?[place] = row
    }
    let named = json.map { Attached.names(in: $0, type: resource.type, at: self.site) } ?? (held: [], linked: [])
    for name in self.bearers.put(resource.name, of: row.patient, holding: named.held, linking: named.linked) {
      self.own(name)
    }
    for (code, found) in values {
      let known = Set((earlier[code] ?? []).compactMap { Self.key(of: $0) })
      for key in Set(found.compactMap { Self.key(of: $0) }).subtracting(known) {
        self.postings["\(resource.type) \(code) \(key)", default: []].append(place)
      }
    }
  }

  /// What bears which Binary.
  private(set) var bearers = Attached()
  /// Whether anything bears a Binary that says that it is sensitive.
  func isBorneSensitively(_ binary: String) -> Bool {
    self.bearers.names(bearing: binary).contains { self.row($0)?.isSensitive ?? false }
  }

  /// Binaries that became somebody else's because of what bears them, since they were last taken.
  private var moved: Set<String> = []

  /// Those that are another patient's, or nobody's, since this was last asked.
  mutating func takeMoved() -> [String] {
    defer { self.moved = [] }
    return self.moved.sorted()
  }

  /// Gives a Binary that names nobody itself to the patient of what bears it.
  private mutating func own(_ name: String) {
    guard let place = self.places[name], let row = self.rows["Binary"]?[place], !row.isDeleted, !row.isOwn else {
      return
    }
    let patient = self.bearers.patient(of: name)
    guard row.patient != patient else { return }
    self.rows["Binary"]?[place].patient = patient
    self.moved.insert(name)
  }

  /// Resources that were erased.
  private(set) var erasedNames: Set<String> = []
  /// Business identifiers of resources that were erased.
  private(set) var erasedIdentifiers: Set<Digest> = []

  /// The place of a resource among the rows of its type; nil where there never was one.
  func place(_ name: String) -> Int? { self.places[name] }

  /// How many resources there ever were.
  var count: Int { self.places.count }

  /// The row of a resource; nil where there never was one.
  func row(_ name: String) -> Row? {
    guard let place = self.places[name] else { return nil }
    return self.rows[String(name.prefix { $0 != "/" })]?[place]
  }

  /// Notes the record of a version, where no other version has come since.
  mutating func setRecord(_ record: Digest, of name: String, version: UInt64) {
    guard let place = self.places[name], self.row(name)?.version == version else { return }
    self.rows[String(name.prefix { $0 != "/" })]?[place].record = record
  }

  /// The patients that are linked to each account.
  private var charts: [Digest: Set<String>] = [:]

  /// The account that a patient stored here is linked to; nil where there is none.
  func account(ofPatient id: String) -> Digest? { self.row("Patient/\(id)")?.account }

  /// The patients who are linked to an account, deleted ones not among them.
  func patients(of account: Digest) -> [String] {
    (self.charts[account] ?? []).sorted().filter { self.row("Patient/\($0)")?.isDeleted == false }
  }

  /// The account that a Patient names, as it was written at a time. What is no account stands for none, and so does an
  /// identifier that is marked as old or was over by then: they do not hide the one that follows.
  static func account(in patient: CanonicalJSON, at time: Timestamp) -> Digest? {
    for identifier in patient.children("identifier") {
      guard identifier["system"]?.text == FHIRService.accountSystem, identifier["use"]?.text != "old",
        let account = identifier["value"]?.text.flatMap({ Hex.decode($0) }).flatMap({ Digest($0) })
      else { continue }
      let end = identifier["period"]?["end"]?.text.flatMap { DateRange($0) }
      if let end, end.high <= DateRange(time).low { continue }
      return account
    }
    return nil
  }

  /// The resources of a patient, deleted ones not among them.
  func names(ofPatient id: String) -> [String] {
    self.rows.keys.sorted().flatMap { type in
      (self.rows[type] ?? []).filter { $0.patient == id }.map { "\(type)/\($0.id)" }
    }
  }

  /// The places of rows in which a parameter has a code or reference; nil where only looking at each row tells.
  func candidates(_ type: String, _ code: String, _ key: String) -> [Int] {
    self.postings["\(type) \(code) \(key)"] ?? []
  }

  /// How many rows there may be at most.
  func candidatesCount(_ type: String, _ code: String, _ key: String) -> Int {
    self.postings["\(type) \(code) \(key)"]?.count ?? 0
  }

  private static func key(of value: SearchValue) -> String? {
    switch value {
    case .token(_, let code): code
    case .reference(let reference): reference
    case .string, .date, .quantity, .uri, .composite: nil
    }
  }

  /// The patient of this server that a resource is about.
  func patient(of json: CanonicalJSON, type: String, id: String) -> String? {
    if type == "Patient" { return id }
    for name in type == "Binary" ? ["securityContext"] : ["patient", "subject", "beneficiary"] {
      for node in json.children(name) {
        if let text = node["reference"]?.text.map({ self.site.local($0) }), text.hasPrefix("Patient/") {
          return String(text.dropFirst("Patient/".count))
        }
      }
    }
    return nil
  }
}
