internal import Foundation
internal import Gateway
internal import Ledger
internal import Messages
internal import Primitives
internal import Signing
internal import Storage

/// What a backup says of itself: of whom and when it is, and the digest of each of its files.
struct BackupManifest: Codable {
  struct File: Codable {
    /// Below the backup's folder.
    var path: String
    var size: Int
    var sha256: String
  }

  static let format = "consilium-backup-v1"
  static let fileName = "backup.json"
  private static let bytesMax = 1 << 20
  /// The stores, in the order in which they are copied. ⚑ What refers to another comes before it: what a store names is
  /// in the other's copy.
  static let stores = ["fhir", "readings", "vault", "ledger"]
  /// What else is needed to set a node up again, and tells no secret.
  static let papers = ["genesis.json", "member.json", "node.toml"]

  var format: String
  /// The program that made it.
  var version: String
  var madeAt: String
  var network: String
  var member: UInt32
  var name: String
  /// The public member key of the node that was copied.
  var memberKey: String
  var height: UInt64
  var ledgerTime: String
  var logSize: UInt64
  var logRoot: String
  var files: [File]

  /// The stores of which it has a copy.
  var stores: [String] {
    Self.stores.filter { store in self.files.contains { $0.path == "\(store)/data.mdb" } }
  }

  /// Reads a backup's manifest.
  ///
  /// - Throws: `Failure` where there is none, or it is not one of this program's.
  static func read(in folder: String) throws -> BackupManifest {
    let path = "\(folder)/\(self.fileName)"
    func bad(_ why: String, _ remedy: String) -> Failure { Failure("\(folder) is no backup", why: why, remedy: remedy) }
    guard FileManager.default.fileExists(atPath: path) else {
      throw Failure(
        "\(folder) is no backup",
        why: "there is no \(self.fileName): none was made there, or it did not come to its end",
        remedy: "give a folder that consilium backup new made", status: ExitStatus.missingInput)
    }
    let bytes = try Files.read(path, max: self.bytesMax)
    guard let manifest = try? JSONDecoder().decode(Self.self, from: Data(bytes)) else {
      throw bad("\(self.fileName) is damaged", "take another backup")
    }
    guard manifest.format == self.format else {
      throw bad("it has the format \(manifest.format.prefix(40))", "use the program that made it")
    }
    let known = Set(self.papers + self.stores.flatMap { store in HotCopy.files.map { "\(store)/\($0)" } })
    let paths = manifest.files.map(\.path)
    guard known.isSuperset(of: paths), Set(paths).count == paths.count else {
      throw bad("\(self.fileName) names files that no backup has, or one twice", "take another backup")
    }
    let needed = manifest.stores.filter { ["fhir", "vault"].contains($0) }.map { "\($0)/keys" } + ["ledger/data.mdb"]
    if let missing = needed.first(where: { !paths.contains($0) }) {
      throw bad("\(self.fileName) does not name \(missing)", "take another backup")
    }
    return manifest
  }

  /// What a file of a folder is now.
  static func describe(_ path: String, in folder: String) throws -> File {
    let pieces = try FilePieces("\(folder)/\(path)")
    var (hash, size) = (Hash.Running(), 0)
    for piece in pieces {
      hash.update(piece)
      size += piece.count
    }
    guard size == pieces.sizeBytes else {
      throw Failure(
        "cannot read \(folder)/\(path)", why: "it ends after \(size) of \(pieces.sizeBytes) bytes",
        remedy: "look at the disk and the system's log (dmesg)", status: ExitStatus.failedIO)
    }
    return File(path: path, size: size, sha256: hash.digest.description)
  }

  /// What is wrong with the files of a backup, or with those of some stores alone: one sentence each.
  func faults(in folder: String, of stores: [String]? = nil) -> [String] {
    self.files.filter { file in stores.map { $0.contains { file.path.hasPrefix("\($0)/") } } ?? true }.compactMap {
      file in
      do {
        let found = try Self.describe(file.path, in: folder)
        guard found.size == file.size else {
          return "\(file.path) has \(found.size) bytes, and \(file.size) were written"
        }
        return found.sha256 == file.sha256 ? nil : "\(file.path) is not what was written: its SHA-256 is another"
      } catch { return "\(file.path): \((error as? Failure)?.why ?? "\(error)")" }
    }
  }
}

/// What is in no backup, and why: to be kept, or not.
enum LeftOut {
  static let lines = [
    "node.key and its passphrase: keep them apart from the backup, for they open what it holds",
    "registrar.key: it is the desk's",
    "node.key.seal: beside an older ledger it would let the key vote a second time",
    "node.key.custody: shares of the custody key are kept nowhere else; the next ones are dealt to the new keys",
    "node.key.fhir, node.key.readings: they tell an older copy from what was acknowledged, which a backup is",
  ]

  static func show() {
    Console.line("Not in it:")
    for line in self.lines { Console.line("  \(line)") }
  }
}
