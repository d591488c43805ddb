internal import NIOHTTP1
internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// `consilium access`
struct Access: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Ask to read records, break the glass, review, and see who read what.",
    subcommands: [Request.self, Cases.self, Review.self, History.self, Readings.self])

  struct Request: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Ask to read records, as a practitioner, third party or proxy; granted ones are fetched and checked.",
      discussion: """
        Examples:
          consilium access request dr-lee.key --patient 5f1c… --record 88aa… --out visit.json --proof visit.proof
          consilium access request dr-lee.key --patient 5f1c… --record 88aa… --break-glass life-at-risk
          consilium access request parent.key --patient 5f1c… --record 88aa… --purpose PATRQT     as a proxy

        Reasons to break the glass:
        \(GlassReason.help)
        """)
    @Argument(help: "The reader's key file.") var reader: String
    @Option(help: "The patient's account.") var patient: String
    @Option(help: "A record; may be repeated.") var record: [String]
    @Option(help: "What for (HL7 v3 PurposeOfUse).") var purpose = "TREAT"
    @Option(help: "In an emergency: the reason, by its word or number. It is reviewed afterwards.")
    var breakGlass: GlassReason?
    @Option(help: "Where to write the first record.") var out: String?
    @Option(help: "Where to write its proof, for consilium verify.") var proof: String?
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let reader = try await Patient(self.reader, self.passphrase, self.node)
        let secret = SecureRandom.bytes(32)
        guard let ephemeral = Digest(KeyAgreement.publicKey(of: secret)) else { return }
        func request(_ records: [String]) throws -> AccessRequest {
          AccessRequest(
            patient: try parseDigest(self.patient, "patient"),
            records: try records.map { try parseDigest($0, "record") },
            purpose: self.breakGlass == nil ? try parsePurpose(self.purpose) : .emergency,
            reason: self.breakGlass.map { UInt16($0.number) } ?? 0, ephemeralKey: ephemeral)
        }
        var (receipt, fetched) = try await self.fetch(try request(self.record), secret, reader)
        // What is permitted is read, though more was asked for.
        let refused = receipt?.refused ?? []
        let left = self.record.filter { one in !refused.contains { $0.record == one.lowercased() } }
        if !refused.isEmpty, !left.isEmpty {
          if self.output.output != .json {
            for one in refused { Console.line("Not permitted: \(one.record): \(one.outcome)") }
          }
          (receipt, fetched) = try await self.fetch(try request(left), secret, reader)
          let all = refused + (receipt?.refused ?? [])
          receipt?.refused = all
        }
        if let receipt, !receipt.applied { return try show(receipt, self.output.output) }
        for (index, record) in fetched.enumerated() {
          let salt = try await record.open(into: index == 0 ? self.out : nil)
          if index == 0, let proof {
            try Files.writeJSON(proof, try await Reading.proof(of: record, salt: salt), mode: 0o600)
          }
        }
        let read = Told("records read and checked", "\(fetched.count)", ["recordsRead": fetched.count])
        if let receipt {
          try show(receipt, self.output.output, [read])
          guard refused.isEmpty else { throw ExitCode(ExitStatus.refused) }
          return
        }
        if self.output.output == .json { return try Console.json(["openedInPartition": fetched.count]) }
        Console.table(["what", "value"], [read.row])
        Console.line(
          "Nothing is ordered now: the hospital opened what it wrote itself. The patient sees it when members are "
            + "connected again, and the privacy officer reviews it.")
      }
    }

    /// What the ledger said, and the records; no receipt where the hospital opened its own in a partition.
    private func fetch(
      _ request: AccessRequest, _ secret: [UInt8], _ reader: Patient
    ) async throws -> (ReceiptView?, [ReadRecord]) {
      let receipt: ReceiptView
      if self.breakGlass == nil {
        receipt = try await reader.submit(.requestAccess, request)
      } else {
        let transaction = try Drafts.transaction(
          .breakGlass, request, genesis: reader.genesis, hospital: reader.hospital, signedBy: reader.keys.signingSeed)
        let glass: BrokenGlassView = try await reader.client.post("/v1/emergencies", transaction.encoded)
        guard let ordered = glass.receipt else {
          return (nil, try await Reading.opened(glass, secret: secret, client: reader.client))
        }
        receipt = ordered
      }
      guard receipt.applied else { return (receipt, []) }
      let fetched = try await Reading.fetch(
        request: receipt.transaction, records: request.records, secret: secret, client: reader.client,
        genesis: reader.genesis
      ) { _ = try await reader.submit(.accuseCustodian, $0) }
      return (receipt, fetched)
    }
  }

  struct Cases: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Show what broke the glass at this hospital, or for its records, and until when each is to be reviewed.",
      discussion: """
        Example, as the privacy officer:
          consilium access cases --open
        Each request is a line, and is reviewed by itself. A page asks for one emergency in several requests: the
        privacy officer's page shows those as one case, and one finding there counts for all.
        """)
    @Flag(help: "Only those whose review is due or overdue.") var open = false
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let all: [EmergencyView] = try await self.node.client().all("/v1/emergencies")
        let cases = all.reversed().filter { !self.open || ["reviewDue", "overdue"].contains($0.access.emergency) }
        if self.output.output == .json { return try Console.json(cases) }
        Console.table(
          ["request", "when", "by", "hospital", "patient", "records", "reason", "review", "due"],
          cases.map {
            [
              $0.request, $0.access.time, $0.access.reader, "\($0.access.hospital)", $0.patient,
              "\($0.access.records.count)",
              GlassReason(number: UInt32($0.reason))?.word ?? "none", ReviewWords.of($0.access.emergency), $0.due,
            ]
          })
        if cases.isEmpty { Console.line("Nothing.") }
      }
    }
  }

  struct Review: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Review a broken glass, as the hospital's privacy officer.",
      discussion: """
        Example:
          consilium access review 77ab… --registrar registrar.key --justified
        It counts for this request alone: others of the same emergency are reviewed by themselves.
        """)
    @Argument(help: "The request that broke the glass.") var request: String
    @Option(help: "The privacy officer's key file.") var registrar: String
    @Flag(help: "It was right; without it, it was not.") var justified = false
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let review = AccessReview(request: try parseDigest(self.request, "request"), isJustified: self.justified)
        let desk = try await Desk(self.registrar, self.passphrase, self.node)
        try show(try await desk.submit(.reviewBreakGlass, review), self.output.output)
      }
    }
  }

  struct History: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show every request to read a patient's records, granted or denied.",
      discussion: "Example:\n  consilium access history 5f1c…")
    @Argument(help: "The patient's account.") var patient: String
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let path = "/v1/patients/\(try parseDigest(self.patient, "patient"))/history"
        let history: [AccessView] = try await self.node.client().all(path)
        if self.output.output == .json { return try Console.json(history) }
        Console.table(AccessTable.heads, history.map(AccessTable.row))
      }
    }
  }
}

extension Access {
  struct Readings: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show who was shown a patient's chart in this hospital's own store, by FHIR.",
      discussion: """
        What needs a request on the ledger is in consilium access history; this is the hospital's own log, a line for
        each reader, app and sort of request in a quarter of an hour.

        Example:
          consilium access readings 5f1c…
          consilium access readings 5f1c… --reader 77aa…
          consilium access readings 5f1c… --reader system     what the hospital's own system was shown
        """)
    @Argument(help: "The patient's account.") var patient: String
    @Option(help: "Only what this practitioner's account was shown, or \"system\".") var reader: String?
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let path = "/v1/patients/\(try parseDigest(self.patient, "patient"))/readings?count=1000"
        let (client, reader) = (try self.node.client(), self.reader.map { "&reader=\($0)" } ?? "")
        var (readings, after): ([ReadingView], String?) = ([], "")
        while let place = after {
          let page: ReadingsView = try await client.get("\(path)\(reader)&after=\(place)")
          readings += page.items
          after = page.next
        }
        if self.output.output == .json { return try Console.json(readings) }
        Console.table(
          ["when", "until", "reader", "app", "how", "what"],
          readings.map {
            let isLost = $0.interaction == "lost"
            let isKnown = !isLost && $0.interaction != "unreadable"
            return [
              $0.time, $0.until, $0.reader ?? (isKnown ? "the hospital's own system" : "not known"), $0.client ?? "",
              $0.interaction,
              isLost ? "lines from before this time may be lost" : $0.types.joined(separator: ", "),
            ]
          })
      }
    }
  }
}

/// The access history as people read it.
enum AccessTable {
  static let heads = ["when", "reader", "hospital", "purpose", "records", "outcome", "released by"]

  static func row(_ access: AccessView) -> [String] {
    let emergency =
      (access.emergency == "none" ? "" : " (glass broken: \(ReviewWords.of(access.emergency)))")
      + (access.openedInPartition.map { " (opened in partition at \($0))" } ?? "")
    return [
      access.time, access.reader, "\(access.hospital)", access.purpose, "\(access.records.count)",
      access.outcome + emergency, access.releasedBy.map { "\($0)" }.joined(separator: ","),
    ]
  }
}

/// A record whose key is there, with its entry: it is opened into a file, or as a whole.
struct ReadRecord {
  let entry: RecordView
  let key: ReleasedKey
  let client: NodeClient

  /// Opens it and holds it against its anchor, into a file where one is named; gives the salt.
  func open(into path: String?) async throws -> [UInt8] {
    let client = self.client
    let part = { try await client.part(self.key.anchor.record, from: $0) }
    guard let path else { return try await Opening.explained { try await self.key.open(part: part) { _ in } } }
    return try await Files.writeWhole(path) { write in
      try await Opening.explained { try await self.key.open(part: part, write: write) }
    }
  }

  /// The content as text, for a terminal.
  func text() async throws -> (text: String, salt: [UInt8]) {
    let unfit = Failure(
      "it is nothing to print", why: "the record is no text, or over 16 MiB", remedy: "give --out FILE")
    guard !self.key.isLong else { throw unfit }
    let opened = try await self.whole()
    guard let text = String(validating: opened.canonical, as: UTF8.self) else { throw unfit }
    return (text, opened.salt)
  }

  /// The content of a record that is not long.
  func whole() async throws -> OpenedRecord {
    let client = self.client
    return try await Opening.explained {
      try await self.key.open { try await client.part(self.key.anchor.record, from: $0) }
    }
  }
}

/// Fetching what a granted request allows.
enum Reading {
  static func fetch(
    request: String, records: [Digest], secret: [UInt8], client: NodeClient, genesis: Genesis,
    accuse: @escaping (ShareAccusation) async throws -> Void = { _ in }
  ) async throws -> [ReadRecord] {
    var out: [ReadRecord] = []
    for record in records {
      let entry: RecordView = try await client.get("/v1/records/\(record)")
      let question = ReleaseQuestion(request: try parseDigest(request, "request"), record: record)
      let opening = Opening(
        network: genesis.network, request: question.request, anchor: try await self.anchor(entry, client),
        secret: secret)
      out.append(
        ReadRecord(
          entry: entry, key: try await opening.key(question, through: client, accuse: accuse), client: client))
    }
    return out
  }

  /// What a hospital opened by itself, checked against what was anchored.
  static func opened(_ glass: BrokenGlassView, secret: [UInt8], client: NodeClient) async throws -> [ReadRecord] {
    var out: [ReadRecord] = []
    for one in glass.opened ?? [] {
      let entry: RecordView = try await client.get("/v1/records/\(one.record)")
      let anchor = try await self.anchor(entry, client)
      guard let answer = try? ReleaseAnswer.decode(Base64.decode(one.answer) ?? []), answer.hospitalKey != nil else {
        throw Failure("the record does not open", why: "the node's answer is malformed", remedy: "tell the hospital")
      }
      let key = try await Opening.explained { try ReleasedKey(answer, anchor, secret: secret) }
      out.append(ReadRecord(entry: entry, key: key, client: client))
    }
    return out
  }

  /// The anchor as the log has it, read out of its proven entry.
  static func anchor(_ entry: RecordView, _ client: NodeClient) async throws -> RecordAnchor {
    let bytes = try await client.send(.GET, "/v1/log/entries?from=\(entry.leaf)&count=1")
    var decoder = Decoder(bytes)
    let logEntry = try LogEntryView(try decoder.blob(max: 1 << 20, "entry"))
    let anchor = try RecordAnchor.decode(logEntry.payload)
    // Its key may have been enclosed anew since; whatever opens is held against the anchor's hash-lock.
    return anchor.with(capsule: try parseDigest(entry.capsule, "capsule"))
  }

  /// The proof of a record's anchor with the document's salt; waits until a signed tree head covers it.
  static func proof(of record: ReadRecord, salt: [UInt8]) async throws -> ProofView {
    var proof = try await self.proof(leaf: record.entry.leaf, record.client)
    proof.salt = Hex.encode(salt)
    return proof
  }

  static func proof(leaf: UInt64, _ client: NodeClient) async throws -> ProofView {
    for _ in 0..<100 {
      do { return try await client.get("/v1/proofs/\(leaf)") } catch let failure as Failure {
        guard failure.what == "not-stable-yet" else { throw failure }
        try await Task.sleep(for: .milliseconds(50))
      }
    }
    return try await client.get("/v1/proofs/\(leaf)")
  }
}
