internal import ArgumentParser
internal import EventLoop
internal import Foundation
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
        destroy it.
        """)

    @Option(help: "The node's configuration file, with the new keys.") var config: String
    @Option(name: .customLong("set"), help: "Overrides one key: key=value.") var overrides: [String] = []
    @Option(help: "The node.key that the stores were written with.") var oldKey: String
    @Option(help: "A file with the old key's passphrase; else the new key's passphrase is tried.")
    var oldPassphraseFile: String?
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
        let old = try KeyFile.member(
          self.oldKey, passphrase: self.oldPassphraseFile.map { try PassphraseOptions.read($0) } ?? word)
        for store in stores { try self.handOver(store, config, from: old, to: new) }
        withExtendedLifetime(lock) {}
      }
    }

    private func handOver(
      _ store: HospitalStore, _ config: NodeConfig, from old: borrowing NodeKeys, to new: borrowing NodeKeys
    ) throws {
      let (before, after) = (HospitalStore.key(old), HospitalStore.key(new))
      let folder = store.folder(in: config)
      do throws(StorageFailure) {
        let isTaken = try HospitalKey.handOver(folder, from: before, to: after) {
          (key: Digest) throws(StorageFailure) in try store.check(config, key: key)
        }
        // The node may have begun with another one meanwhile: this one is to go on.
        if isTaken, FileManager.default.fileExists(atPath: store.mark(in: config)) {
          _ = try store.accept(config, key: after)
        }
        Console.line(
          isTaken ? "\(folder) goes on under \(config.keys)." : "\(folder) opens with \(config.keys) as it is.")
      } catch {
        if case .otherKey = error {
          throw Failure(
            "the store in \(folder) is not taken over", why: "\(self.oldKey) did not seal it",
            remedy: "give the node.key that was in use when it was written", status: ExitStatus.permission)
        }
        throw Failure(opening: error, "the store in \(folder) cannot be opened")
      }
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
        acknowledged, or empty. A resource of which anything cannot be opened is taken out with all its versions, and
        named: the EHR must write it again. What was anchored is in the vaults.
        """)

    @Option(help: "The node's configuration file.") var config: String
    @Option(name: .customLong("set"), help: "Overrides one key: key=value.") var overrides: [String] = []
    @Option(help: "The store: fhir or readings.") var store: HospitalStore
    @OptionGroup var passphrase: PassphraseOptions

    func run() async throws {
      try await reporting {
        let config = try NodeConfig(path: self.config, overrides: self.overrides)
        umask(0o077)
        let lock = try FolderLock(config.data)
        let word = try config.passphraseFile.map { try PassphraseOptions.read($0) } ?? self.passphrase.read()
        let keys = try KeyFile.member(config.keys, passphrase: word)
        let folder = self.store.folder(in: config)
        let (opening, names): (StoreOpening, [String])
        do {
          let found = try self.store.accept(config, key: HospitalStore.key(keys))
          (opening, names) = (found.opening, try found.resources?.takeOutDamaged() ?? [])
        } catch {
          throw Failure("the store in \(folder) cannot be opened", error, status: ExitStatus.failedIO)
        }
        if case .accepted(let written, let rows) = opening {
          let before = written.map { "\($0) had been acknowledged" } ?? "how many had been is not known"
          Console.line("\(folder) goes on with \(rows) rows; \(before).")
        }
        for name in names { Console.line("Taken out, for it cannot be opened: \(name)") }
        withExtendedLifetime(lock) {}
      }
    }
  }
}

extension Failure {
  /// Something that an error ended, which says by itself what to do where it is a store's or a port's.
  init(_ what: String, _ error: any Error, status: Int32) {
    if let failure = error as? StorageFailure {
      self.init(opening: failure, what)
    } else if let failure = error as? NetworkFailure, failure.code == "EADDRINUSE" {
      self.init(
        what, why: "\(failure.action): \(failure.reason) (\(failure.code))",
        remedy: "stop the process that uses this port, or choose another port", status: status)
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
      case .folder, .damaged, .lost, .rotten, .diverged, .otherFormat, .copied, .full, .system: ExitStatus.failedIO
      }
    self.init(what, why: why, remedy: remedy, status: status)
  }
}
