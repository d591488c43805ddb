internal import Rules
internal import NIOCore
internal import NIOHTTP1
internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// A log entry's transaction payload.
struct LogEntryView {
  let payload: [UInt8]
  init(_ bytes: [UInt8]) throws { self.payload = try LogEntry.decode(bytes).transaction.payload }
}

/// `consilium record`
struct Record: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Seal, list and read records.",
    subcommands: [
      Add.self, Attach.self, List.self, Read.self, Erase.self, Keep.self, EraseKept.self, OrderErasure.self,
      Retention.self, Verify.self,
    ])

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Seal FHIR R4 resources of a patient, store them encrypted and anchor their hash-locks.",
      discussion: """
        Examples:
          consilium record add bundle.json --patient 5f1c…
          consilium record add note.json --patient 5f1c… --author dr-lee.key
          consilium record add note2.json --patient 5f1c… --supersedes 88aa…
        A bundle's resources become one record each. With --author the practitioner signs as the author.
        """)
    @Argument(help: "A FHIR R4 resource or bundle.") var file: String
    @Option(help: "The patient's account.") var patient: String
    @Option(help: "The practitioner's key file who wrote it; else the hospital's system did.") var author: String?
    @Option(help: "The record that it amends.") var supersedes: String?
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let client = try self.node.client()
        let bytes = try Files.read(self.file, max: FHIRResource.fileBytesMax)
        let resources = try Self.parse(bytes, self.file)
        let patient = try parseDigest(self.patient, "patient")
        let supersedes = try self.supersedes.map { try parseDigest($0, "record") }
        let sealed: [SealedView]
        if let author {
          let writer = try await Patient(author, self.passphrase, self.node)
          sealed = try await Authoring.anchor(resources, of: patient, by: writer, supersedes: supersedes)
        } else {
          let query = supersedes.map { "?supersedes=\($0)" } ?? ""
          sealed = try await client.post("/v1/patients/\(patient)/records\(query)", bytes)
        }
        if self.output.output == .json {
          try Console.json(sealed)
        } else {
          Console.table(
            ["record", "resource", "category", "leaf", "outcome"],
            sealed.map { [$0.record, $0.resourceType, $0.category, "\($0.receipt.leaf)", $0.receipt.outcome] })
        }
        guard sealed.allSatisfy(\.receipt.applied) else { throw ExitCode(ExitStatus.refused) }
      }
    }

    static func parse(_ bytes: [UInt8], _ path: String) throws -> [FHIRResource] {
      do throws(FHIRFault) { return try FHIRResource.read(bytes) } catch {
        throw Failure("\(path) cannot be sealed", why: "\(error)", remedy: "give FHIR R4 as JSON, at most 32 MiB")
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List a patient's records: commitments, never content.",
      discussion: "Example:\n  consilium record list 5f1c…")
    @Argument(help: "The patient's account.") var patient: String
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let path = "/v1/patients/\(try parseDigest(self.patient, "patient"))/records"
        let records: [RecordView] = try await self.node.client().all(path)
        if self.output.output == .json { return try Console.json(records) }
        Console.table(
          ["record", "category", "sealed bytes", "anchored", "state"],
          records.map {
            [
              $0.record, $0.category, "\($0.sizeBytes)", $0.time,
              $0.erasureText ?? $0.erasureDue.map { "to be erased at \($0)" }
                ?? $0.supersededBy.map { "superseded by \($0)" } ?? "current",
            ]
          })
      }
    }
  }

  struct Read: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read a record of one's own, as the patient: nobody is asked.",
      discussion: "Example:\n  consilium record read patient.key 88aa… --out mine.json --proof mine.proof")
    @Argument(help: "The patient's key file.") var patient: String
    @Argument(help: "The record.") var record: String
    @Option(help: "Where to write it; else it is printed.") var out: String?
    @Option(help: "Where to write its proof.") var proof: String?
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions

    func run() async throws {
      try await reporting {
        let patient = try await Patient(self.patient, self.passphrase, self.node)
        let read = try await Authoring.readOwn(try parseDigest(self.record, "record"), patient)
        let salt: [UInt8]
        if let out {
          salt = try await read.open(into: out)
        } else {
          let printed = try await read.text()
          Console.line(printed.text)
          salt = printed.salt
        }
        if let proof { try Files.writeJSON(proof, try await Reading.proof(of: read, salt: salt), mode: 0o600) }
      }
    }
  }

  struct Erase: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Erase a record, as the patient: custodians refuse it from then on.",
      discussion: """
        Example:
          consilium record erase patient.key 88aa…
        A record that it superseded is another one, and stays until it is erased too: see consilium record list. So is a
        file that its attachments name; the patient's page erases both together.
        Three records a day are erased at once (under the first rules all: see consilium rules show). The next ones wait
        three days, until which consilium record keep takes that back; nothing is erased where the account was
        suspended, or its key changed, meanwhile.
        """)
    @Argument(help: "The patient's key file.") var patient: String
    @Argument(help: "The record.") var record: String
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let patient = try await Patient(self.patient, self.passphrase, self.node)
        let record = try parseDigest(self.record, "record")
        let receipt = try await patient.submit(.eraseRecord, record)
        guard receipt.applied else { return try show(receipt, self.output.output) }
        let view: RecordView = try await patient.client.get("/v1/records/\(record)")
        let state = view.erasureDue.map { "at \($0), unless it is taken back" } ?? "now"
        try show(
          receipt, self.output.output,
          [Told("erased", state, ["erased": view.erasureDue == nil, "erasureDue": view.erasureDue])])
      }
    }
  }

  struct Keep: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take back erasures that are not done yet, as the patient, or as the registrar who knows the person.",
      discussion: """
        Examples:
          consilium record keep patient.key 88aa…
          consilium record keep patient.key                              all that are to be erased
          consilium record keep registrar.key --for 5f1c… --registrar    somebody's phone was stolen
        """)
    @Argument(help: "The patient's or registrar's key file.") var keys: String
    @Argument(help: "The records; none for all.") var records: [String] = []
    @Option(name: .customLong("for"), help: "The patient's account, where the registrar does it.") var patient: String?
    @Flag(help: "The key file is the registrar's.") var registrar = false
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let records = try self.records.map { try parseDigest($0, "record") }
        guard records.count <= ErasureWithdrawal.recordsMax else {
          throw Failure("\(records.count) records", why: "256 are taken at once", remedy: "name none for all of them")
        }
        guard self.registrar == (self.patient != nil) else {
          throw Failure(
            "for whom?", why: "a registrar says for whom, a patient does not", remedy: "give --for, or neither")
        }
        if let patient {
          let desk = try await Desk(self.keys, self.passphrase, self.node)
          let withdrawal = ErasureWithdrawal(patient: try parseDigest(patient, "patient"), records: records)
          return try show(try await desk.submit(.keepRecords, withdrawal), self.output.output)
        }
        let person = try await Patient(self.keys, self.passphrase, self.node)
        let withdrawal = ErasureWithdrawal(patient: person.account, records: records)
        try show(try await person.submit(.keepRecords, withdrawal), self.output.output)
      }
    }
  }
}

extension RecordView {
  /// By what right it was erased, and who has deleted it; nil where it is not.
  var erasureText: String? {
    guard let erasure = self.erasure else { return nil }
    let hospitals = (self.deletedBy ?? []).map { "\($0)" }.joined(separator: ", ")
    return "erased by \(erasure)" + (hospitals.isEmpty ? "" : "; deleted by hospitals \(hospitals)")
  }
}

/// `consilium verify`, also `consilium record verify`
struct Verify: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check a document offline: hash-lock, inclusion, tree head, quorum of signatures.",
    discussion: """
      Example:
        consilium verify visit.json --proof visit.proof --genesis genesis.json
      It asks nobody: the genesis alone says whose signatures count.
      """)
  @Argument(help: "The document, as it was written out.") var document: String
  @Option(help: "Its proof.") var proof: String
  @Option(help: "The consortium's genesis.") var genesis: String
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await reporting {
      let genesis = try GenesisFile.read(self.genesis)
      let view = try Files.readJSON(self.proof, as: ProofView.self, "proof")
      let result = try DocumentCheck.verify(self.document, view, genesis)
      if self.output.output == .json { return try Console.json(result) }
      Console.line("Authentic when the proof was made: every step holds.")
      Console.line("Whether the record was corrected, withdrawn or erased since is not known here: ask the hospital.")
      Console.table(["what", "value"], result.keys.sorted().map { [$0, result[$0] ?? ""] })
    }
  }
}

/// The offline check of a document.
enum DocumentCheck {
  static func verify(_ document: String, _ view: ProofView, _ genesis: Genesis) throws -> [String: String] {
    try self.verify(view, genesis) { try self.locks(of: FilePieces(document), salt: $0) }
  }

  static func verify(_ document: [UInt8], _ view: ProofView, _ genesis: Genesis) throws -> [String: String] {
    try self.verify(view, genesis) { self.locks(of: [document], salt: $0) }
  }

  private static func verify(
    _ view: ProofView, _ genesis: Genesis, locks: (_ salt: [UInt8]) throws -> [Digest]
  ) throws -> [String: String] {
    func bad(_ why: String) -> Failure {
      Failure(
        "not authentic", why: why, remedy: "ask the hospital that gave it for the document and its proof again",
        status: ExitStatus.refused)
    }
    let links = (view.configurations ?? []).compactMap(\.proof)
    guard let proof = view.proof, links.count == view.configurations?.count ?? 0,
      let salt = view.salt.flatMap({ Hex.decode($0) }), salt.count == HashLock.saltLengthBytes
    else { throw bad("the proof is malformed") }
    var chain = ConfigurationChain(genesis)
    let verified: (entry: LogEntry, checkpoint: StableCheckpoint)
    do throws(ProofFault) {
      try chain.extend(by: links)
      verified = try proof.verify(by: chain)
    } catch { throw bad("\(error)") }
    let members = chain[verified.checkpoint.body.configuration]?.voterCount ?? 0
    guard verified.entry.outcome == .applied, verified.entry.transaction.kind == TransactionKind.anchorRecord.rawValue,
      let anchor = try? RecordAnchor.decode(verified.entry.transaction.payload)
    else { throw bad("the log entry anchors no record") }
    guard try locks(salt).contains(anchor.hashLock) else {
      throw bad("the document is not the one that was anchored: its hash-lock differs")
    }
    let body = verified.checkpoint.body
    return [
      "record": "\(anchor.record)", "hash-lock": "\(anchor.hashLock)", "anchored": "\(verified.entry.time)",
      "hospital": "\(verified.entry.transaction.hospital.number)", "leaf": "\(view.leaf) of \(body.size)",
      "log root": "\(body.root)",
      "signed by": "\(verified.checkpoint.cosignatures.count) of \(members) members",
    ]
  }
}

extension DocumentCheck {
  /// The hash-locks that a document can have: that of its own bytes, and, as a resource, that of its canonical ones.
  private static func locks(of document: some Sequence<[UInt8]>, salt: [UInt8]) -> [Digest] {
    var running = HashLock.Running(salt: salt)
    var whole: [UInt8]? = []
    for piece in document {
      running.update(piece)
      whole = whole.flatMap { $0.count + piece.count <= FHIRResource.fileBytesMax ? $0 + piece : nil }
    }
    let canonical = whole.flatMap { try? CanonicalJSON($0).canonicalBytes }
    return [running.digest] + (canonical.map { [HashLock.of($0, salt: salt)] } ?? [])
  }
}

/// What authors and patients do with records at their own hospital.
enum Authoring {
  static func anchor(
    _ resources: [FHIRResource], of patient: Digest, by writer: Patient, supersedes: Digest?
  ) async throws -> [SealedView] {
    let readers = try await self.readers(of: patient, writer)
    var body = Encoder()
    var drafts: [RecordDraft] = []
    for resource in resources {
      let draft = RecordDraft(
        resource, patient: patient, hospital: writer.hospital, network: writer.genesis.network,
        secrets: SealedRecord.Secrets(random: SecureRandom.bytes), supersedes: supersedes)
      let signature = writer.keys.signingKey.sign(draft.authored)
      guard let record = draft.seal(to: readers, author: writer.account, signature: signature) else {
        throw Failure(
          "cannot seal", why: "a resource is over 16 MiB",
          remedy: "seal what is long as a file: consilium record attach")
      }
      body.item(record.anchor)
      body.item(record.sealed)
      drafts.append(draft)
    }
    let receipts: [ReceiptView] = try await writer.client.post("/v1/records", body.bytes)
    return zip(zip(resources, drafts), receipts).map { pair, receipt in
      SealedView(
        record: "\(pair.1.record)", resourceType: pair.0.type, category: pair.0.category.name, receipt: receipt)
    }
  }

  /// To whom a patient's records are sealed.
  static func readers(of patient: Digest, _ writer: Patient) async throws -> SealedRecord.Readers {
    let account: AccountView = try await writer.client.get("/v1/accounts/\(patient)")
    let member = try await writer.client.configuration().members.first { $0.id == writer.hospital }
    guard let member, let sealing = Hex.decode(account.sealingKey).flatMap({ Digest($0) }) else {
      throw Failure("cannot seal", why: "the account has no sealing key", remedy: "check the patient's account")
    }
    let rules: RulesView = try await writer.client.get("/v1/rules")
    return SealedRecord.Readers(
      patient: sealing, hospital: member.sealingKey, custody: try await writer.client.custody(),
      bindsBoth: rules.version >= 2)
  }

  static func readOwn(_ record: Digest, _ patient: Patient) async throws -> ReadRecord {
    let entry: RecordView = try await patient.client.get("/v1/records/\(record)")
    let head = try SealedHead.decode(
      try await patient.client.send(.GET, "/v1/records/\(record)/head", timeout: .hours(1)))
    let anchor = try await Reading.anchor(entry, patient.client)
    guard let key = ReleasedKey(head, anchor, ownerSecret: patient.keys.sealingSecret) else {
      throw Failure(
        "the record does not open", why: "it is another patient's, or was sealed to a key that was lost since",
        remedy: "give the right key file; after a recovery: consilium access request KEY --purpose PATRQT",
        status: ExitStatus.refused)
    }
    return ReadRecord(entry: entry, key: key, client: patient.client)
  }
}
