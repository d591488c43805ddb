import HealthRecords
import Primitives

/// Binaries that do not say themselves whose they are, and what became of them since a time by what bears them. ⚑ Such
/// a Binary is another's, or nobody's, without a version of its own.
struct BorneSince {
  /// Of which patients each was at that time or later, by versions that are over.
  fileprivate(set) var patients: [String: Set<String>] = [:]
  /// Those that have become a patient's.
  fileprivate(set) var gained: Set<String> = []
}

extension FHIRService {
  /// What became of the Binaries that are borne, since a time.
  ///
  /// - Complexity: O(resources), and what is read of each that changed since: its versions back to that time.
  func borne(since: Timestamp, _ looks: Looks) throws -> BorneSince {
    var (found, earlier) = (BorneSince(), [String: Set<String>]())
    var touched: Set<String> = []
    guard self.index.rows["Binary"] != nil else { return found }
    for (type, rows) in self.index.rows where type != "Binary" {
      for row in rows where row.changed >= since {
        let name = "\(type)/\(row.id)"
        touched.formUnion(self.index.bearers.names(borneBy: name))
        for number in (1..<row.version).reversed() {
          try looks.look(Self.includeLooks)
          guard let version = try self.stored(type, row.id, number) else { break }
          let isEarlier = version.updated < since
          if let json = version.json, let patient = self.index.patient(of: json, type: type, id: row.id) {
            let named = Attached.names(in: json, type: type, at: self.site)
            for binary in named.held.union(named.linked).union(self.index.bearers.names(under: name)) {
              found.patients[binary, default: []].insert(patient)
              if isEarlier { earlier[binary, default: []].insert(patient) }
            }
          }
          // What was before that one was told before.
          if isEarlier { break }
        }
      }
    }
    for binary in touched {
      guard let row = self.index.row(binary), !row.isDeleted, !row.isOwn, let patient = row.patient,
        earlier[binary]?.contains(patient) != true
      else { continue }
      let isHeldForLonger = self.index.bearers.names(bearing: binary).contains { name in
        self.index.bearers.bears(name, binary, of: patient)
          && self.index.row(name).map { $0.changed < since } ?? false
      }
      if !isHeldForLonger { found.gained.insert(binary) }
    }
    return found
  }

  /// Of whom a Binary that was deleted is known to have been; none where nothing tells.
  func patients(ofDeleted binary: String, _ last: CanonicalJSON?, _ borne: BorneSince) -> Set<String> {
    if let own = last.flatMap({ self.index.patient(of: $0, type: "Binary", id: "") }) { return [own] }
    let context = last.flatMap { Attached.context(of: $0, at: self.site) }
    let others = [self.index.bearers.patient(of: binary), context.flatMap { self.index.row($0)?.patient }]
    return (borne.patients[binary] ?? []).union(others.compactMap { $0 })
  }
}
