internal import ArgumentParser
internal import FHIR
internal import Foundation
internal import Gateway
internal import NodeCore
internal import Primitives
internal import Signing
internal import Storage
internal import Telemetry

/// A store that only this hospital has.
enum HospitalStore: String, CaseIterable, ExpressibleByArgument {
  case fhir, readings

  func folder(in config: NodeConfig) -> String { "\(config.data)/\(self.rawValue)" }

  /// What tells how the store was left. ⚑ Beside the keys, outside the folder: they are not lost together.
  func mark(in config: NodeConfig) -> String { self.mark(beside: config.keys) }

  func mark(beside keys: String) -> String { "\(keys).\(self.rawValue)" }

  /// The mark of the node's own keys, and what says the same in the data folder. ⚑ Who copies the store and its mark
  /// takes neither the ledger nor what stands beside it.
  func keptMark(_ config: NodeConfig) throws(StorageFailure) -> StoreMark {
    try StoreMark(path: self.mark(in: config), second: "\(config.data)/\(self.rawValue).mark")
  }

  /// What stands beside the keys while a loss was accepted and the ledger was not asked yet what it has of that.
  static func uncompared(beside keys: String) -> String { "\(keys).fhir.uncompared" }

  /// What stands beside the keys once the node has what it takes to ask the ledger.
  static func comparable(beside keys: String) -> String { "\(keys).fhir.comparable" }

  /// What seals it: a holder of the hospital's secret can read what its EHR wrote, and nobody else.
  static func key(_ keys: borrowing NodeKeys) -> Digest { Hash.blake2b("consilium/fhir-store/v1", keys.sealingSecret) }

  /// Opens it and lets it go; `mark` tells how it was left.
  func check(_ config: NodeConfig, key: Digest, mark: StoreMark?) throws(StorageFailure) {
    switch self {
    case .fhir: _ = try Self.resources(config, key: key, mark: mark)
    case .readings: _ = try Self.readings(config, key: key, mark: mark)
    }
  }

  /// Whether lines of the log of readings may be missing, as far as it and the mark in a file tell. Of the EHR's
  /// resources the ledger tells more.
  func mayMissLines(_ config: NodeConfig, key: Digest, remembering path: String) -> Bool {
    guard case .readings = self else { return false }
    do throws(StorageFailure) {
      let mark = try StoreMark(path: path, isReadOnly: true)
      // ⚑ Without a mark nobody can tell: the patients are told that.
      guard mark.rowCount != nil else { return true }
      try self.check(config, key: key, mark: mark)
      return false
    } catch {
      // Whatever it is, opening it to go on meets it again, and tells the operator.
      return true
    }
  }

  /// Goes on with what is there of it; says how that was found. `lossToldAt`, where lines may be missing, is when every
  /// patient is told that.
  func accept(
    _ config: NodeConfig, key: Digest, mark: StoreMark?, lossToldAt: Timestamp? = nil
  ) throws(StorageFailure) -> (opening: StoreOpening, resources: EncryptedResources?) {
    switch self {
    case .fhir:
      let store = try EncryptedResources(
        path: self.folder(in: config), mapSizeMax: config.mapSizeMax, key: key, mark: mark, isLossAccepted: true)
      return (store.opening, store)
    case .readings:
      let store = try ReadingStore(
        path: self.folder(in: config), mapSizeMax: config.mapSizeMax, key: key, mark: mark, isLossAccepted: true,
        lossToldAt: lossToldAt)
      return (store.opening, nil)
    }
  }

  static func resources(
    _ config: NodeConfig, key: Digest, mark: StoreMark?
  ) throws(StorageFailure) -> EncryptedResources {
    try EncryptedResources(
      path: Self.fhir.folder(in: config), mapSizeMax: config.mapSizeMax, key: key, mark: mark)
  }

  static func readings(_ config: NodeConfig, key: Digest, mark: StoreMark?) throws(StorageFailure) -> ReadingStore {
    try ReadingStore(path: Self.readings.folder(in: config), mapSizeMax: config.mapSizeMax, key: key, mark: mark)
  }
}

/// The stores that only this hospital has, as its node found them. ⚑ One that is not as it was left ends neither the
/// ledger nor the vote: what stands on it is refused.
struct HospitalStores {
  /// What the EHR wrote; nil where no interface is asked for and there never was one, or where it is refused.
  let resources: EncryptedResources?
  /// Whether that is refused.
  let isFHIRLost: Bool
  /// Who was shown what of the EHR's resources.
  let readings: any ReadingLog
  /// Why nothing is served from them, and what helps; nil where it is.
  let trouble: String?
  /// What an empty store may mean; nil where it means nothing.
  let notice: String?
  /// How far those are written with which the node begins: the seal is to name it.
  let ages: [HospitalStore: StoreAge]
  private let readingStore: ReadingStore?
  /// What tells how large each is, by name.
  let sizes: [String: @Sendable () -> (used: Int, file: Int)]

  /// Opens both. `seal` tells which had a mark when the node last ran, and how far they were written; `areRecordsOwn`
  /// tells whether the ledger has a record of this hospital's own system.
  ///
  /// - Throws: `Failure` where they are of other keys or another program, and so nothing is wrong with them.
  init(
    _ config: NodeConfig, key: Digest, seal: Seal, _ log: Log, areRecordsOwn: () throws -> Bool
  ) throws {
    let files = [HospitalStore.fhir.folder(in: config), HospitalStore.fhir.mark(in: config)]
    let isWanted =
      config.fhirPort != nil || config.messages.port != nil || seal.marked.contains(.fhir)
      || files.contains { FileManager.default.fileExists(atPath: $0) }
    var (troubles, ages): ([String], [HospitalStore: StoreAge]) = ([], [:])
    let resources =
      try isWanted
      ? Self.open(.fhir, config, key, seal, log, &troubles) { mark throws(StorageFailure) in
        guard !FileManager.default.fileExists(atPath: HospitalStore.uncompared(beside: config.keys)) else {
          throw .uncompared(path: HospitalStore.fhir.folder(in: config), command: Comparison.command(config))
        }
        let store = try HospitalStore.resources(config, key: key, mark: mark)
        ages[.fhir] = try store.begin(after: seal.age(of: .fhir))
        return (store, store.opening)
      } : nil
    (self.resources, self.isFHIRLost) = (resources, isWanted && resources == nil)
    let readings = try Self.open(.readings, config, key, seal, log, &troubles) { mark throws(StorageFailure) in
      let store = try HospitalStore.readings(config, key: key, mark: mark)
      ages[.readings] = try store.begin(after: seal.age(of: .readings))
      return (store, store.opening)
    }
    (self.ages, self.readingStore) = (ages, readings)
    var sizes: [String: @Sendable () -> (used: Int, file: Int)] = [:]
    if let resources { sizes[HospitalStore.fhir.rawValue] = { resources.sizes } }
    if let readings { sizes[HospitalStore.readings.rawValue] = { readings.sizes } }
    self.sizes = sizes
    self.trouble = troubles.isEmpty ? nil : troubles.joined(separator: "; ")
    if let readings {
      self.readings = readings
    } else {
      self.readings = RefusedReadings(reason: self.trouble ?? "")
    }
    let isEmpty = try resources != nil && StoreMark(path: HospitalStore.fhir.mark(in: config)).rowCount == 0
    self.notice = try isEmpty && areRecordsOwn() ? Self.emptiness(HospitalStore.fhir.folder(in: config)) : nil
    if self.notice != nil { log.emit(.fhirEmpty) }
  }

  /// How far they are written by now, those that can be read.
  var currentAges: [HospitalStore: StoreAge] {
    var ages: [HospitalStore: StoreAge] = [:]
    if let resources { ages[.fhir] = try? resources.age() }
    if let readingStore { ages[.readings] = try? readingStore.age() }
    return ages
  }

  private static func emptiness(_ folder: String) -> String {
    "the store in \(folder) is empty, and the ledger has records that this hospital's own system anchored: if its EHR "
      + "wrote them here, stop the node and bring the folder back before the EHR writes; if they were all given by "
      + "command or as documents, nothing is missing"
  }

  /// A store of other keys is another in any case: that is said first. What is not there is not made.
  private static func requireOwn(_ kind: HospitalStore, _ config: NodeConfig, _ key: Digest, _ log: Log) throws {
    guard FileManager.default.fileExists(atPath: "\(kind.folder(in: config))/data.mdb") else { return }
    do throws(StorageFailure) { try kind.check(config, key: key, mark: nil) } catch {
      if case .otherKey = error { throw NodeCommand.failure(opening: error, log) }
    }
  }

  private static func open<Store>(
    _ kind: HospitalStore, _ config: NodeConfig, _ key: Digest, _ seal: Seal, _ log: Log,
    _ troubles: inout [String], _ body: (StoreMark) throws(StorageFailure) -> (Store, StoreOpening)
  ) throws -> Store? {
    do throws(StorageFailure) {
      let mark = kind.mark(in: config)
      // ⚑ Without it nobody can tell a store that is gone from one that never was.
      guard !seal.marked.contains(kind) || FileManager.default.fileExists(atPath: mark) else {
        throw .lost(path: kind.folder(in: config), reason: "\(mark), which told how it was left, is gone")
      }
      let (store, opening) = try body(kind.keptMark(config))
      if case .marked(let rows) = opening {
        log.emit(.storeMarked, ["store": .text(kind.rawValue), "rows": .number(rows)])
      }
      return store
    } catch {
      switch error {
      case .otherKey, .otherFormat, .foreign: throw NodeCommand.failure(opening: error, log)
      case .lost:
        try Self.requireOwn(kind, config, key, log)
        fallthrough
      case .folder, .damaged, .rotten, .diverged, .copied, .uncompared, .full, .system:
        log.emit(.fhirRefused, ["reason": .text("\(error)")])
        troubles.append("\(error)")
        return nil
      }
    }
  }
}
