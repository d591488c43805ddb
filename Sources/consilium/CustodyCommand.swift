internal import ArgumentParser
internal import Driver
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Signing

/// `consilium custody`
struct CustodyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "custody",
    abstract: "The key in whose custody records are: who has shares, dealing them again, another key.",
    subcommands: [Show.self, Refresh.self, Rotate.self])

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show where the custody key stands.", discussion: "Example:\n  consilium custody show --api api.sock")
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let status: NodeStatus = try await self.node.client().get("/v1/status")
        if self.output.output == .json { return try Console.json(status.custody) }
        let custody = status.custody
        Console.line(custody.summary)
        if !custody.custodians.isEmpty {
          Console.line("custodians: hospitals \(custody.custodians.map { "\($0)" }.joined(separator: ", "))")
        }
        Console.line(
          "key \(custody.generation), epoch \(custody.epoch)"
            + (custody.until.map { "; shares are dealt again at \($0)" } ?? ""))
        func list(_ hospitals: [UInt32]) -> String { hospitals.map { "\($0)" }.joined(separator: ", ") }
        if let old = custody.retiring {
          Console.line(
            "key \(old) goes out of use; records are still sealed to it: hospitals \(list(custody.stillSealed))")
        } else if custody.generation > 1 {
          Console.line(
            "key \(custody.generation - 1) is out of use; shares destroyed, and that signed: hospitals "
              + list(custody.destroyedBy))
        }
        for key in custody.keys ?? [] { Console.line(key.summary) }
        for warning in custody.warnings { Console.line("note: \(warning)") }
      }
    }
  }

  struct Refresh: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Have the shares of the custody key dealt again, as a member's registrar.",
      discussion: """
        Example:
          consilium custody refresh --registrar registrar.key --api api.sock --genesis genesis.json
        It happens by itself every 30 days; ask for it after a break-in, or when an old disk went missing. The key
        stays, and so do records; each hospital draws a new secret, to which its new share is sent, and forgets the old
        one. What was stolen before opens nothing any more, unless as many as a quorum were stolen.
        """)
    @OptionGroup var options: DeskOptions

    func run() async throws {
      try await reporting {
        let desk = try await Desk(self.options)
        let status: NodeStatus = try await desk.client.get("/v1/status")
        guard status.custody.phase == "active" else {
          throw Failure(
            "shares cannot be dealt again now", why: status.custody.summary,
            remedy: "wait until that is over: consilium custody show", status: ExitStatus.refused)
        }
        let refresh = CustodyRefresh(epoch: status.custody.epoch)
        try show(try await desk.submit(.refreshCustody, refresh), self.options.output.output)
      }
    }
  }
}

extension CustodyCommand {
  struct Rotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Go over to another custody key, as a member's registrar: what was erased stays closed for ever.",
      discussion: """
        Example:
          consilium custody rotate --registrar registrar.key --api api.sock --genesis genesis.json
        The members make a new key, each hospital seals the keys of its live records to it, on the ledger, and once none
        is left under the old key, each destroys its share of that and signs it. Erased records are left behind: whoever
        kept their ciphertext opens it with nothing that there still is. Reading and writing go on meanwhile. Change no
        members before consilium custody show says that the old key is out of use: its shares are dealt to nobody again.
        Under version 3 of the rules a rotation that leaves records behind, or takes the place of a key that opens
        nothing more, begins once a quorum's registrars have each given the command with --leave-records.
        """)
    @Flag(
      help: ArgumentHelp(
        "Go on though records stay under the old key for good: once too few that have its shares are left, they open "
          + "for no other hospital any more. Under version 3 of the rules a quorum's registrars must each say so."))
    var leaveRecords = false
    @OptionGroup var options: DeskOptions

    func run() async throws {
      try await reporting {
        let desk = try await Desk(self.options)
        let status: NodeStatus = try await desk.client.get("/v1/status")
        let rules: RulesView = try await desk.client.get("/v1/rules")
        let isLost = rules.version >= 3 && status.custody.isUnreadable
        guard status.custody.phase == "active" || isLost, status.custody.retiring == nil else {
          throw Failure(
            "the key cannot be changed now", why: status.custody.summary,
            remedy: "wait until that is over: consilium custody show", status: ExitStatus.refused)
        }
        try await self.refuseLeaving(status.custody, desk.client)
        let rotation = CustodyRotation(
          generation: status.custody.generation, leavesRecords: self.leaveRecords && rules.version >= 3)
        try show(try await desk.submit(.rotateCustody, rotation), self.options.output.output)
        if rotation.leavesRecords, self.options.output.output != .json {
          let quorum = try await desk.client.configuration().quorum
          Console.line(
            "Where records stay behind, another key is made once \(quorum) hospitals' registrars have said so: "
              + "consilium custody show.")
        }
      }
    }

    /// Refuses while there are records that would stay under the old key, unless that was said.
    private func refuseLeaving(_ custody: CustodyView, _ client: NodeClient) async throws {
      guard !self.leaveRecords else { return }
      guard !custody.isUnreadable else {
        throw Failure(
          "key \(custody.generation) opens nothing more", why: custody.warnings.first ?? custody.summary,
          remedy:
            "each hospital that runs seals its own records to another key: to have one made, a quorum's registrars "
            + "each give --leave-records", status: ExitStatus.refused)
      }
      let left: [HospitalRecordsView] = try await client.get("/v1/custody/left")
      guard !left.isEmpty else { return }
      throw Failure(
        "records would stay under key \(custody.generation) for good",
        why: "\(left.summary): their hospital left, or got other keys since it wrote them, and cannot seal them to "
          + "another key; shares of a key that goes out of use are dealt to nobody again, so each hospital that is "
          + "replaced or leaves takes one away, and with fewer than \(custody.threshold) they open for nobody else",
        remedy: "keep this key: consilium custody refresh makes what was stolen of it worthless; to change it "
          + "nevertheless, give --leave-records, under version 3 of the rules a quorum's registrars each",
        status: ExitStatus.refused)
    }
  }
}

extension CustodyView {
  /// Where the key stands, in a line.
  var summary: String {
    let wrong = self.culprits.isEmpty ? "" : "; proven wrong: \(self.culprits)"
    guard self.phase == "active" || self.epoch > 0 || !self.custodians.isEmpty else {
      return "no key in use, \(self.phase)" + wrong
    }
    let going =
      self.phase == "active"
      ? self.retiring.map { "; records go over from key \($0)" } ?? "" : "; new shares: \(self.phase)"
    let own = self.isShareLost ? "; this hospital's share cannot be read: consilium custody refresh" : ""
    return "\(self.threshold) of \(self.custodians.count) shares open a record's key" + going + wrong + own
  }
}

/// A custodian's secrets in a file beside the member's key, encrypted for whoever has that key. ⚑ It belongs in no
/// backup: what an epoch is over for must not come back.
enum CustodySecretsFile {
  private static let label = Array("consilium/custody-secrets/v1".utf8)
  private static let nonceBytes = 24

  /// So many bytes the file has at most.
  private static let bytesMax = 64 << 10
  private static let remedy =
    "bring the file back as it was; if it is lost, or this hospital goes on under other keys, move it away, start the "
    + "node, and have the shares dealt again: consilium custody refresh"

  /// What keeps a member's secrets. ⚑ What is there and cannot be read is refused: the next secret would be written
  /// over it, and with those that are in it the shares are lost.
  static func keeper(_ path: String, keys: borrowing NodeKeys) throws -> SecretsKeeper {
    let key = KeyDerivation.hkdf(secret: keys.sealingSecret, salt: [], info: Self.label, count: 32)
    var kept: [UInt8] = []
    if let box = try Files.readKept(path, max: Self.bytesMax, remedy: Self.remedy) {
      let opened =
        box.count > Self.nonceBytes
        ? AEAD.openExtended(
          Array(box.dropFirst(Self.nonceBytes)), key: key, nonce: Array(box.prefix(Self.nonceBytes)),
          associated: Self.label) : nil
      guard let opened, opened.count.isMultiple(of: 32) else {
        throw Failure(
          "cannot read \(path)", why: "it was written with other keys than this member's, or is damaged",
          remedy: Self.remedy, status: ExitStatus.configuration)
      }
      kept = opened
    }
    return SecretsKeeper(kept: kept) { secrets in
      let nonce = SecureRandom.bytes(Self.nonceBytes)
      let box = AEAD.sealExtended(secrets, key: key, nonce: nonce, associated: Self.label)
      try Files.replace(path, nonce + box, mode: 0o600)
    }
  }
}
