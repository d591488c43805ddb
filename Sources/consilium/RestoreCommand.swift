internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import Messages
internal import Primitives
internal import Storage

/// `consilium restore`
struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Put a backup's stores into a hospital's new folder, and say how to go on.",
    discussion: """
      Example, on another machine:
        consilium init /etc/consilium --member 3 --name "St. Mary" --address /dns4/node.st-mary.example/tcp/4001
        cp /backup/2026-11-30/genesis.json /etc/consilium/
        consilium restore /backup/2026-11-30 --config /etc/consilium/node.toml

      The EHR's store, the readings and the vault are put back where there is none. The ledger is not: it comes from the
      other hospitals, and under the old keys it would let this one vote a second time. So the hospital goes on under
      new keys. Where its own node still has its ledger and its seal, and only a store of the EHR is lost, that one is
      put back under the keys that it has.
      """)

  @Argument(help: "The backup's folder.") var backup: String
  @Option(help: "The new node's configuration file.") var config: String
  @Option(name: .customLong("set"), help: "Overrides one key: key=value.") var overrides: [String] = []
  @OptionGroup var output: OutputOptions

  /// What was done, as scripts read it.
  private struct Told: Encodable {
    let restored: [String]
    let kept: [String]
    let next: [String]
  }

  func run() async throws {
    try await reporting {
      let config = try NodeConfig(path: self.config, overrides: self.overrides)
      let manifest = try BackupManifest.read(in: self.backup)
      umask(0o077)
      let isSameKey = try self.requireFit(manifest, config)
      let lock = try FolderLock(config.data)
      let wanted = manifest.stores.filter { $0 != "ledger" && !($0 == "vault" && config.objectStore != nil) }
      let kept = wanted.filter { FileManager.default.fileExists(atPath: "\(config.data)/\($0)/data.mdb") }
      let missing = wanted.filter { !kept.contains($0) }
      guard !missing.isEmpty else {
        throw Failure(
          "nothing was put back",
          why: "\(config.data) has \(kept.joined(separator: ", ")) already, and the backup no more",
          remedy: "move a folder away that the backup is to replace, and keep it until all is well")
      }
      let faults = manifest.faults(in: self.backup, of: missing)
      guard faults.isEmpty else {
        throw Failure(
          "nothing was put back", why: faults.joined(separator: "; "), remedy: "take another backup",
          status: ExitStatus.refused)
      }
      for store in missing { try self.put(store, manifest, config) }
      let next = self.steps(isSameKey: isSameKey, missing)
      withExtendedLifetime(lock) {}
      if self.output.output == .json { return try Console.json(Told(restored: missing, kept: kept, next: next)) }
      Console.line("Put back into \(config.data): \(missing.joined(separator: ", ")), as of \(manifest.madeAt).")
      if !kept.isEmpty { Console.line("Left as it is there: \(kept.joined(separator: ", ")).") }
      Console.line("What was written after that time is not in it. How to go on:")
      for (number, step) in next.enumerated() { Console.line("  \(number + 1). \(step)") }
    }
  }

  /// Whether the folder has the keys of the node that was copied.
  ///
  /// - Throws: `Failure` where it is another hospital's, or those keys have no ledger here.
  private func requireFit(_ manifest: BackupManifest, _ config: NodeConfig) throws -> Bool {
    func unfit(_ why: String, _ remedy: String) -> Failure {
      Failure("nothing was put back", why: why, remedy: remedy, status: ExitStatus.configuration)
    }
    let member = try Files.readJSON(config.description, as: MemberFile.self, "member's description")
    guard member.number == manifest.member, config.member == manifest.member else {
      throw unfit(
        "the backup is of member \(manifest.member), \(config.description) describes member \(member.number)",
        "give the number of before to consilium init")
    }
    guard try GenesisFile.read(config.genesis).network.description == manifest.network else {
      throw unfit("the genesis is another network's", "take genesis.json from the backup")
    }
    guard member.key == manifest.memberKey else { return false }
    let own = [Seal.path(beside: config.keys), "\(config.data)/ledger/data.mdb"]
    guard own.allSatisfy({ FileManager.default.fileExists(atPath: $0) }) else {
      throw unfit(
        "\(config.description) has the keys of the node that was copied, and its ledger or its seal is not here: with "
          + "a ledger that is older than its votes this member would contradict itself",
        "make new keys: consilium init into an empty folder, then consilium restore into that one")
    }
    return true
  }

  /// Puts a store back, as a whole or not at all.
  private func put(_ store: String, _ manifest: BackupManifest, _ config: NodeConfig) throws {
    let (folder, fresh) = ("\(config.data)/\(store)", "\(config.data)/\(store).restoring")
    let files = manifest.files.filter { $0.path.hasPrefix("\(store)/") }
    let needed = files.reduce(UInt64(64 << 20)) { $0 + UInt64($1.size) }
    if let free = DiskRoom.freeBytes(for: "\(config.data)/data.mdb"), free < needed {
      throw Failure(
        "\(store) was not put back",
        why: "\(config.data) has room for \(free >> 20) MiB, and \(needed >> 20) are needed",
        remedy: "make room, and give this command again", status: ExitStatus.failedIO)
    }
    do {
      try? FileManager.default.removeItem(atPath: fresh)
      try FileManager.default.createDirectory(
        atPath: fresh, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      for file in files {
        try HotCopy.copy("\(self.backup)/\(file.path)", to: "\(fresh)/\(file.path.dropFirst(store.count + 1))")
      }
      // A folder without data.mdb may have been left there.
      unsafe rmdir(folder)
      guard unsafe rename(fresh, folder) == 0 else {
        throw Failure(
          "\(store) was not put back", why: "\(folder) is not empty",
          remedy: "move it away, and give this command again",
          status: ExitStatus.failedIO)
      }
    } catch let failure as StorageFailure { throw Failure(opening: failure, "\(store) was not put back") }
  }

  private func steps(isSameKey: Bool, _ stores: [String]) -> [String] {
    let own = stores.filter { HospitalStore(rawValue: $0) != nil }
    let (start, word) = ("consilium node --config \(self.config)", "which says up to when that goes, and what is lost")
    if isSameKey {
      return own.map { "consilium fhir accept-loss --config \(self.config) --store \($0)   \(word)" } + [start]
    }
    let rekey =
      "consilium fhir rekey --config \(self.config) --old-key OLD/node.key --accept-loss   with the node.key that was "
      + "kept apart, \(word)"
    let again =
      "once consilium status gives notice that the node has its ledger and vault: stop it, give step 1 again, and "
      + "start it"
    let back = [
      "consilium member propose replace MEMBER.JSON, approvals, consilium member submit   at another hospital's node, "
        + "with member.json of the new folder; its registrar.key is the desk's from then on, and the old one is void",
      "\(start)   the ledger comes from the other hospitals, and so does what the vault lacks",
    ]
    return own.isEmpty ? back : [rekey] + back + [again]
  }
}
