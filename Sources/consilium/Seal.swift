internal import Foundation
internal import Primitives

/// What stands beside the keys and tells with which store they vote (LEDGER §8), and which stores of the hospital's own
/// have a mark there: both would have to be lost for a loss to go unnoticed.
struct Seal {
  /// Its file.
  let path: String
  /// The numbers that the ledger's store may have.
  private(set) var incarnations: [String]
  /// The stores that have a mark beside the keys.
  private(set) var marked: Set<HospitalStore>

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
    let marked = lines.compactMap { HospitalStore(rawValue: $0) }
    return Seal(
      path: path, incarnations: lines.filter { HospitalStore(rawValue: $0) == nil }, marked: Set(marked))
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

  /// Names the stores that have a mark now. One that had is never forgotten.
  ///
  /// - Throws: `Failure` where it cannot be written.
  mutating func name(_ marked: [HospitalStore]) throws {
    guard !self.marked.isSuperset(of: marked) else { return }
    self.marked.formUnion(marked)
    try self.write()
  }

  private func write() throws {
    let lines = self.incarnations + HospitalStore.allCases.filter { self.marked.contains($0) }.map(\.rawValue)
    try Files.replace(self.path, Array(lines.map { $0 + "\n" }.joined().utf8), mode: 0o600)
  }
}
