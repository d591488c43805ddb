internal import ArgumentParser
internal import Gateway
internal import ObjectStore
internal import Signing

/// `consilium vault`
struct VaultCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vault", abstract: "Where this hospital's encrypted records are kept.",
    subcommands: [Check.self, Reports.self])

  /// `consilium vault check`
  struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check", abstract: "Try the object store that a configuration names, before a node uses it.",
      discussion: """
        Example:
          consilium vault check --config node.toml

        Asks whether the bucket deletes for good; writes, reads, lists and deletes an object of 9 MiB, in parts.
        """)

    @Option(help: "The node's configuration file.") var config: String
    @Option(name: .customLong("set"), help: "Overrides one key: key=value.") var overrides: [String] = []

    func run() async throws {
      try await reporting {
        let config = try NodeConfig(path: self.config, overrides: self.overrides)
        guard let settings = config.objectStore else {
          return Console.line("The vault is in \(config.data)/vault, on this machine; there is no object store to try.")
        }
        let vault = S3Vault(settings)
        do throws(S3Vault.Unfit) {
          try await vault.check()
          try await vault.probe(SecureRandom.bytes(9 << 20))
        } catch { throw Failure(error, vault) }
        Console.line("\(vault.description) deletes for good, and gave back what it was given.")
      }
    }
  }
}

extension VaultCommand {
  struct Reports: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show whose vaults did not prove what they should keep, as members reported it on the ledger.",
      discussion: "Example:\n  consilium vault reports --api api.sock")
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let reports: [VaultReportView] = try await self.node.client().get("/v1/vaults/reports")
        if self.output.output == .json { return try Console.json(reports) }
        Console.table(
          ["vault of", "reported by", "last at", "times", "record", "leaf"],
          reports.map { ["\($0.member)", "\($0.by)", $0.time, "\($0.count)", $0.record, "\($0.leaf)"] })
        if reports.isEmpty { Console.line("Nothing.") }
      }
    }
  }
}

extension Failure {
  /// Why an object store cannot be this hospital's vault.
  init(_ unfit: S3Vault.Unfit, _ vault: S3Vault) {
    switch unfit {
    case .failure(let failure):
      self.init(
        "the vault at \(vault.description) cannot be used", why: "\(failure)",
        remedy: "do what the reason says, then try again", status: ExitStatus.unavailable)
    case .versioned:
      self.init(
        "the vault at \(vault.description) cannot be used",
        why: "its bucket keeps old versions, or did once, or locks objects, so erased records would stay",
        remedy: "take a bucket in which versioning and object lock were never on", status: ExitStatus.configuration)
    case .wrong:
      self.init(
        "the vault at \(vault.description) cannot be used",
        why: "it does not give back, list or delete what it was given",
        remedy: "take a store that is consistent after a write", status: ExitStatus.configuration)
    }
  }
}
