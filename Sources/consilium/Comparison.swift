internal import Driver
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import Primitives
internal import Storage

/// Whether a node has all that is needed to tell what its ledger has of a store that was lost: it votes, so it has
/// executed what was ordered before it came back, and its vault has each current record of this hospital's own system.
///
/// ⚑ Asked before, an empty ledger has nothing of it, and what the vault has not fetched yet would pass for given by
/// command: both would be taken for none.
struct Comparison {
  private let config: NodeConfig
  private let host: NodeHost
  private let vault: any Vault
  private let store: Store

  init(_ config: NodeConfig, _ host: NodeHost, _ vault: any Vault, _ store: Store) {
    (self.config, self.host, self.vault, self.store) = (config, host, vault, store)
  }

  /// So many records are looked for together.
  private static let batchMax = 500

  /// Whether a loss was accepted and not compared.
  static func isDue(_ config: NodeConfig) -> Bool {
    FileManager.default.fileExists(atPath: HospitalStore.uncompared(beside: config.keys))
  }

  /// Keeps that the FHIR store's loss is accepted and not compared; whether that was so before.
  ///
  /// ⚑ Before the store is accepted: until all is known, an older version would be shown as the current one, and what
  /// was lost as none, and a command that ends in between leaves a store that nothing else tells from a whole one.
  ///
  /// - Throws: what writing the file throws.
  static func begin(_ config: NodeConfig, by command: String) throws -> Bool {
    let wasDue = self.isDue(config)
    try self.keep(config, command)
    return wasDue
  }

  /// Keeps by which command the ledger is asked.
  static func keep(_ config: NodeConfig, _ command: String) throws {
    try Files.replace(HospitalStore.uncompared(beside: config.keys), Array("\(command)\n".utf8), mode: 0o600)
  }

  /// The command that asks the ledger, as the last one kept it.
  static func command(_ config: NodeConfig) -> String {
    let text = try? String(contentsOfFile: HospitalStore.uncompared(beside: config.keys), encoding: .utf8)
    let line = text?.prefix(Self.commandMax).split(separator: "\n").first.map(String.init) ?? ""
    return line.hasPrefix("consilium ") ? line : "the command that accepted the loss"
  }

  private static let commandMax = 4096

  static func acceptLoss(_ config: String) -> String { "consilium fhir accept-loss --config \(config) --store fhir" }
  static func rekey(_ config: String, old keys: [String]) -> String {
    "consilium fhir rekey --config \(config) \(keys.map { "--old-key \($0) " }.joined())--accept-loss"
  }

  /// Whether the node that ran here last could be asked.
  static func isPossible(_ config: NodeConfig) -> Bool {
    FileManager.default.fileExists(atPath: HospitalStore.comparable(beside: config.keys))
  }

  /// What is to be done, in words; nil where nothing is.
  static func notice(_ config: NodeConfig) -> String? {
    guard self.isDue(config), self.isPossible(config) else { return nil }
    return "this node has its ledger and vault now: stop it, and give: \(self.command(config)); until then the FHIR "
      + "interface is refused"
  }

  /// Keeps, once it is so, that the ledger can be asked: beside the keys, for the command that is given then.
  func look() async {
    guard Self.isDue(self.config), !Self.isPossible(self.config), await self.isWhole() else { return }
    try? Files.replace(HospitalStore.comparable(beside: self.config.keys), Array("fhir\n".utf8), mode: 0o600)
  }

  private func isWhole() async -> Bool {
    let status = await self.host.status()
    guard status.votes, status.lane == "open" else { return false }
    do {
      var (records, batch) = (OwnRecords(in: try StoreReader(self.store), of: MemberID(self.config.member)), [Digest]())
      while let entry = records.next() {
        batch.append(entry.anchor.record)
        guard batch.count == Self.batchMax else { continue }
        guard try await self.vault.missing(of: batch).isEmpty else { return false }
        batch = []
      }
      return try await self.vault.missing(of: batch).isEmpty
    } catch {
      // What cannot be read now is looked for again.
      return false
    }
  }
}
