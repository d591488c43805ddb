internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// What every command of a registrar's asks for.
struct DeskOptions: ParsableArguments {
  @Option(help: "The registrar's key file.") var registrar: String
  @OptionGroup var passphrase: PassphraseOptions
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions
}

/// What the registrar of the node's hospital does: whoever knows people in person, with a key that is not on the node.
struct Desk {
  let client: NodeClient
  let genesis: Genesis
  let hospital: MemberID
  let passphrase: String
  private let seed: [UInt8]

  init(_ registrar: String, _ passphrase: PassphraseOptions, _ node: NodeOptions) async throws {
    (self.client, self.genesis) = (try node.client(), try node.readGenesis())
    let status = try await self.client.status()
    self.hospital = MemberID(status.member)
    self.passphrase = try passphrase.read()
    self.seed = try KeyFile.registrar(registrar, passphrase: self.passphrase)
  }

  init(_ options: DeskOptions) async throws {
    self = try await Desk(options.registrar, options.passphrase, options.node)
  }

  func submit(_ kind: TransactionKind, _ payload: some WireEncodable) async throws -> ReceiptView {
    try await self.client.submit(
      try Drafts.transaction(kind, payload, genesis: self.genesis, hospital: self.hospital, signedBy: self.seed))
  }

  /// What names a person's key, with its holder's word where the ledger's rules ask for it.
  func proven<Claim>(_ claim: Claim, of person: GivenKeys) async throws -> Proven<Claim> {
    guard try await self.client.asksForPossession() else { return Proven(claim, proof: nil) }
    let said = KeyPossession(
      network: self.genesis.network, hospital: self.hospital, kind: person.kind, sealingKey: person.sealing)
    guard let proof = person.possession, said.isProved(by: proof, of: person.key) else {
      throw Failure(
        "the code does not prove that its holder has the key",
        why: "it is another hospital's or an older page's, or not whole",
        remedy: "reload the page of this hospital, and copy its code with all that stands before it")
    }
    return Proven(claim, proof: proof)
  }
}

/// `consilium session`
struct SessionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "session", abstract: "Let the hospital's EHR ask to read in a practitioner's name.",
    subcommands: [Open.self, Close.self])

  struct Open: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Open a session, as the practitioner; gives the token that the EHR sends.",
      discussion: """
        Example:
          token=$(consilium session open dr-lee.key --hours 8 --output json | jq -r .token)
          curl -H "Authorization: Bearer $token" 'http://127.0.0.1:8101/fhir/$records?account=5f1c…'
          curl -H "Authorization: Bearer $token" http://127.0.0.1:8101/fhir/Binary/88aa…
        By it the EHR asks for records of all hospitals; each request is judged by the ledger and is in the patient's
        history under the practitioner's name. It breaks no glass and reads nothing of the sensitive category. It ends
        with the node's process too.
        """)
    @Argument(help: "The practitioner's key file.") var practitioner: String
    @Option(help: "For how many hours, at most 16.") var hours: UInt64 = 8
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        guard (1...16).contains(self.hours) else {
          throw Failure("no session of \(self.hours) hours", why: "it is one of 1 to 16", remedy: "give --hours 8")
        }
        let person = try await Patient(self.practitioner, self.passphrase, self.node)
        let prepared: SessionView = try await person.client.post("/v1/sessions/keys", [])
        guard let key = prepared.key.flatMap({ Hex.decode($0) }).flatMap({ PublicKey($0) }) else {
          throw Failure("the node's answer is not understood", why: "it gave no key", remedy: "report this")
        }
        let word = prepared.possession.flatMap { Hex.decode($0) }.flatMap { Signature($0) }
        let asks = try await person.client.asksForPossession()
        let until = Drafts.ledgerNow.adding(milliseconds: self.hours * 3_600_000)
        let opening = Proven(SessionOpening(key: key, until: until), proof: asks ? word : nil)
        let transaction = try Drafts.transaction(
          .openSession, opening, genesis: person.genesis, hospital: person.hospital, signedBy: person.keys.signingSeed)
        var view: SessionView = try await person.client.post("/v1/sessions", transaction.encoded)
        view.key = "\(key)"
        if self.output.output == .json { return try Console.json(view) }
        Console.table(
          ["what", "value"], [["token", view.token ?? ""], ["until", view.until ?? ""], ["key", "\(key)"]])
      }
    }
  }

  struct Close: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "End a session before its time, as the practitioner.",
      discussion: "Example:\n  consilium session close dr-lee.key 3f9a…     the key that opening it showed")
    @Argument(help: "The practitioner's key file.") var practitioner: String
    @Argument(help: "The session's key.") var key: String
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let person = try await Patient(self.practitioner, self.passphrase, self.node)
        guard let key = Hex.decode(self.key).flatMap({ PublicKey($0) }) else {
          throw Failure("no key: \(self.key)", why: "64 hexadecimal digits are expected", remedy: "copy it whole")
        }
        try show(try await person.submit(.closeSession, key), self.output.output)
      }
    }
  }
}

/// `consilium team`
struct Team: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Keep care teams: practitioners to whom patients can consent as one.", subcommands: [Set.self, Show.self])

  struct Set: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say who is in a team from now on, as its hospital's registrar.",
      discussion: """
        Examples:
          consilium team set 3 5f1c… 77aa… --registrar registrar.key
          consilium team set 3 --registrar registrar.key     dissolves it
        A team's members may be practitioners of any hospital. Consents speak to the team's identifier.
        """)
    @Argument(help: "The team's number at this hospital.") var number: UInt32
    @Argument(help: "The accounts in it, all of them.") var members: [String] = []
    @OptionGroup var options: DeskOptions

    func run() async throws {
      try await reporting {
        let members = Swift.Set(try self.members.map { try parseDigest($0, "account") })
        guard members.count <= CareTeam.membersMax else {
          throw Failure(
            "too many members", why: "\(members.count), at most \(CareTeam.membersMax)", remedy: "make two teams")
        }
        let desk = try await Desk(self.options)
        let team = CareTeam.identifier(network: desk.genesis.network, hospital: desk.hospital, number: self.number)
        let receipt = try await desk.submit(
          .setCareTeam, CareTeamChange(number: self.number, members: Array(members)))
        try show(receipt, self.options.output.output, [Told("team", "\(team)", ["team": "\(team)"])])
      }
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show who is in a team.", discussion: "Example:\n  consilium team show 31c0…")
    @Argument(help: "The team's identifier.") var team: String
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let path = "/v1/care-teams/\(try parseDigest(self.team, "team"))"
        let team: CareTeamView = try await self.node.client().get(path)
        if self.output.output == .json { return try Console.json(team) }
        Console.table(["member", "team's hospital"], team.members.map { [$0, "\(team.hospital)"] })
        if team.members.isEmpty { Console.line("Nobody.") }
      }
    }
  }
}

extension Account {
  struct Recover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give an account whose key is lost another one, as its registrar; it counts after a delay.",
      discussion: """
        Examples:
          consilium account recover 5f1c… new.key --registrar registrar.key
          consilium account recover 5f1c… 3f9a…:77c0…:b2… --registrar registrar.key     the code that the portal shows
        Tell the person by another way too. For three days the holder of the old key can object with account
        end-recovery; of a stolen key's account set the status to suspended first. Afterwards records that were sealed
        to the old key are read by consilium access request --purpose PATRQT.
        """)
    @Argument(help: "The account's identifier.") var account: String
    @Argument(help: "The new key file, or the code that a browser shows.") var person: String
    @OptionGroup var options: DeskOptions

    func run() async throws {
      try await reporting {
        let desk = try await Desk(self.options)
        let keys = try Actors.keys(of: self.person, desk)
        let account = try parseDigest(self.account, "account")
        let request = RecoveryRequest(account: account, key: keys.key, sealingKey: keys.sealing)
        let receipt = try await desk.submit(.beginRecovery, try await desk.proven(request, of: keys))
        guard receipt.applied else { return try show(receipt, self.options.output.output) }
        let view: AccountView = try await desk.client.get("/v1/accounts/\(account)")
        let due = view.recovery?.due
        try show(
          receipt, self.options.output.output, [Told("the new key counts from", due ?? "", ["newKeyFrom": due])])
      }
    }
  }

  struct EndRecovery: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "end-recovery",
      abstract: "Object to a recovery, as the account's holder, or take it back as registrar.",
      discussion: """
        Examples:
          consilium account end-recovery 5f1c… --key patient.key
          consilium account end-recovery 5f1c… --registrar registrar.key
        """)
    @Argument(help: "The account's identifier.") var account: String
    @Option(help: "The key file of the account's holder.") var key: String?
    @Option(help: "The registrar's key file.") var registrar: String?
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let account = try parseDigest(self.account, "account")
        switch (self.key, self.registrar) {
        case (let key?, nil):
          let holder = try await Patient(key, self.passphrase, self.node)
          try show(try await holder.submit(.endRecovery, account), self.output.output)
        case (nil, let registrar?):
          let desk = try await Desk(registrar, self.passphrase, self.node)
          try show(try await desk.submit(.endRecovery, account), self.output.output)
        default: throw Failure("who ends it?", why: "one of --key and --registrar is needed", remedy: "give one")
        }
      }
    }
  }
}

extension Record {
  struct EraseKept: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "erase-kept", abstract: "Erase a record of this hospital that was kept as long as it must be.",
      discussion: "Example:\n  consilium record erase-kept 88aa…\nHow long is in consilium record retention.")
    @Argument(help: "The record.") var record: String
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let (client, genesis) = (try self.node.client(), try self.node.readGenesis())
        let status = try await client.status()
        let transaction = Drafts.hospital(
          .eraseRecord, try parseDigest(self.record, "record"), genesis: genesis, hospital: MemberID(status.member))
        try show(try await client.submit(transaction), self.output.output)
      }
    }
  }

  struct OrderErasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "order-erasure",
      abstract: "Approve that a record be erased by order of a court; a quorum's registrars' approvals erase it.",
      discussion:
        "Example, at each of three hospitals:\n  consilium record order-erasure 88aa… --registrar registrar.key")
    @Argument(help: "The record.") var record: String
    @OptionGroup var options: DeskOptions

    func run() async throws {
      try await reporting {
        let desk = try await Desk(self.options)
        let record = try parseDigest(self.record, "record")
        let receipt = try await desk.submit(.orderErasure, record)
        guard receipt.applied else { return try show(receipt, self.options.output.output) }
        let view: RecordView = try await desk.client.get("/v1/records/\(record)")
        let state = view.erased ? "yes" : "not yet: more must approve"
        try show(receipt, self.options.output.output, [Told("erased", state, ["erased": view.erased])])
      }
    }
  }

  struct Retention: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show how long hospitals keep records; approve another time, as the registrar.",
      discussion: """
        Examples:
          consilium record retention
          consilium record retention --category observation --days 3653 --registrar registrar.key     at each of three
        Until a quorum's registrars have approved a time, a hospital erases nothing of that category.
        """)
    @Option(help: "The category.") var category: String?
    @Option(help: "For how many days after it was anchored a record is kept.") var days: UInt64?
    @Option(help: "The registrar's key file.") var registrar: String?
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        guard let registrar else {
          guard self.category == nil, self.days == nil else {
            throw Failure("who approves it?", why: "--registrar is missing", remedy: "give the registrar's key file")
          }
          let rules: [RetentionView] = try await self.node.client().get("/v1/retention")
          if self.output.output == .json { return try Console.json(rules) }
          Console.table(["category", "days"], rules.map { [$0.category, "\($0.days)"] })
          if rules.isEmpty { Console.line("Nothing is set: hospitals erase nothing by themselves.") }
          return
        }
        guard let category = self.category.flatMap({ RecordCategory(name: $0) }), let days, days <= 1 << 20 else {
          throw Failure(
            "what is kept how long?", why: "--category and --days are needed",
            remedy: "give a category of \(RecordCategory.allCases.map(\.name).joined(separator: ", ")), and days")
        }
        let desk = try await Desk(registrar, self.passphrase, self.node)
        let rule = RetentionRule(category: category, milliseconds: days * 86_400_000)
        try show(try await desk.submit(.setRetention, rule), self.output.output)
      }
    }
  }
}
