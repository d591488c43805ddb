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
    /// What is said of those who are named and not given, each as a line of a file after those.
    let missing: [String]
    fileprivate(set) var number: UInt64 = 0
    /// When its asker last fetched anything of it.
    fileprivate(set) var used = Timestamp.zero

    /// Whether one asks: without a token it may be any of the hospital's programs.
    fileprivate var isOnes: Bool { self.account != nil || self.client != nil }
    fileprivate var size: Int { self.files.reduce(0) { $0 + $1.hits.count } }

    init(
      account: Digest?, client: String?, request: String, time: Timestamp, files: [File], missing: [String]
    ) {
      (self.account, self.client, self.request, self.missing) = (account, client, request, missing)
      (self.time, self.used, self.files) = (time, time, files)
    }
  }

  /// The most exports that are kept, in all and for one asker. Where an asker has too many, the one that it fetched
  /// least lately is dropped. ⚑ Nobody ends what another fetches: where there are too many in all, or of all who send
  /// no token, only one that was left alone for a while gives way.
  static let exportsMax = 64
  static let exportsPerAskerMax = 4
  /// The most resources in all of them together.
  static let hitsMax = 32 << 20
  /// How long each is kept, in milliseconds.
  static let milliseconds: UInt64 = 86_400_000
  /// For how long one is left alone that another's takes the place of, in milliseconds.
  static let idleMilliseconds: UInt64 = 900_000

  private var exports: [String: Export] = [:]
  private var count: UInt64 = 0

  /// Keeps an export under a name that nobody guesses.
  ///
  /// - Throws: `FHIRFailure` 413 where it has more resources than are kept, 429 where others' are in its place.
  mutating func keep(_ export: Export, as name: String) throws(FHIRFailure) {
    guard export.size <= Self.hitsMax else {
      throw FHIRFailure(413, "too-costly", "over \(Self.hitsMax) resources: ask in parts, by _type or _since")
    }
    self.forget(before: export.time)
    var left = self.exports
    func isOwn(_ other: Export) -> Bool { other.account == export.account && other.client == export.client }
    if left.values.count(where: isOwn) >= Self.exportsPerAskerMax {
      try Self.drop(from: &left, at: export.time, isOwner: export.isOnes, isOwn)
    }
    while left.count >= Self.exportsMax || left.values.reduce(export.size, { $0 + $1.size }) > Self.hitsMax {
      let hasOwn = export.isOnes && left.values.contains(where: isOwn)
      try Self.drop(from: &left, at: export.time, isOwner: hasOwn) { hasOwn ? isOwn($0) : true }
    }
    self.count += 1
    var kept = export
    kept.number = self.count
    left[name] = kept
    self.exports = left
  }

  /// Drops of some exports the one that was fetched least lately: at once where who asks is the owner of them all.
  ///
  /// - Throws: `FHIRFailure` 429 where it was fetched a moment ago.
  private static func drop(
    from exports: inout [String: Export], at now: Timestamp, isOwner: Bool, _ isMeant: (Export) -> Bool
  ) throws(FHIRFailure) {
    let least = exports.filter { isMeant($0.value) }
      .min { ($0.value.used, $0.value.number) < ($1.value.used, $1.value.number) }
    guard let least else { return }
    let free = least.value.used.milliseconds + Self.idleMilliseconds
    guard isOwner || free <= now.milliseconds else {
      var failure = FHIRFailure(
        429, "throttled",
        "as many exports are kept as there may be, and each was fetched from in the last "
          + "\(Self.idleMilliseconds / 60_000) minutes: end one by DELETE at its status, ask by a token of your own, "
          + "or try again later")
      failure.retrySeconds = Int(clamping: (free - now.milliseconds + 999) / 1000)
      throw failure
    }
    exports[least.key] = nil
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
    self.exports[name]?.used = now
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
