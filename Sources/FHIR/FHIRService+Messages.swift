public import HealthRecords
internal import Primitives

/// What a door needs that turns messages of the hospital's other systems into resources.
extension FHIRService {
  /// The resource of a type that has an identifier, as it is stored; nil where none has it. ⚑ It is for laying a
  /// message over it, as a patch is, and shown to nobody: so it is no reading.
  ///
  /// - Throws: `FHIRFailure` 412 where several have it, and where the store cannot be read.
  public func held(
    _ type: String, system: String, value: String
  ) throws -> (id: String, version: UInt64, json: CanonicalJSON)? {
    let found = try self.holders(type, system: system, value: value)
    guard found.count <= 1 else {
      throw FHIRFailure(412, "multiple-matches", "\(found.count) \(type) have the identifier \(value.prefix(200))")
    }
    return try found.first.flatMap { try self.held(type, id: $0) }
  }

  /// The ids of a type's resources that have an identifier; shown to nobody, too.
  public func holders(_ type: String, system: String, value: String) throws -> [String] {
    let code = [system, value].map { SearchText.escaped($0) }.joined(separator: "|")
    let judging = Judging(at: self.site, Looks(max: Looks.transactionMax))
    return try self.find(
      type, [("identifier", code)], by: judging, for: FHIRRequest(method: "GET", path: [type]))
  }

  /// The resource of a type and an id, as it is stored; nil where there is none.
  public func held(_ type: String, id: String) throws -> (id: String, version: UInt64, json: CanonicalJSON)? {
    guard let row = self.index.row("\(type)/\(id)"), !row.isDeleted,
      let json = try self.stored(type, id, row.version)?.json
    else { return nil }
    return (id, row.version, json)
  }

  /// The ids and versions of a type's resources whose id begins with a word, oldest first; deleted ones too where
  /// `areDeletedToo`.
  public func rows(
    of type: String, prefix: String, areDeletedToo: Bool = false
  ) -> [(id: String, version: UInt64)] {
    (self.index.rows[type] ?? []).filter { $0.id.hasPrefix(prefix) && (areDeletedToo || !$0.isDeleted) }
      .sorted { $0.updated < $1.updated }.map { ($0.id, $0.version) }
  }

  /// A condition that one identifier meets, as a URL's query.
  public static func condition(system: String, value: String) -> String {
    FHIRURL.text([("identifier", "\(SearchText.escaped(system))|\(SearchText.escaped(value))")])
  }
}
