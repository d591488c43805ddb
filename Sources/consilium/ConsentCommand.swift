internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// `consilium consent`
struct Consent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Grant, deny, revoke and list a patient's consents.",
    subcommands: [Grant.self, Guardian.self, Revoke.self, List.self])

  struct Grant: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Grant or deny access, as the patient.",
      discussion: """
        Examples:
          consilium consent grant patient.key --to-account 5f1c… --category allergy --category medication --days 30
          consilium consent grant patient.key --to-hospital 2 --purpose ETREAT --uses 3
          consilium consent grant patient.key --to-account 77aa… --deny
          consilium consent grant patient.key --to-team 31c0… --category medication
          consilium consent grant patient.key --to-account 0b3d… --allow read --allow share --purpose PATRQT
          consilium consent grant parent.key --for 5f1c… --to-account 77aa… --days 30
        Without a category or record it speaks of all records; a denial wins over every grant, and without a purpose it
        is for all of them. Who may share is the patient's proxy: with --for, a proxy consents within what the proxy
        may, and it ends with the proxy's power.
        """)
    @Argument(help: "The patient's key file, or a proxy's.") var patient: String
    @Option(name: .customLong("for"), help: "As a proxy: the account of the patient.") var behalf: String?
    @Option(help: "The account that it speaks to.") var toAccount: String?
    @Option(help: "All practitioners of this hospital.") var toHospital: UInt32?
    @Option(help: "With --to-hospital: only practitioners of this role, such as nurse.") var toRole: Role?
    @Option(help: "A care team.") var toTeam: String?
    @Option(help: "What it allows, read or share; may be repeated.") var allow: [String] = ["read"]
    @Option(help: "A purpose (HL7 v3 PurposeOfUse); may be repeated. Default: TREAT, and for a denial every purpose.")
    var purpose: [String] = []
    @OptionGroup var terms: ConsentTerms
    @Option(help: "For how many requests.") var uses: UInt32?
    @Flag(help: "Deny instead of grant.") var deny = false
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let patient = try await Patient(self.patient, self.passphrase, self.node)
        let grant = ConsentGrant(
          patient: try self.behalf.map { try parseDigest($0, "patient") } ?? patient.account, isDenial: self.deny,
          actions: try self.actions(), grantee: try self.grantee(), scope: try self.terms.scope(),
          purposes: try ConsentTerms.purposes(self.purpose, isDenial: self.deny), from: .zero, until: self.terms.until,
          usesMax: self.uses)
        try show(try await patient.submit(.grantConsent, grant), self.output.output)
      }
    }

    private func grantee() throws -> Grantee {
      switch (self.toAccount, self.toHospital, self.toTeam) {
      case (let account?, nil, nil): return .account(try parseDigest(account, "account"))
      case (nil, nil, let team?): return .careTeam(try parseDigest(team, "care team"))
      case (nil, let hospital?, nil) where hospital > 0:
        return self.toRole.map { .role($0.number, at: MemberID(hospital)) } ?? .hospital(MemberID(hospital))
      default:
        throw Failure(
          "to whom?", why: "one of --to-account, --to-hospital and --to-team is needed", remedy: "give one")
      }
    }

    private func actions() throws -> ConsentActions {
      var out: ConsentActions = []
      for word in self.allow {
        guard let action = ConsentActions.words.first(where: { $0.word == word })?.action else {
          throw Failure("nothing is called \"\(word)\"", why: "read and share are", remedy: "use one or both")
        }
        out.insert(action)
      }
      return out
    }
  }

  struct Guardian: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Let a parent or guardian act for a patient, as the registrar who knows both.",
      discussion: """
        Example:
          consilium consent guardian 5f1c… 0b3d… --registrar registrar.key --days 2000
        The guardian reads (access request --purpose PATRQT) and consents in the patient's name (consent grant --for);
        all that is in the patient's history. It begins after three days (under the first rules at once: consilium rules
        show), in which the patient can object by taking it back; the registrar takes it back with consent revoke
        --registrar. Of two guardians neither can refuse the other.
        """)
    @Argument(help: "The patient's account.") var patient: String
    @Argument(help: "The guardian's account.") var guardian: String
    @Option(
      help: "A purpose (HL7 v3 PurposeOfUse); may be repeated. Default: TREAT; PATRQT, to read, is always among them.")
    var purpose: [String] = []
    @OptionGroup var terms: ConsentTerms
    @OptionGroup var options: DeskOptions

    func run() async throws {
      try await reporting {
        let grant = ConsentGrant(
          patient: try parseDigest(self.patient, "patient"), isDenial: false, actions: [.read, .share],
          grantee: .account(try parseDigest(self.guardian, "guardian")), scope: try self.terms.scope(),
          purposes: try ConsentTerms.purposes(self.purpose, isDenial: false).union(.patient), from: .zero,
          until: self.terms.until, usesMax: nil)
        let desk = try await Desk(self.options)
        try show(try await desk.submit(.grantConsent, grant), self.options.output.output)
      }
    }
  }

  /// What a consent is about, for what and how long.
  struct ConsentTerms: ParsableArguments {
    @Option(help: "A category; may be repeated.") var category: [String] = []
    @Option(help: "A record; may be repeated.") var record: [String] = []
    @Option(help: "For how many days.") var days: UInt64 = 365

    var until: Timestamp { Drafts.now.adding(milliseconds: min(self.days, 1 << 20) * 86_400_000) }

    func scope() throws -> ConsentScope {
      guard self.record.isEmpty || self.category.isEmpty else {
        throw Failure("records or categories?", why: "a consent speaks of one sort", remedy: "make two consents")
      }
      if !self.record.isEmpty { return .records(try self.record.map { try parseDigest($0, "record") }) }
      guard !self.category.isEmpty else { return .all }
      var bits: UInt32 = 0
      for name in self.category {
        guard let category = RecordCategory(name: name) else {
          throw Failure(
            "no category \"\(name)\"", why: "there are others",
            remedy: "use one of \(RecordCategory.allCases.map(\.name).joined(separator: ", "))")
        }
        bits |= 1 << UInt32(category.rawValue)
      }
      return .categories(bits)
    }

    /// ⚑ A denial that names no purpose is for all of them: a guardian reads for another purpose than a clinician.
    static func purposes(_ codes: [String], isDenial: Bool) throws -> Purposes {
      guard !codes.isEmpty else { return isDenial ? .all : .treatment }
      var out: Purposes = []
      for code in codes { out.insert(try parsePurpose(code)) }
      return out
    }
  }

  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a consent back; it counts from its place in the order on.",
      discussion: """
        Examples:
          consilium consent revoke patient.key 9ab0…
          consilium consent revoke parent.key 9ab0… --for 5f1c…     as the proxy who gave it
          consilium consent revoke registrar.key 9ab0… --for 5f1c… --registrar     a guardianship, as the registrar
        The patient takes back any consent, no matter who gave it; what a proxy gave ends with the proxy's power.
        """)
    @Argument(help: "The key file of who takes it back.") var patient: String
    @Argument(help: "The consent.") var consent: String
    @Option(name: .customLong("for"), help: "The account of the patient, where it is another's.") var behalf: String?
    @Flag(help: "The key is the registrar's.") var registrar = false
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let consent = try parseDigest(self.consent, "consent")
        let behalf = try self.behalf.map { try parseDigest($0, "patient") }
        if self.registrar {
          guard let behalf else { throw Failure("whose consent?", why: "--for is missing", remedy: "give the account") }
          let desk = try await Desk(self.patient, self.passphrase, self.node)
          let receipt = try await desk.submit(.revokeConsent, ConsentRevocation(patient: behalf, consent: consent))
          return try show(receipt, self.output.output)
        }
        let signer = try await Patient(self.patient, self.passphrase, self.node)
        let revocation = ConsentRevocation(patient: behalf ?? signer.account, consent: consent)
        try show(try await signer.submit(.revokeConsent, revocation), self.output.output)
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List a patient's consents.", discussion: "Example:\n  consilium consent list 5f1c…")
    @Argument(help: "The patient's account.") var patient: String
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let path = "/v1/patients/\(try parseDigest(self.patient, "patient"))/consents"
        let consents: [ConsentView] = try await self.node.client().get(path)
        if self.output.output == .json { return try Console.json(consents) }
        let now = "\(Drafts.now)"
        Console.table(
          ["consent", "kind", "to", "may", "for", "purposes", "until", "given by", "state"],
          consents.map {
            [
              $0.consent, $0.kind, $0.grantee, $0.actions.joined(separator: ","), $0.scope,
              $0.purposes.joined(separator: ","), $0.until, $0.givenBy,
              $0.revoked.map { "revoked at \($0)" } ?? ($0.from > now ? "begins at \($0.from)" : ""),
            ]
          })
        if consents.contains(where: { $0.givenBy == "registrar" && $0.revoked == nil && $0.from > now }) {
          Console.line("The patient objects to what has not begun by taking it back: consilium consent revoke.")
        }
      }
    }
  }
}

func parsePurpose(_ code: String) throws -> Purposes {
  guard let purpose = Purposes(code: code) else {
    throw Failure(
      "no purpose \"\(code)\"", why: "there are others",
      remedy: "use one of \(Purposes.codes.map(\.code).joined(separator: ", "))")
  }
  return purpose
}

/// A patient at the node's hospital: keys of the pseudonym there, and its account.
struct Patient {
  let keys: PersonKeys
  let client: NodeClient
  let genesis: Genesis
  let hospital: MemberID
  let account: Digest

  init(keys: PersonKeys, client: NodeClient, genesis: Genesis, hospital: MemberID, account: Digest) {
    (self.keys, self.client, self.genesis) = (keys, client, genesis)
    (self.hospital, self.account) = (hospital, account)
  }

  init(_ file: String, _ passphrase: PassphraseOptions, _ node: NodeOptions) async throws {
    (self.client, self.genesis) = (try node.client(), try node.readGenesis())
    let status = try await self.client.status()
    self.hospital = MemberID(status.member)
    self.keys = try KeyFile.person(
      file, passphrase: try passphrase.read(), network: self.genesis.network, hospital: self.hospital)
    // An account keeps its identifier when its key is replaced; one that is not registered yet has its first key's.
    do {
      let view: AccountView = try await self.client.get("/v1/keys/\(self.keys.publicKey)")
      self.account = try parseDigest(view.account, "account")
    } catch let failure as Failure where failure.what == "not-found" {
      self.account = HealthRecords.Account.identifier(
        network: self.genesis.network, hospital: self.hospital, key: self.keys.publicKey)
    }
  }

  func submit(_ kind: TransactionKind, _ payload: some WireEncodable) async throws -> ReceiptView {
    try await self.client.submit(
      try Drafts.transaction(
        kind, payload, genesis: self.genesis, hospital: self.hospital, signedBy: self.keys.signingSeed))
  }
}
