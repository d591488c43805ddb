internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// `consilium rules`
struct RulesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rules", abstract: "Show which version of the ledger's rules holds, or adopt the newest.",
    discussion: """
      What was executed under one version is executed under it for ever; the newest holds from where a quorum's
      registrars adopt it:
        consilium rules propose --out rules.json --api api.sock --genesis genesis.json
        consilium rules approve rules.json --registrar registrar.key --out h1.approval.json      at each hospital
        consilium rules adopt rules.json *.approval.json --api api.sock --genesis genesis.json
      Every member's node says to the others which version its program knows (consilium peers). Rules are approved and
      adopted only once all are known to know them. A node that does not executes nothing from there on, says so, and
      goes on by itself once the newest program is installed; of fewer than a quorum the ledger waits for that. Programs
      from before there was this word, which say nothing, may execute something else instead, and end: under the newest
      program consilium rules reexecute brings such a node back. Version 2 changed guardians, emergencies and erasures;
      version 3 takes no change of members and no rotation of the custody key by which records would open for nobody
      else, unless a quorum's registrars say that it may. The handbook lists all of it: Records, section 10.
      """,
    subcommands: [Show.self, Propose.self, Approve.self, Adopt.self, Reexecute.self])

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show which version of the rules holds.", discussion: "Example:\n  consilium rules show")
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let rules: RulesView = try await self.node.client().get("/v1/rules")
        if self.output.output == .json { return try Console.json(rules) }
        Console.table(
          ["what", "value"],
          [
            ["version that holds", "\(rules.version)"], ["newest that this node knows", "\(rules.newest)"],
            ["hours until an account can break the glass", "\(rules.emergencyAgeHours)"],
            ["the other members", rules.ignorant(of: max(rules.version, rules.newest)) ?? "know the newest too"],
          ])
        if let trouble = rules.trouble { Console.line("Not good: \(trouble).") }
        if rules.version < rules.newest { Console.line("Next: consilium rules propose.") }
      }
    }
  }

  struct Propose: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write the newest rules down, for members' registrars to approve.",
      discussion: "Example:\n  consilium rules propose --emergency-age-hours 24 --out rules.json")
    @Option(help: "How many hours old a practitioner's account must be to break the glass, at most 2160.")
    var emergencyAgeHours: UInt64 = 24
    @Option(help: "The file to make.") var out: String
    @Option(help: "For how many days it may be executed.") var days: UInt64 = 7
    @OptionGroup var node: NodeOptions

    func run() async throws {
      try await reporting {
        let (client, genesis) = (try self.node.client(), try self.node.readGenesis())
        let (rules, held) = (
          try AgreedRules.newest(emergencyAgeHours: self.emergencyAgeHours),
          try await client.get("/v1/rules") as RulesView
        )
        let wanted = RulesView(rules, adoptions: held.adoptions)
        let isHeld = (held.version, held.emergencyAgeHours) == (wanted.version, wanted.emergencyAgeHours)
        guard held.version <= rules.version, !isHeld else {
          throw Failure("nothing to adopt", why: "these rules hold already", remedy: "see consilium rules show")
        }
        let change = RulesChange(
          rules: rules, adoptions: held.adoptions,
          validUntil: Drafts.now.adding(milliseconds: min(self.days, 1 << 20) * 86_400_000))
        try Files.writeJSON(self.out, RulesFile(change, network: genesis.network))
        let quorum = try await client.configuration().quorum
        Console.line("Made \(self.out): \(rules).")
        Console.line("Next: \(quorum) registrars approve it (consilium rules approve).")
        if let ignorant = held.ignorant(of: rules.version) { Console.line("First they must know them: \(ignorant).") }
      }
    }
  }

  struct Approve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Approve rules as a member's registrar, once all members' nodes know them.",
      discussion: """
        The hospital's own node is asked whether it and the others know the rules. Where the registrar's key is on a
        machine that does not reach the node, or a member is down, say so yourself with --installed, after a look at
        consilium rules show at the node and a word with the hospitals that it names.

        Example:
          consilium rules approve rules.json --registrar registrar.key --out h1.approval.json --api api.sock
        """)
    @Argument(help: "The rules.") var rules: String
    @Option(help: "The registrar's key file.") var registrar: String
    @Option(help: "The file to make.") var out: String
    @Flag(help: "All members' nodes run programs that know the rules: nobody is asked.") var installed = false
    @OptionGroup var node: NodeOptions
    @OptionGroup var passphrase: PassphraseOptions

    func run() async throws {
      try await reporting {
        let file = try RulesFile.read(self.rules)
        if !self.installed { try await self.requireKnown(file.change.rules) }
        let seed = try KeyFile.registrar(self.registrar, passphrase: try self.passphrase.read())
        let approval = try ApprovalFile(of: file.change.signedBytes(network: file.network), by: seed)
        try Files.writeJSON(self.out, approval)
        Console.line("Approved until \(file.change.validUntil): \(file.change.rules).")
        Console.line("Made \(self.out). Give it to the hospital that adopts the rules.")
      }
    }

    private func requireKnown(_ rules: AgreedRules) async throws {
      let known: RulesView
      do { known = try await self.node.client().get("/v1/rules") } catch {
        throw Failure(
          "the rules are not approved", why: "this hospital's node could not be asked who knows them: \(error)",
          remedy: "give its --api; or look there (consilium rules show), and then say so with --installed")
      }
      try known.require(rules.version, "the rules are not approved")
    }
  }

  struct Adopt: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Bring approved rules onto the ledger: they hold from there on, and nothing goes back.",
      discussion: "Example:\n  consilium rules adopt rules.json *.approval.json --api api.sock")
    @Argument(help: "The rules.") var rules: String
    @Argument(help: "The approvals of a quorum.") var approvals: [String]
    @Flag(help: "All members' nodes run programs that know the rules: what they say is not looked at.")
    var installed = false
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let (client, genesis) = (try self.node.client(), try self.node.readGenesis())
        let file = try RulesFile.read(self.rules)
        guard file.network == genesis.network else {
          throw Failure("\(self.rules) is another network's", why: "the genesis differs", remedy: "give the right one")
        }
        let held: RulesView = try await client.get("/v1/rules")
        // ⚑ The first rules do not say why they do not know a transaction.
        guard held.adoptions == file.change.adoptions else {
          throw Failure(
            "\(self.rules) is out of date", why: "other rules were adopted meanwhile",
            remedy: "propose again (consilium rules propose)", status: ExitStatus.refused)
        }
        guard file.change.validUntil >= Drafts.now else {
          throw Failure(
            "\(self.rules) is out of date", why: "it could be executed until \(file.change.validUntil)",
            remedy: "propose again (consilium rules propose)", status: ExitStatus.refused)
        }
        let approvals = try ApprovalFile.read(
          self.approvals, of: file.change.signedBytes(network: genesis.network), named: self.rules,
          in: try await client.configuration(), by: "consilium rules approve")
        if !self.installed { try held.require(file.change.rules.version, "the rules are not adopted") }
        let status = try await client.status()
        let transaction = Drafts.hospital(
          .adoptRules, ApprovedRules(file.change, approvals: approvals), genesis: genesis,
          hospital: MemberID(status.member))
        let rules = "\(file.change.rules)"
        try show(try await client.submit(transaction), self.output.output, [Told("rules", rules, ["rules": rules])])
      }
    }
  }
}

extension RulesView {
  /// ⚑ Rules that are adopted while fewer than a quorum know them stop the ledger until they do.
  fileprivate func require(_ version: UInt16, _ what: String) throws {
    guard self.newest >= version else {
      throw Failure(
        what, why: "this hospital's node knows version \(self.newest), and these are version \(version)",
        remedy: "install the newest program at the node first", status: ExitStatus.refused)
    }
    guard let ignorant = self.ignorant(of: version) else { return }
    throw Failure(
      what, why: "not all members are known to know version \(version): \(ignorant)",
      remedy: "wait until those hospitals run the newest program (consilium peers shows it); or hear from each that it "
        + "does, and say so with --installed",
      status: ExitStatus.refused)
  }
}

extension AgreedRules {
  /// The newest rules with the age that an account needs to break the glass.
  static func newest(emergencyAgeHours hours: UInt64) throws -> AgreedRules {
    let (milliseconds, overflow) = hours.multipliedReportingOverflow(by: 3_600_000)
    guard !overflow, let rules = AgreedRules(emergencyAgeMilliseconds: milliseconds) else {
      throw Failure(
        "no rules with \(hours) hours", why: "an account waits 2160 hours at most",
        remedy: "give --emergency-age-hours 24")
    }
    return rules
  }
}

/// Rules to adopt as a file; `change` is their canonical form in base64, the rest is for people.
struct RulesFile: Codable {
  private var content: String
  private var what: String
  private var until: String
  private var networkIdentifier: String

  init(_ change: RulesChange, network: Digest) {
    (self.content, self.what) = (Base64.encode(change.encoded), "\(change.rules)")
    (self.until, self.networkIdentifier) = ("\(change.validUntil)", network.description)
  }

  enum CodingKeys: String, CodingKey {
    case content = "change"
    case what
    case until = "valid_until"
    case networkIdentifier = "network"
  }

  static func read(_ path: String) throws -> (change: RulesChange, network: Digest) {
    let file = try Files.readJSON(path, as: RulesFile.self, "rules to adopt")
    guard let change = Base64.decode(file.content).flatMap({ try? RulesChange.decode($0) }),
      change.rules.isKnown, let network = Hex.decode(file.networkIdentifier).flatMap({ Digest($0) })
    else {
      throw Failure(
        "\(path) has no rules that this program knows", why: "it was altered, or a newer one made it",
        remedy: "make it again, or install the newest program")
    }
    return (change, network)
  }
}
