internal import ArgumentParser
internal import EventLoop
internal import Foundation
internal import Gateway
internal import NodeCore
internal import Primitives
internal import Signing
internal import Storage

/// `consilium fhir`
struct FHIRCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fhir", abstract: "What this hospital's own EHR wrote, on this machine.",
    subcommands: [Rekey.self, AcceptLoss.self])

  struct Rekey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Go on with the FHIR store and the readings of this hospital's old node.key under the new one.",
      discussion: """
        Example, before the first start under new keys:
          cp -a /old/data/fhir /old/data/readings /etc/consilium/data/
          consilium fhir rekey --config /etc/consilium/node.toml --old-key /old/node.key

        The node must not run. Each store is under the old keys or under the new ones, whenever this is interrupted:
        give the same command again. The old node.key still opens both stores: keep it as safe as the new one, or
        destroy it. A folder that is older than node.key.fhir or node.key.readings beside the old key tell, or has none
        of them there, is refused, and taken only with --accept-loss: the EHR must then write again what is lost. Which
        records of that are still current is told where the ledger and the vault are there: give the same command again
        once the new node has them, and is stopped.
        """)

    @Option(help: "The node's configuration file, with the new keys.") var config: String
    @Option(name: .customLong("set"), help: "Overrides one key: key=value.") var overrides: [String] = []
    @Option(
      name: .customLong("old-key"),
      help: ArgumentHelp(
        "The node.key that the stores were written with; again for each that this hospital had before that one.",
        valueName: "old-key"))
    var oldKeys: [String]
    /// The one that the stores were written with.
    private var oldKey: String { self.oldKeys.first ?? "" }
    @Option(help: "A file with the old keys' passphrase; else the new key's passphrase is tried.")
    var oldPassphraseFile: String?
    @Flag(help: "Go on with what is there, also where it is older than what was acknowledged, or damaged.")
    var acceptLoss = false
    @Flag(help: "Serve it though what the ledger has of what is lost is not known whole.")
    var acceptUncompared = false
    @OptionGroup var passphrase: PassphraseOptions

    func run() async throws {
      try await reporting {
        let config = try NodeConfig(path: self.config, overrides: self.overrides)
        umask(0o077)
        let stores = HospitalStore.allCases.filter {
          FileManager.default.fileExists(atPath: $0.folder(in: config) + "/data.mdb")
        }
        guard !stores.isEmpty else {
          throw Failure(
            "there is nothing to take over", why: "\(config.data) has neither fhir nor readings",
            remedy: "copy both folders there from the old data folder", status: ExitStatus.missingInput)
        }
        let lock = try FolderLock(config.data)
        let word = try config.passphraseFile.map { try PassphraseOptions.read($0) } ?? self.passphrase.read()
        let new = try KeyFile.member(config.keys, passphrase: word)
        let oldWord = try self.oldPassphraseFile.map { try PassphraseOptions.read($0) } ?? word
        let remedy = "give the passphrase that it was made with: --old-passphrase-file FILE"
        let old = try KeyFile.member(self.oldKey, passphrase: oldWord, remedy: remedy)
        let earlier = try self.oldKeys.dropFirst().map { path in
          try KeyFile.member(path, passphrase: oldWord, remedy: remedy).sealingSecret
        }
        // ⚑ One that was left behind is lost like one that is older: before the other is taken over without it.
        let before = HospitalStore.key(old)
        for store in HospitalStore.allCases where !stores.contains(store) {
          try self.refusing(store, config) { () throws(StorageFailure) -> Void in
            guard let mark = try self.mark(of: store), FileManager.default.fileExists(atPath: mark.path) else { return }
            try store.check(config, key: before, mark: mark)
          }
        }
        let wasDue =
          try self.acceptLoss && stores.contains(.fhir)
          && Comparison.begin(config, by: Comparison.rekey(self.config, old: self.oldKeys))
        var resources: EncryptedResources?
        for store in stores {
          let taken = try self.handOver(store, config, from: old, to: new)
          resources = resources ?? taken
        }
        // ⚑ A log that was left behind is lost like any other, and every patient is told.
        if self.acceptLoss, !stores.contains(.readings) {
          _ = try FHIRCommand.goOn(
            .readings, config, key: HospitalStore.key(new),
            remembering: HospitalStore.readings.mark(beside: self.oldKey), mayMissLines: true)
        }
        // Only now is the log of readings under the new keys, too.
        if self.acceptLoss, let resources {
          let secrets = [old.sealingSecret, new.sealingSecret] + earlier
          try await Orphans.settle(
            resources, config, secrets: secrets, key: HospitalStore.key(new), wasDue: wasDue,
            goesOn: self.acceptUncompared, configured: self.config)
        }
        withExtendedLifetime(lock) {}
      }
    }

    /// What tells how a store was left under the old key; nil where that does not count.
    private func mark(of store: HospitalStore) throws(StorageFailure) -> StoreMark? {
      guard !self.acceptLoss else { return nil }
      let mark = try StoreMark(path: store.mark(beside: self.oldKey), isReadOnly: true)
      // What never held anything has nothing to lose.
      return mark.rowCount == 0 ? nil : mark
    }

    /// Takes a store over; the EHR's resources, where it is theirs and was not under the new keys before.
    private func handOver(
      _ store: HospitalStore, _ config: NodeConfig, from old: borrowing NodeKeys, to new: borrowing NodeKeys
    ) throws -> EncryptedResources? {
      let (before, after) = (HospitalStore.key(old), HospitalStore.key(new))
      let folder = store.folder(in: config)
      let mayMissLines =
        self.acceptLoss
        && store.mayMissLines(config, key: before, remembering: store.mark(beside: self.oldKey))
      let isTaken = try self.refusing(store, config) { () throws(StorageFailure) -> Bool in
        let mark = try self.mark(of: store)
        let isAccepted = if self.acceptLoss { try self.accept(store, config, from: before, to: after) } else { false }
        let isHanded = try HospitalKey.handOver(folder, from: before, to: after) {
          (key: Digest) throws(StorageFailure) in
          try self.open(store, config, key: key, mark: try HospitalKey.isHanded(folder, to: after) ? nil : mark)
        }
        return isHanded || isAccepted
      }
      guard isTaken else {
        Console.line("\(folder) opens with \(config.keys) as it is.")
        guard self.acceptLoss, store == .fhir else { return nil }
        // The ledger may have come since: what it has is looked for again, by the old keys too.
        return try FHIRCommand.goOn(
          store, config, key: after, remembering: store.mark(in: config), mayMissLines: false)
      }
      // ⚑ From now on it is another store than each copy of before. The node may have begun with one of them: this one
      // is to go on.
      let resources = try FHIRCommand.goOn(
        store, config, key: after, remembering: store.mark(beside: self.oldKey), mayMissLines: mayMissLines)
      Console.line("\(folder) goes on under \(config.keys).")
      return resources
    }

    /// Goes on with what is there of a store under the old keys; false where it is not under them.
    private func accept(
      _ store: HospitalStore, _ config: NodeConfig, from before: Digest, to after: Digest
    ) throws(StorageFailure) -> Bool {
      guard try !HospitalKey.isHanded(store.folder(in: config), to: after) else { return false }
      do throws(StorageFailure) { _ = try store.accept(config, key: before, mark: nil) } catch {
        guard case .otherKey = error else { throw error }
        return false
      }
      return true
    }

    private func open(
      _ store: HospitalStore, _ config: NodeConfig, key: Digest, mark: StoreMark?
    ) throws(StorageFailure) {
      do throws(StorageFailure) { try store.check(config, key: key, mark: mark) } catch {
        // A store of other keys is another in any case: that is said first.
        if case .lost = error, mark != nil { try store.check(config, key: key, mark: nil) }
        throw error
      }
    }

    private func refusing<Value>(
      _ store: HospitalStore, _ config: NodeConfig, _ body: () throws(StorageFailure) -> Value
    ) throws -> Value {
      let what = "the store in \(store.folder(in: config)) is not taken over"
      do throws(StorageFailure) { return try body() } catch {
        switch error {
        case .otherKey:
          throw Failure(
            what, why: "\(self.oldKey) did not seal it",
            remedy: "give the node.key that was in use when it was written", status: ExitStatus.permission)
        case .lost, .damaged:
          throw Failure(
            what, why: error.parts.what,
            remedy: "copy the folder there as the old node left it, and give this command again; to go on without what "
              + "is lost, which the EHR must then write again: --accept-loss", status: ExitStatus.failedIO)
        case .folder, .rotten, .diverged, .otherFormat, .copied, .foreign, .uncompared, .full, .system:
          throw Failure(opening: error, what)
        }
      }
    }
  }

  /// Goes on with what is there of a store, and says up to when that goes, or of how many readings that the mark in a
  /// file tells of; the EHR's resources, where it is theirs. Where it may miss lines of readings, every patient is
  /// told.
  static func goOn(
    _ store: HospitalStore, _ config: NodeConfig, key: Digest, remembering path: String, mayMissLines: Bool
  ) throws -> EncryptedResources? {
    let folder = store.folder(in: config)
    // ⚑ First: were this to end in between, what is there would be another store than the seal tells of.
    if var seal = try Seal.read(beside: config.keys) { try seal.forgetAge(of: store) }
    do {
      let written = try StoreMark(path: path, isReadOnly: true).rowCount
      let found = try store.accept(
        config, key: key, mark: try store.keptMark(config),
        lossToldAt: mayMissLines ? Drafts.now : nil)
      let names = try found.resources?.takeOutDamaged() ?? []
      if let resources = found.resources {
        // ⚑ Its rows come and go with what is anchored: their number tells nothing of what is lost.
        let (count, until) = try Orphans.extent(of: resources)
        let what = "\(count) \(count == 1 ? "resource" : "resources")"
        Console.line(
          "\(folder) goes on \(until.map { "with \(what), the last of them written at \($0)" } ?? "empty").")
      } else if case .accepted(_, let rows) = found.opening {
        let before =
          written.map { "\($0) had been acknowledged" }
          ?? "how many had been is not known, for nothing in \(path) tells it"
        Console.line("\(folder) goes on with \(rows) rows; \(before).")
      }
      if mayMissLines {
        Console.line("Every patient's list of who looked says from now on that earlier lines may be lost.")
      }
      for name in names { Console.line("Taken out, for it cannot be opened: \(name)") }
      return found.resources
    } catch {
      throw Failure("the store in \(folder) cannot be opened", error, status: ExitStatus.failedIO)
    }
  }
}

extension FHIRCommand {
  struct AcceptLoss: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Go on with what is left of the FHIR store, or of the readings.",
      discussion: """
        Example, where no backup has what is lost:
          cp -a /etc/consilium/data/fhir /elsewhere
          consilium fhir accept-loss --config /etc/consilium/node.toml --store fhir

        The node must not run. What the folder holds counts from now on, also where it is older than what was
        acknowledged, or empty. Where lines of the readings may be missing, every patient's list of who looked says so
        from now on. A resource of which anything cannot be opened is taken out with all its versions, and
        named: the EHR must write it again. What was anchored is in the vaults, and stays current on the ledger. Each
        record that nothing here goes with any more is opened on this machine, to learn which resource it holds; what
        the EHR writes or deletes under the same type and id supersedes it, also where an older version is here. Those
        that hold nothing that the EHR wrote, or do not open here, are listed, the latest first: what is written again
        of them becomes a further record. Where this node's ledger or vault is not whole yet, the FHIR interface stays
        refused: start the node, and give this again once consilium status gives notice that both are there.
        """)

    @Option(help: "The node's configuration file.") var config: String
    @Option(name: .customLong("set"), help: "Overrides one key: key=value.") var overrides: [String] = []
    @Option(help: "The store: fhir or readings.") var store: HospitalStore
    @Flag(help: "Serve it though what the ledger has of what is lost is not known whole.")
    var acceptUncompared = false
    @OptionGroup var passphrase: PassphraseOptions

    func run() async throws {
      try await reporting {
        let config = try NodeConfig(path: self.config, overrides: self.overrides)
        umask(0o077)
        let lock = try FolderLock(config.data)
        let word = try config.passphraseFile.map { try PassphraseOptions.read($0) } ?? self.passphrase.read()
        let keys = try KeyFile.member(config.keys, passphrase: word)
        let (key, mark) = (HospitalStore.key(keys), self.store.mark(in: config))
        let wasDue = try self.store == .fhir && Comparison.begin(config, by: Comparison.acceptLoss(self.config))
        let resources = try FHIRCommand.goOn(
          self.store, config, key: key, remembering: mark,
          mayMissLines: self.store.mayMissLines(config, key: key, remembering: mark))
        if let resources {
          try await Orphans.settle(
            resources, config, secrets: [keys.sealingSecret], key: HospitalStore.key(keys), wasDue: wasDue,
            goesOn: self.acceptUncompared, configured: self.config)
        }
        withExtendedLifetime(lock) {}
      }
    }
  }
}

extension Failure {
  /// Something that an error ended, which says by itself what to do where it is a store's, or that of the address that
  /// a `setting` of the configuration names.
  init(_ what: String, _ error: any Error, setting: String? = nil, status: Int32) {
    let other = "set another \(setting ?? "address") in the configuration"
    if let failure = error as? StorageFailure {
      self.init(opening: failure, what)
    } else if let failure = error as? NetworkFailure {
      let isTaken = failure.code == "EADDRINUSE"
      self.init(
        what, why: "\(failure.action): \(failure.reason) (\(failure.code))",
        remedy: isTaken ? "stop the process that uses this port, or \(other)" : other, status: status)
    } else if let failure = error as? ListenFailure {
      // The address stands in a setting beside the port's.
      let host = (setting ?? "").replacing("_port", with: "_host")
      let remedy = "set \(host) to an address of this machine, as ip addr shows them, or 0.0.0.0 for all of them"
      self.init(
        what, why: "\(failure)",
        remedy: failure.isTaken ? "stop that process, or \(other)" : failure.isForeign ? remedy : other, status: status)
    } else {
      self.init(what, why: "\(error)", remedy: "remove the cause, then start it again", status: status)
    }
  }

  /// A store that cannot be opened; its own sentence says what to do.
  init(opening failure: StorageFailure, _ what: String) {
    let (why, remedy) = failure.parts
    let status =
      switch failure {
      case .otherKey, .foreign: ExitStatus.configuration
      case .folder, .damaged, .lost, .uncompared, .rotten, .diverged, .otherFormat, .copied, .full, .system:
        ExitStatus.failedIO
      }
    self.init(what, why: why, remedy: remedy, status: status)
  }
}
