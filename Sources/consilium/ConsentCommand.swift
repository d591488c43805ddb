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
    subcommands: [Grant.self, Revoke.self, List.self])

  struct Grant: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Grant or deny access, as the patient.",
      discussion: """
        Examples:
          consilium consent grant patient.key --to-account 5f1c… --category allergy --category medication --days 30
          consilium consent grant patient.key --to-hospital 2 --purpose ETREAT --uses 3
          consilium consent grant patient.key --to-account 77aa… --deny
        Without a category or record it speaks of all records; a denial wins over every grant.
        """)
    @Argument(help: "The patient's key file.") var patient: String
    @Option(help: "The account that it speaks to.") var toAccount: String?
    @Option(help: "All practitioners of this hospital.") var toHospital: UInt32?
    @Option(help: "With --to-hospital: only practitioners of this role.") var toRole: UInt32?
    @Option(help: "A category; may be repeated.") var category: [String] = []
    @Option(help: "A record; may be repeated.") var record: [String] = []
    @Option(help: "A purpose (HL7 v3 PurposeOfUse); may be repeated.") var purpose: [String] = ["TREAT"]
    @Option(help: "For how many days.") var days: UInt64 = 365
    @Option(help: "For how many requests.") var uses: UInt32?
    @Flag(help: "Deny instead of grant.") var deny = false
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let patient = try await Patient(self.patient, self.passphrase, self.node)
        let grant = ConsentGrant(
          patient: patient.account, isDenial: self.deny, grantee: try self.grantee(), scope: try self.scope(),
          purposes: try self.purposes(), from: .zero,
          until: Drafts.now.adding(milliseconds: self.days * 86_400_000), usesMax: self.uses)
        try show(try await patient.submit(.grantConsent, grant), self.output.output)
      }
    }

    private func grantee() throws -> Grantee {
      switch (self.toAccount, self.toHospital) {
      case (let account?, nil): return .account(try parseDigest(account, "account"))
      case (nil, let hospital?) where hospital > 0:
        return self.toRole.map { .role($0, at: MemberID(hospital)) } ?? .hospital(MemberID(hospital))
      default:
        throw Failure("to whom?", why: "one of --to-account and --to-hospital is needed", remedy: "give one")
      }
    }

    private func scope() throws -> ConsentScope {
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

    private func purposes() throws -> Purposes {
      var out: Purposes = []
      for code in self.purpose { out.insert(try parsePurpose(code)) }
      return out
    }
  }

  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a consent back; it counts from its place in the order on.",
      discussion: "Example:\n  consilium consent revoke patient.key 9ab0…")
    @Argument(help: "The patient's key file.") var patient: String
    @Argument(help: "The consent.") var consent: String
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let patient = try await Patient(self.patient, self.passphrase, self.node)
        let revocation = ConsentRevocation(patient: patient.account, consent: try parseDigest(self.consent, "consent"))
        try show(try await patient.submit(.revokeConsent, revocation), self.output.output)
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
        Console.table(
          ["consent", "kind", "to", "for", "purposes", "until", "revoked"],
          consents.map {
            [
              $0.consent.short, $0.kind, $0.grantee, $0.scope, $0.purposes.joined(separator: ","), $0.until,
              $0.revoked ?? "",
            ]
          })
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
    let status: NodeStatus = try await self.client.get("/v1/status")
    self.hospital = MemberID(status.member)
    self.keys = try KeyFile.person(
      file, passphrase: try passphrase.read(), network: self.genesis.network, hospital: self.hospital)
    self.account = HealthRecords.Account.identifier(
      network: self.genesis.network, hospital: self.hospital, key: self.keys.publicKey)
  }

  func submit(_ kind: TransactionKind, _ payload: some WireEncodable) async throws -> ReceiptView {
    try await self.client.submit(
      try Drafts.transaction(
        kind, payload, genesis: self.genesis, hospital: self.hospital, signedBy: self.keys.signingSeed))
  }
}
