import Primitives

/// The exports that are kept: what each is of, and whose.
///
/// Source: HL7 Bulk Data Access 2.0.0.
struct Exports {
  /// One file of an export: the resources of a type, or what was deleted.
  struct File: Sendable {
    /// The type; nil for what was deleted.
    let type: String?
    let hits: [SearchStates.Hit]
  }

  /// What was asked for, and what there was then.
  struct Export: Sendable {
    /// Who asked: the practitioner's account and the app or system.
    let account: Digest?
    let client: String?
    /// The whole request, as the manifest repeats it.
    let request: String
    /// All that was written before is in it.
    let time: Timestamp
    let files: [File]
    fileprivate(set) var number: UInt64 = 0
  }

  /// The most exports that are kept, in all and for one asker. Where an asker has too many, its oldest is dropped;
  /// where there are too many in all, the oldest of all is.
  static let exportsMax = 64
  static let exportsPerAskerMax = 4
  /// The most resources in all of them together.
  static let hitsMax = 32 << 20
  /// How long each is kept, in milliseconds.
  static let milliseconds: UInt64 = 86_400_000

  private var exports: [String: Export] = [:]
  private var count: UInt64 = 0

  /// Keeps an export under a name that nobody guesses.
  ///
  /// - Throws: `FHIRFailure` 413 where it has more resources than are kept.
  mutating func keep(_ export: Export, as name: String) throws(FHIRFailure) {
    func size(_ export: Export) -> Int { export.files.reduce(0) { $0 + $1.hits.count } }
    guard size(export) <= Self.hitsMax else {
      throw FHIRFailure(413, "too-costly", "over \(Self.hitsMax) resources: ask in parts, by _type or _since")
    }
    self.forget(before: export.time)
    func drop(_ isMeant: (Export) -> Bool) {
      let oldest = self.exports.filter { isMeant($0.value) }.min { $0.value.number < $1.value.number }
      if let oldest { self.exports[oldest.key] = nil }
    }
    func isOwn(_ other: Export) -> Bool { other.account == export.account && other.client == export.client }
    if self.exports.values.count(where: isOwn) >= Self.exportsPerAskerMax { drop(isOwn) }
    while self.exports.count >= Self.exportsMax
      || self.exports.values.reduce(size(export), { $0 + size($1) }) > Self.hitsMax
    { drop { _ in true } }
    self.count += 1
    var kept = export
    kept.number = self.count
    self.exports[name] = kept
  }

  private mutating func forget(before now: Timestamp) {
    self.exports = self.exports.filter { $0.value.time.milliseconds + Self.milliseconds > now.milliseconds }
  }

  /// An export of an asker.
  ///
  /// - Throws: `FHIRFailure` 404 where there is none of that name, or it is another's. ⚑ Which, is not told.
  mutating func export(_ name: String, of asker: FHIRAsker, at now: Timestamp) throws(FHIRFailure) -> Export {
    self.forget(before: now)
    guard let export = self.exports[name], export.account == asker.account, export.client == asker.client else {
      throw FHIRFailure(404, "not-found", "this export is not kept any more, or another asked for it: ask again")
    }
    return export
  }

  /// Forgets an export of an asker.
  ///
  /// - Throws: as `export`.
  mutating func end(_ name: String, of asker: FHIRAsker, at now: Timestamp) throws(FHIRFailure) {
    _ = try self.export(name, of: asker, at: now)
    self.exports[name] = nil
  }
}
