internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import Ledger
internal import Merkle
internal import Messages
internal import NodeCore
internal import Primitives
internal import Storage
internal import Telemetry

/// `consilium backup`
struct BackupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Copy what a hospital keeps, while its node runs; check such a copy.",
    subcommands: [New.self, Verify.self])

  struct New: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "new", abstract: "Copy the stores of a node, which may run, into an empty folder.",
      discussion: """
        Example:
          consilium backup new --config /etc/consilium/node.toml --to /backup/2026-11-30

        It has the EHR's store, the readings, the vault and the ledger, each as one moment held it, with genesis.json,
        member.json and node.toml, and a list of SHA-256 digests. Keys and custody shares are not in it: keep node.key
        and its passphrase apart. What is erased later stays in it: give backups an end. While it is made, the stores
        keep what they would else use again, and so may grow.
        """)

    @Option(help: "The node's configuration file.") var config: String
    @Option(name: .customLong("set"), help: "Overrides one key: key=value.") var overrides: [String] = []
    @Option(help: "The folder to make, or an empty one.") var to: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let config = try NodeConfig(path: self.config, overrides: self.overrides)
        umask(0o077)
        let stores = BackupManifest.stores.filter { HotCopy.sizeMax(of: "\(config.data)/\($0)") > 0 }
        guard stores.contains("ledger") else {
          throw Failure(
            "there is nothing to copy", why: "\(config.data) has no ledger", remedy: "check data in \(self.config)",
            status: ExitStatus.missingInput)
        }
        try self.takeFolder()
        do {
          try self.requireRoom(for: stores, config)
          let manifest = try self.copy(stores, config)
          if self.output.output == .json { return try Console.json(manifest) }
          Console.line("\(self.to) has \(manifest.summary).")
          LeftOut.show()
          Console.line("Check it where it is kept: consilium backup verify \(self.to)")
        } catch {
          // Nothing else was there.
          for name in (try? FileManager.default.contentsOfDirectory(atPath: self.to)) ?? [] {
            try? FileManager.default.removeItem(atPath: "\(self.to)/\(name)")
          }
          throw error
        }
      }
    }

    private func takeFolder() throws {
      do {
        try FileManager.default.createDirectory(
          atPath: self.to, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        guard try FileManager.default.contentsOfDirectory(atPath: self.to).isEmpty else {
          throw Failure(
            "no backup was made", why: "\(self.to) is not empty", remedy: "give a folder of its own to each backup")
        }
      } catch let failure as Failure { throw failure } catch {
        throw Failure(
          "cannot use the folder \(self.to)", why: error.localizedDescription, remedy: "check its permissions",
          status: ExitStatus.failedIO)
      }
    }

    private func requireRoom(for stores: [String], _ config: NodeConfig) throws {
      let needed = stores.reduce(UInt64(64 << 20)) { $0 + HotCopy.sizeMax(of: "\(config.data)/\($1)") }
      guard let free = DiskRoom.freeBytes(for: "\(self.to)/data.mdb"), free < needed else { return }
      throw Failure(
        "no backup was made",
        why: "\(self.to) has room for \(free >> 20) MiB, and up to \(needed >> 20) MiB are needed",
        remedy: "make room, or give a folder of another disk", status: ExitStatus.failedIO)
    }

    private func copy(_ stores: [String], _ config: NodeConfig) throws -> BackupManifest {
      let genesis = try GenesisFile.read(config.genesis)
      let member = try Files.readJSON(config.description, as: MemberFile.self, "member's description")
      let madeAt = Drafts.now
      do {
        for store in stores {
          // ⚑ What patients of other hospitals erase keeps none from its backups: of the vault it is cleared later.
          try HotCopy.make(
            of: "\(config.data)/\(store)", to: "\(self.to)/\(store)", mapSizeMax: config.mapSizeMax,
            mayLackKeys: store == "vault")
        }
        for (name, path) in zip(BackupManifest.papers, [config.genesis, config.description, self.config]) {
          try HotCopy.copy(path, to: "\(self.to)/\(name)")
        }
        // The copy is read, not the store: what it says of itself is what it holds.
        let position = try StoreReader(
          Store(
            path: "\(self.to)/ledger", genesis: genesis, member: MemberID(config.member),
            mapSizeMax: config.mapSizeMax, fresh: nil)
        ).restore(limits: genesis.limits).position
        for store in stores { unsafe unlink("\(self.to)/\(store)/lock.mdb") }
        let names = stores.flatMap { store in HotCopy.files.map { "\(store)/\($0)" } } + BackupManifest.papers
        let files = try names.filter { FileManager.default.fileExists(atPath: "\(self.to)/\($0)") }.map {
          try BackupManifest.describe($0, in: self.to)
        }
        let manifest = BackupManifest(
          format: BackupManifest.format, version: ProgramVersion.current, madeAt: madeAt.description,
          network: genesis.network.description, member: config.member, name: member.name, memberKey: member.key,
          height: position.sequence.number, ledgerTime: position.time.description, logSize: position.log.size,
          logRoot: position.log.root.description, files: files)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Last: without it nothing there passes for a backup.
        try Files.replace("\(self.to)/\(BackupManifest.fileName)", try encoder.encode(manifest), mode: 0o600)
        return manifest
      } catch let failure as StorageFailure { throw Failure(opening: failure, "no backup was made") }
    }
  }

  struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check a backup's files against their digests, and its stores page by page.",
      discussion: "Example:\n  consilium backup verify /backup/2026-11-30")

    @Argument(help: "The backup's folder.") var folder: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let manifest = try BackupManifest.read(in: self.folder)
        var faults = manifest.faults(in: self.folder)
        for store in manifest.stores where !faults.contains(where: { $0.hasPrefix("\(store)/") }) {
          do throws(StorageFailure) {
            try HotCopy.check("\(self.folder)/\(store)", mapSizeMax: 1 << 40)
          } catch { faults.append("\(store): \(error.parts.what)") }
        }
        guard faults.isEmpty else {
          throw Failure(
            "the backup in \(self.folder) is damaged", why: faults.joined(separator: "; "),
            remedy: "take another one; what is not named here is as it was written", status: ExitStatus.refused)
        }
        if self.output.output == .json { return try Console.json(manifest) }
        Console.line("Whole: \(manifest.summary).")
        LeftOut.show()
        Console.line("To go on with it under new keys: consilium restore --help")
      }
    }
  }
}

extension BackupManifest {
  /// What it is in a sentence.
  var summary: String {
    let bytes = self.files.reduce(0) { $0 + $1.size }
    return "\(self.stores.joined(separator: ", ")) of \(self.name) (member \(self.member)), made at \(self.madeAt), "
      + "the ledger up to height \(self.height) (\(self.ledgerTime)), \(bytes >> 10) KiB"
  }
}
