internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// `consilium member`
struct MemberCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "member", abstract: "Change the members: a hospital joins, leaves, or goes on under new keys.",
    discussion: """
      One hospital proposes, a quorum's registrars approve, anybody submits:
        consilium member propose add h5/member.json --api api.sock --genesis genesis.json --out change.json
        consilium member approve change.json --registrar registrar.key --out h1.approval.json      at each hospital
        consilium member submit change.json *.approval.json --api api.sock --genesis genesis.json
      Registrars' keys are not on the nodes, so who breaks into nodes changes no members. Of a new member: make its
      folder with consilium init, put genesis.json into it, and start its node once the change is submitted; it
      fetches and checks the whole ledger, and votes when its configuration begins. A member whose disk is lost, or
      whose store is an old copy, comes back with "propose replace": new keys, the same number. Replace or remove one
      member at a time, and wait until consilium custody show says that all have shares again.
      """,
    subcommands: [ListCommand.self, Propose.self, Approve.self, Submit.self])

  struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Show the members, and what is about to change.",
      discussion: "Example:\n  consilium member list --api api.sock")
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let view: MembershipView = try await self.node.client().get("/v1/members")
        if self.output.output == .json { return try Console.json(view) }
        Console.table(
          ["member", "name", "votes", "key", "address"],
          view.members.map {
            ["\($0.number)", $0.name, $0.votes ? "yes" : "has left", $0.key.short, $0.addresses.first ?? "none"]
          })
        Console.line("Configuration \(view.configuration): \(view.voters) members vote, \(view.quorum) are a quorum.")
        if let pending = view.pending { Console.line("Approved, and waits for a signed tree head: \(pending).") }
        if let start = view.nextStart { Console.line("The next configuration begins at height \(start).") }
      }
    }
  }

  struct Propose: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a change down, for members' registrars to approve.",
      discussion: """
        Examples:
          consilium member propose add h5/member.json --out change.json
          consilium member propose remove 3 --out change.json
          consilium member propose replace h2-new/member.json --out change.json
        """)

    enum Action: String, ExpressibleByArgument, CaseIterable { case add, remove, replace }

    @Argument(help: "add, remove or replace.") var action: Action
    @Argument(help: "The member.json of who joins or goes on; of who leaves, the number.") var subject: String
    @Option(help: "The file to make.") var out: String
    @Option(help: "For how many days it may be executed.") var days: UInt64 = 7
    @OptionGroup var losses: ShareLossOptions
    @OptionGroup var node: NodeOptions

    func run() async throws {
      try await reporting {
        let (client, genesis) = (try self.node.client(), try self.node.readGenesis())
        let configuration = try await client.configuration()
        let action = try self.read()
        do throws(MembershipFault) { _ = try configuration.changed(by: action, start: configuration.start) } catch {
          throw Failure("no such change can be made", why: "\(error)", remedy: "see consilium member list")
        }
        let next = try configuration.changed(by: action, start: configuration.start)
        if let index = next.index(of: action.member), next.isVoter(index) {
          for other in next.voters where other != index {
            try MemberFile.refuseTwice(
              [next.members[other], next.members[index]],
              remedy: "have \(self.subject) made with keys and an --address of its own (consilium init)")
          }
        }
        let losesRecords = try await self.losses.check(action, in: configuration, client)
        let change = MembershipChange(
          configuration: configuration.number, action: action,
          validUntil: Drafts.now.adding(milliseconds: self.days * 24 * 3600 * 1000), losesRecords: losesRecords)
        try Files.writeJSON(self.out, ChangeFile(change, network: genesis.network))
        Console.line("Made \(self.out): \(change).")
        Console.line("Then \(next.voterCount) members vote, \(next.quorum) are a quorum, \(Self.tolerance(of: next)).")
        Console.line("Next: \(configuration.quorum) registrars approve it (consilium member approve).")
      }
    }

    private func read() throws -> MembershipAction {
      if case .remove = self.action {
        guard let number = UInt32(self.subject), number > 0 else {
          throw Failure("\(self.subject) is no member's number", why: "a number is expected", remedy: "give one")
        }
        return .remove(MemberID(number))
      }
      let member = try Files.readJSON(self.subject, as: MemberFile.self, "member's description").publishable(
        in: self.subject)
      return self.action == .add ? .add(member) : .replace(member)
    }

    private static func tolerance(of configuration: Configuration) -> String {
      switch configuration.engine {
      case .raft: "\(configuration.voterCount - configuration.quorum) may stop"
      case .pbft where configuration.faultyMax == 0: "and none may fail: keep at least four"
      case .pbft: "\(configuration.faultyMax) may be faulty"
      }
    }
  }

  struct Approve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Approve a change as a member's registrar. Needs no node.",
      discussion: "Example:\n  consilium member approve change.json --registrar registrar.key --out h1.approval.json")
    @Argument(help: "The change.") var change: String
    @Option(help: "The registrar's key file.") var registrar: String
    @Option(help: "The file to make.") var out: String
    @OptionGroup var passphrase: PassphraseOptions

    func run() async throws {
      try await reporting {
        let file = try ChangeFile.read(self.change)
        let seed = try KeyFile.registrar(self.registrar, passphrase: try self.passphrase.read())
        let approval = try ApprovalFile(of: file.change.signedBytes(network: file.network), by: seed)
        try Files.writeJSON(self.out, approval)
        Console.line("Approved until \(file.change.validUntil): \(file.change).")
        Console.line("Made \(self.out). Give it to the hospital that submits the change.")
      }
    }
  }

  struct Submit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Bring an approved change onto the ledger.",
      discussion: "Example:\n  consilium member submit change.json *.approval.json --api api.sock")
    @Argument(help: "The change.") var change: String
    @Argument(help: "The approvals of a quorum.") var approvals: [String]
    @OptionGroup var losses: ShareLossOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let (client, genesis) = (try self.node.client(), try self.node.readGenesis())
        let file = try ChangeFile.read(self.change)
        guard file.network == genesis.network else {
          throw Failure("\(self.change) is another network's", why: "the genesis differs", remedy: "give the right one")
        }
        let configuration = try await client.configuration()
        let approvals = try ApprovalFile.read(
          self.approvals, of: file.change.signedBytes(network: genesis.network), named: self.change,
          in: configuration, by: "consilium member approve")
        try await self.losses.check(file.change, in: configuration, client)
        let status = try await client.status()
        let transaction = Drafts.hospital(
          .changeMembers, ApprovedChange(file.change, approvals: approvals), genesis: genesis,
          hospital: MemberID(status.member))
        let change = "\(file.change)"
        try show(
          try await client.submit(transaction), self.output.output, [Told("change", change, ["change": change])])
      }
    }
  }
}

/// A change of members as a file; `change` is its canonical form in base64, the rest is for people.
struct ChangeFile: Codable {
  private var content: String
  private var what: String
  private var until: String
  private var networkIdentifier: String

  init(_ change: MembershipChange, network: Digest) {
    (self.content, self.what) = (Base64.encode(change.encoded), "\(change)")
    (self.until, self.networkIdentifier) = ("\(change.validUntil)", network.description)
  }

  enum CodingKeys: String, CodingKey {
    case content = "change"
    case what
    case until = "valid_until"
    case networkIdentifier = "network"
  }

  static func read(_ path: String) throws -> (change: MembershipChange, network: Digest) {
    let file = try Files.readJSON(path, as: ChangeFile.self, "change of members")
    guard let change = Base64.decode(file.content).flatMap({ try? MembershipChange.decode($0) }),
      let network = Hex.decode(file.networkIdentifier).flatMap({ Digest($0) })
    else {
      throw Failure("\(path) is no change of members", why: "it was altered", remedy: "make it again")
    }
    switch change.action {
    case .add(let member), .replace(let member): try MemberFile.refuseUndiallable(member, in: path)
    case .remove: break
    }
    return (change, network)
  }
}

/// A registrar's approval as a file.
struct ApprovalFile: Codable {
  var registrarKey: String
  var signature: String

  /// An approval of what registrars sign, by a registrar's key.
  init(of bytes: [UInt8], by seed: [UInt8]) throws {
    guard let key = SigningKey(seed: seed) else {
      throw Failure("cannot sign", why: "the registrar's key is damaged", remedy: "give another key file")
    }
    (self.registrarKey, self.signature) = (key.publicKey.description, Hex.encode(key.sign(bytes).bytes))
  }

  /// The approvals in files, each a member's; refuses what approves something else, and fewer than a quorum.
  static func read(
    _ paths: [String], of bytes: [UInt8], named subject: String, in configuration: Configuration, by command: String
  ) throws -> [VoteSignature] {
    var approvals: [VoteSignature] = []
    for path in paths {
      let approval = try self.read(path)
      let signer = configuration.voters.first { configuration.members[$0].registrarKey == approval.key }
      guard let signer, approval.key.verifies(approval.signature, of: bytes) else {
        throw Failure(
          "\(path) approves nothing", why: "it is no member's registrar's, or of another change",
          remedy: "ask that registrar to approve \(subject) again")
      }
      if !approvals.contains(where: { $0.signer == signer }) {
        approvals.append(VoteSignature(signer: signer, signature: approval.signature))
      }
    }
    guard approvals.count >= configuration.quorum else {
      throw Failure(
        "too few approvals", why: "\(approvals.count) members' registrars approve, \(configuration.quorum) must",
        remedy: "ask more of them (\(command))")
    }
    return approvals
  }

  private static func read(_ path: String) throws -> (key: PublicKey, signature: Signature) {
    let file = try Files.readJSON(path, as: ApprovalFile.self, "approval")
    guard let key = Hex.decode(file.registrarKey).flatMap({ PublicKey($0) }),
      let signature = Hex.decode(file.signature).flatMap({ Signature($0) })
    else { throw Failure("\(path) is no approval", why: "it was altered", remedy: "make it again") }
    return (key, signature)
  }
}
