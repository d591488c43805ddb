internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// Prints what became of a transaction, and what the command tells besides; a refusal of the ledger ends with exit
/// code 1.
func show(_ receipt: ReceiptView, _ output: OutputFormat, _ meant: [Told] = []) throws {
  // What was refused came to nothing.
  let told = receipt.applied ? meant : []
  if output == .json {
    try Console.json(With(receipt, told))
  } else {
    Console.table(
      ["what", "value"],
      told.map(\.row) + [
        ["outcome", receipt.outcome], ["transaction", receipt.transaction], ["height", "\(receipt.height)"],
        ["leaf", "\(receipt.leaf)"], ["time", receipt.time],
      ])
  }
  guard receipt.applied else { throw ExitCode(ExitStatus.refused) }
}

/// `consilium account`
struct Account: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Register and show practitioners, patients and third parties.",
    subcommands: [Register.self, Approve.self, Show.self, SetStatus.self, Recover.self, EndRecovery.self])

  struct Register: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Register a practitioner or a patient at this hospital, as its registrar.",
      discussion: """
        Example:
          consilium account register dr-lee.key --registrar registrar.key --role physician
          consilium account register 3f9a…:77c0…:b2… --registrar registrar.key     the code that a patient sees
          consilium account register clinician:3f9a… --registrar registrar.key --role nurse     or a clinician
          consilium account register officer:3f9a… --registrar registrar.key     or the privacy officer
        The code proves that the person who shows it has its keys. It works at this hospital only.
        A patient is registered under a pseudonym of this hospital's own; no name goes on the ledger.

        Roles, by word or number (NUCC taxonomy, first three digits; others are taken by number):
        \(Role.help)
        """)
    @Argument(help: "The person's key file, or the registration code of a browser.") var person: String
    @Option(help: "A practitioner's role, by its word or number: consents may speak of it.") var role: Role?
    @Option(help: "For how many days it may act.") var days: UInt64 = 365
    @OptionGroup var options: DeskOptions

    func run() async throws {
      try await reporting {
        let desk = try await Desk(self.options)
        let registration = try await self.registration(desk)
        let account = HealthRecords.Account.identifier(
          network: desk.genesis.network, hospital: desk.hospital, key: registration.claim.key)
        try show(
          try await desk.submit(.registerAccount, registration), self.options.output.output,
          [Told("account", "\(account)", ["account": "\(account)"])])
      }
    }

    private func givenRole() throws -> UInt32 {
      if let role { return role.number }
      throw Failure(
        "a practitioner needs a role", why: "consents to a role at a hospital count for those who have it",
        remedy: "give --role, as --role physician; account register --help lists the words")
    }

    private func registration(_ desk: Desk) async throws -> Proven<AccountRegistration> {
      let person = try Actors.keys(of: self.person, desk)
      let isPatient = person.kind == .patient
      let role = try isPatient ? 0 : person.isOfficer ? HealthRecords.Account.privacyOfficer : self.givenRole()
      let registration = Actors.registration(
        person.key, person.sealing, kind: person.kind, role: role, days: self.days)
      return try await desk.proven(registration, of: person)
    }
  }

  struct Approve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Approve a third party; a quorum of hospitals' approvals registers it.",
      discussion: "Example, at each of three hospitals:\n  consilium account approve insurer.key --until 2027-01-01")
    @Argument(help: "The third party's key file (its public halves are read).") var party: String
    @Option(help: "Until when it may act, as YYYY-MM-DD; the same at every hospital.") var until: String
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let (client, genesis) = (try self.node.client(), try self.node.readGenesis())
        let status = try await client.status()
        let file = try KeyFile.load(self.party)
        guard file.kind == .thirdParty,
          let key = file.publicKeys["key"].flatMap({ Hex.decode($0) }).flatMap({ PublicKey($0) }),
          let sealing = file.publicKeys["sealingKey"].flatMap({ Hex.decode($0) }).flatMap({ Digest($0) })
        else {
          throw Failure("\(self.party) is no third party's", why: "its kind is another", remedy: "give another file")
        }
        guard let until = Actors.day(self.until) else {
          throw Failure("\"\(self.until)\" is no day", why: "YYYY-MM-DD is expected", remedy: "write it so")
        }
        let registration = AccountRegistration(
          kind: .thirdParty, key: key, sealingKey: sealing, role: 0, validFrom: .zero, validUntil: until)
        let transaction = Drafts.hospital(
          .approveThirdParty, registration, genesis: genesis, hospital: MemberID(status.member))
        try show(try await client.submit(transaction), self.output.output)
      }
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show an account.", discussion: "Example:\n  consilium account show 5f1c…")
    @Argument(help: "The account's identifier.") var account: String
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let account: AccountView = try await self.node.client().get(
          "/v1/accounts/\(try parseDigest(self.account, "account"))")
        if self.output.output == .json { return try Console.json(account) }
        Console.table(
          ["what", "value"],
          [
            ["account", account.account], ["kind", account.kind], ["hospital", "\(account.hospital)"],
            ["role", account.kind == "practitioner" ? Role(number: account.role)?.word ?? "none" : "\(account.role)"],
            ["status", account.status], ["valid until", account.validUntil],
            ["key", account.key], ["since", account.since],
          ]
            + (account.recovery.map { [["recovery", "the key \($0.key.short)… takes over at \($0.due)"]] } ?? [])
            + (account.kind == "practitioner"
              ? [["rated 1 to 5", account.ratings.map { "\($0)" }.joined(separator: " ")]] : []))
      }
    }
  }

  struct SetStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-status", abstract: "Suspend, reinstate or revoke an account, as its registrar.",
      discussion: "Example:\n  consilium account set-status 5f1c… suspended --registrar registrar.key")
    @Argument(help: "The account's identifier.") var account: String
    @Argument(help: "active, suspended or revoked.") var status: String
    @OptionGroup var options: DeskOptions

    func run() async throws {
      try await reporting {
        let known: [String: AccountStatus] = ["active": .active, "suspended": .suspended, "revoked": .revoked]
        guard let status = known[self.status] else {
          throw Failure("no status \"\(self.status)\"", why: "it is none", remedy: "use active, suspended or revoked")
        }
        let change = StatusChange(account: try parseDigest(self.account, "account"), status: status)
        let desk = try await Desk(self.options)
        try show(try await desk.submit(.setStatus, change), self.options.output.output)
      }
    }
  }
}

/// A person's public keys, as they are given to the desk.
struct GivenKeys {
  let key: PublicKey
  let sealing: Digest
  let kind: AccountKind
  /// Whether they are said to be a privacy officer's.
  let isOfficer: Bool
  /// Their holder's word that they are to be an account's here; nil in an older page's code.
  let possession: Signature?
}

/// What commands and the demonstration do in people's names.
enum Actors {
  private static let prefixes = ["clinician:", "officer:"]

  /// Both public keys of a browser's code without its prefix, and its holder's word, which an older page's code lacks;
  /// nil where it is none.
  private static func browserCode(_ text: String) -> (key: PublicKey, sealing: Digest, possession: Signature?)? {
    let code = text.split(separator: ":").map { Hex.decode(String($0)) ?? [] }
    guard (2...3).contains(code.count), let key = PublicKey(code[0]), let sealing = Digest(code[1]) else { return nil }
    guard code.count == 3 else { return (key, sealing, nil) }
    guard let possession = Signature(code[2]) else { return nil }
    return (key, sealing, possession)
  }

  /// The keys of a browser's code, or of a key file. A patient's code is the keys alone, somebody else's says so; in
  /// capitals from a scanner.
  static func keys(of person: String, _ desk: Desk) throws -> GivenKeys {
    let prefix = self.prefixes.first { person.lowercased().hasPrefix($0) }
    let text = String(person.dropFirst(prefix?.count ?? 0))
    let isOfficer = prefix == "officer:"
    if let code = self.browserCode(text) {
      return GivenKeys(
        key: code.key, sealing: code.sealing, kind: prefix == nil ? .patient : .practitioner, isOfficer: isOfficer,
        possession: code.possession)
    }
    let kind: AccountKind = try KeyFile.load(text).kind == .patient ? .patient : .practitioner
    let keys = try KeyFile.person(
      text, passphrase: desk.passphrase, network: desk.genesis.network, hospital: desk.hospital)
    return GivenKeys(
      key: keys.publicKey, sealing: keys.sealingKey, kind: kind, isOfficer: isOfficer,
      possession: keys.possession(as: kind, at: desk.hospital, network: desk.genesis.network))
  }

  static func registration(_ keys: PersonKeys, kind: AccountKind, role: UInt32, days: UInt64) -> AccountRegistration {
    self.registration(keys.publicKey, keys.sealingKey, kind: kind, role: role, days: days)
  }

  static func registration(
    _ key: PublicKey, _ sealing: Digest, kind: AccountKind, role: UInt32, days: UInt64
  ) -> AccountRegistration {
    let now = Drafts.now
    return AccountRegistration(
      kind: kind, key: key, sealingKey: sealing, role: role,
      validFrom: Timestamp(milliseconds: now.milliseconds - 60_000),
      validUntil: now.adding(milliseconds: days * 86_400_000))
  }

  /// Midnight in UTC at the end of a day that is written YYYY-MM-DD.
  static func day(_ text: String) -> Timestamp? {
    let formatter = ISO8601DateFormatter()
    formatter.formatOptions = [.withFullDate]
    guard let date = formatter.date(from: text), date.timeIntervalSince1970 >= 0 else { return nil }
    return Timestamp(milliseconds: UInt64(date.timeIntervalSince1970 * 1000) + 86_399_999)
  }
}
