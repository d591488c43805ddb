internal import Foundation
internal import Primitives
internal import Storage

/// What stands beside the keys and tells with which store they vote (LEDGER §8), and which stores of the hospital's own
/// have a mark there: both would have to be lost for a loss to go unnoticed, or be older together with the seal.
struct Seal {
  /// Its file.
  let path: String
  /// The numbers that the ledger's store may have.
  private(set) var incarnations: [String]
  /// The stores that have a mark beside the keys.
  private(set) var marked: Set<HospitalStore>
  /// How far each was written when this node last looked, at most some seconds before it stopped.
  private var ages: [HospitalStore: StoreAge] = [:]

  /// Where the seal of keys stands.
  static func path(beside keys: String) -> String { keys + ".seal" }

  /// Reads the seal of keys; nil where there is none.
  ///
  /// - Throws: `Failure` where it cannot be read.
  static func read(beside keys: String) throws -> Seal? {
    let path = self.path(beside: keys)
    let bytes = try Files.readKept(
      path, max: 256,
      remedy: "bring the seal back; if it is lost, come back under a new key: consilium member propose replace")
    guard let bytes else { return nil }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    var seal = self.none(beside: keys)
    for line in lines {
      if let store = HospitalStore(rawValue: line) {
        seal.marked.insert(store)
      } else if let (store, age) = self.age(line) {
        seal.ages[store] = age
      } else {
        seal.incarnations.append(line)
      }
    }
    return seal
  }

  private static func age(_ line: String) -> (HospitalStore, StoreAge)? {
    let parts = line.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, let store = HospitalStore(rawValue: String(parts[0])), let age = StoreAge(String(parts[1]))
    else { return nil }
    return (store, age)
  }

  /// A seal of keys that had none.
  static func none(beside keys: String) -> Seal { Seal(path: self.path(beside: keys), incarnations: [], marked: []) }

  /// Names the numbers that the ledger's store may have from now on; when it returns, they are on the disk.
  ///
  /// - Throws: `Failure` where it cannot be written.
  mutating func name(_ incarnations: [Digest]) throws {
    self.incarnations = incarnations.map(\.description)
    try self.write()
  }

  /// Names the stores that have a mark now, and how far they are written. One that had a
  /// mark is never forgotten.
  ///
  /// - Throws: `Failure` where it cannot be written.
  mutating func name(_ marked: [HospitalStore], _ ages: [HospitalStore: StoreAge]) throws {
    self.marked.formUnion(marked)
    self.ages.merge(ages) { _, new in new }
    try self.write()
  }

  /// How far a store was written at least when this node stopped; nil where nothing tells.
  func age(of store: HospitalStore) -> StoreAge? { self.marked.contains(store) ? self.ages[store] : nil }

  /// Forgets how far a store was written: its keeper goes on with another.
  ///
  /// - Throws: `Failure` where it cannot be written.
  mutating func forgetAge(of store: HospitalStore) throws {
    guard self.ages.removeValue(forKey: store) != nil else { return }
    try self.write()
  }

  private func write() throws {
    let ages = HospitalStore.allCases.compactMap { store in self.ages[store].map { "\(store.rawValue):\($0.text)" } }
    let marked = HospitalStore.allCases.filter { self.marked.contains($0) }.map(\.rawValue)
    let lines = self.incarnations + marked + ages
    try Files.replace(self.path, Array(lines.map { $0 + "\n" }.joined().utf8), mode: 0o600)
  }
}
