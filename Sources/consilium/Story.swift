internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// The main story on four real hospitals. Every claim is checked; the first that does not hold ends it.
struct Story {
  let devnet: DevnetFolder
  private let clock = ContinuousClock()
  private var stepNumber = 0
  let genesis: Genesis
  /// How often a node drawn at random is killed.
  var kills = 0
  var registrars: [[UInt8]] = []
  var doctors: [Person] = []
  var patients: [Person] = []
  var records: [[SealedView]] = []
  var plaintexts: [String] = []

  /// Somebody with keys and an account at a hospital.
  struct Person {
    let keys: PersonKeys
    let hospital: Int
    let account: Digest
  }

  init(devnet: DevnetFolder, genesis: Genesis) { (self.devnet, self.genesis) = (devnet, genesis) }

  /// The bundles that the project carries.
  static func defaultFiles() -> [String] {
    let beside = URL(filePath: CommandLine.executablePath).deletingLastPathComponent()
    let candidates = [
      "Scripts/patients", beside.appending(path: "../../../Scripts/patients").path(percentEncoded: false),
      "/usr/share/consilium/patients",
    ]
    for folder in candidates {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      let files = names.filter { $0.hasSuffix(".json") }.sorted().map { "\(folder)/\($0)" }
      if !files.isEmpty { return files }
    }
    return []
  }

  mutating func tell(_ files: [String]) async throws {
    guard self.devnet.count == 4 else {
      throw Failure(
        "the story needs four hospitals", why: "\(self.devnet.count) were asked for", remedy: "leave out --hospitals")
    }
    guard !files.isEmpty else {
      throw Failure(
        "no patients", why: "no FHIR bundles were found", remedy: "give some by path", status: ExitStatus.missingInput)
    }
    let begun = self.clock.now
    try await self.open()
    try await self.makeCustodyKey()
    try await self.registerPeople(files)
    try await self.sealRecords(files)
    if self.devnet.fhirPort > 0, self.devnet.portalPort > 0 { try await self.serve(files) }
    try await self.shareAndRevoke()
    try await self.emergency()
    try await self.actForOthers()
    try await self.verifyOffline()
    try await self.erase()
    try await self.openInPartition()
    try await self.survive()
    try await self.changeMembers()
    try await self.searchForPlaintext()
    try await self.conclude()
    let seconds = (self.clock.now - begun).components.seconds
    Console.line("\nEvery claim was checked and holds. \(seconds) s in all.")
  }

  /// Runs a step, prints what happened and how long it took.
  mutating func step(_ title: String, _ body: (inout Story) async throws -> String) async throws {
    self.stepNumber += 1
    let begun = self.clock.now
    let said = try await body(&self)
    let spent = self.clock.now - begun
    let milliseconds = spent.components.seconds * 1000 + spent.components.attoseconds / 1_000_000_000_000_000
    let number = String(self.stepNumber).count == 1 ? " \(self.stepNumber)" : "\(self.stepNumber)"
    Console.line("\(number). \(title)  [\(milliseconds) ms]")
    for line in said.split(separator: "\n") { Console.line("      \(line)") }
    fflush(nil)
  }

  /// Reads at a hospital until it is what is expected: it may be a moment behind the one where something was said. What
  /// is there in the end is given.
  func read<Value: Decodable & Sendable>(
    _ path: String, at index: Int, until isExpected: (Value) -> Bool
  ) async throws -> Value {
    for _ in 0..<200 {
      let value: Value = try await self.client(index).get(path)
      if isExpected(value) { return value }
      try await Task.sleep(for: .milliseconds(20))
    }
    return try await self.client(index).get(path)
  }

  /// The same of all rows that come in pages, the oldest first.
  func readAll<Item: Codable & Sendable>(
    _ path: String, at index: Int, until isExpected: ([Item]) -> Bool
  ) async throws -> [Item] {
    for _ in 0..<200 {
      let items: [Item] = try await self.client(index).all(path)
      if isExpected(items) { return items }
      try await Task.sleep(for: .milliseconds(20))
    }
    return try await self.client(index).all(path)
  }

  /// A claim that must hold.
  func claim(_ holds: Bool, _ what: String) throws {
    guard holds else {
      throw Failure("a claim does not hold", why: what, remedy: "see consilium devnet logs", status: ExitStatus.refused)
    }
  }

  private mutating func open() async throws {
    try await self.step("Four hospitals make a consortium and start their nodes") { story in
      try await story.devnet.up()
      let word = try PassphraseOptions.read(story.devnet.passphrase)
      story.registrars = try (0..<4).map { try KeyFile.registrar(story.devnet.member($0).registrar, passphrase: word) }
      return
        "network \(story.genesis.network.short)…, quorum \(story.genesis.configuration.quorum) of 4, "
        + "every node connected to every other"
    }
  }

  private mutating func makeCustodyKey() async throws {
    try await self.step("The hospitals have made a custody key together: no one of them ever had it") { story in
      let custody = await story.devnet.status(0).custody
      let quorum = story.genesis.configuration.quorum
      try story.claim(custody.threshold == quorum, "as many shares are needed as make a quorum")
      try story.claim(custody.culprits.isEmpty, "nobody was proven to have dealt badly")
      return
        "\(custody.threshold) of \(custody.custodians.count) shares open a record's key, after a request that the "
        + "ledger granted; fewer say nothing about it"
    }
  }

  func client(_ index: Int) -> NodeClient { self.devnet.client(index) }
  func hospital(_ index: Int) -> MemberID { MemberID(UInt32(index + 1)) }

  func submit(
    _ kind: TransactionKind, _ payload: some WireEncodable, at index: Int, signedBy seed: [UInt8]
  ) async throws -> ReceiptView {
    let transaction = try Drafts.transaction(
      kind, payload, genesis: self.genesis, hospital: self.hospital(index), signedBy: seed)
    return try await self.client(index).submit(transaction)
  }

  func register(_ keys: PersonKeys, kind: AccountKind, role: UInt32, at index: Int) async throws -> Person {
    let account = try await self.devnet.register(
      keys, kind: kind, role: role, at: index, genesis: self.genesis, registrar: self.registrars[index])
    return Person(keys: keys, hospital: index, account: account)
  }

  private mutating func registerPeople(_ files: [String]) async throws {
    try await self.step("Hospitals register practitioners, patients register with 24 words each") { story in
      for index in 0..<4 {
        let keys = PersonKeys(signingSeed: SecureRandom.bytes(32), sealingSecret: SecureRandom.bytes(32))
        story.doctors.append(try await story.register(keys, kind: .practitioner, role: 207, at: index))
      }
      for (number, _) in files.enumerated() {
        let phrase = RecoveryPhrase(entropy: SecureRandom.bytes(32))
        let hospital = number % 4
        let keys = phrase.keys(network: story.genesis.network, hospital: story.hospital(hospital))
        let again = try RecoveryPhrase(words: phrase.words).keys(
          network: story.genesis.network, hospital: story.hospital(hospital))
        try story.claim(again.signingSeed == keys.signingSeed, "the 24 words give the same keys again")
        story.patients.append(try await story.register(keys, kind: .patient, role: 0, at: hospital))
      }
      return "4 practitioners, \(files.count) patients; on the ledger are pseudonyms and keys, no names"
    }
  }

  private mutating func sealRecords(_ files: [String]) async throws {
    for (number, file) in files.enumerated() {
      let name = URL(filePath: file).lastPathComponent
      try await self.step("Hospital \(self.patients[number].hospital + 1) seals and anchors \(name.prefix(40))") {
        story in
        let bytes = try Files.read(file, max: FHIRResource.fileBytesMax)
        let resources = try Record.Add.parse(bytes, file)
        story.plaintexts += Self.searchWords(resources)
        let patient = story.patients[number]
        let sealed: [SealedView] = try await story.client(patient.hospital).post(
          "/v1/patients/\(patient.account)/records", bytes)
        try story.claim(sealed.count == resources.count, "\(sealed.count) of \(resources.count) resources were sealed")
        try story.claim(sealed.allSatisfy(\.receipt.applied), "an anchor was refused")
        story.records.append(sealed)
        return
          "\(sealed.count) FHIR resources, \(bytes.count / 1024) KiB, stored encrypted; "
          + "\(sealed.count) hash-locks on the ledger"
      }
    }
    try await self.step("Dr. A of hospital 1 writes a note and signs it as its author") { story in
      let patient = story.patients[0]
      let doctor = story.doctors[patient.hospital]
      let note =
        #"{"resourceType":"Observation","status":"final","code":{"text":"Peak flow after exercise"},"#
        + #""valueQuantity":{"value":412.50,"unit":"L/min"}}"#
      let writer = Patient(
        keys: doctor.keys, client: story.client(patient.hospital), genesis: story.genesis,
        hospital: story.hospital(patient.hospital), account: doctor.account)
      let sealed = try await Authoring.anchor(
        try FHIRResource.read(Array(note.utf8)), of: patient.account, by: writer, supersedes: nil)
      try story.claim(
        sealed.allSatisfy(\.receipt.applied), "the note was refused: \(sealed.first?.receipt.outcome ?? "")")
      story.records[0] += sealed
      let amended = note.replacingOccurrences(of: "412.50", with: "421.50")
      let second = try await Authoring.anchor(
        try FHIRResource.read(Array(amended.utf8)), of: patient.account, by: writer,
        supersedes: try parseDigest(sealed[0].record, "record"))
      try story.claim(second.allSatisfy(\.receipt.applied), "the amendment was refused")
      let old: RecordView = try await story.read("/v1/records/\(sealed[0].record)", at: 3) {
        $0.supersededBy == second[0].record
      }
      try story.claim(old.supersededBy == second[0].record, "the old version names the new one")
      story.records[0] += second
      return "412.50 was a slip: the amendment supersedes it, nothing is overwritten, 421.50 keeps its zero"
    }
  }

  /// Long words of the records: none of them may be found on the ledger or in a log.
  private static func searchWords(_ resources: [FHIRResource]) -> [String] {
    var words: Set<String> = []
    for resource in resources where resource.type == "Patient" || resource.type == "Condition" {
      let text = String(decoding: resource.canonical, as: UTF8.self)
      for part in text.split(separator: "\"") where part.count >= 6 && part.count <= 60 {
        let isPlain = part.contains { $0.isLetter } && !part.contains("://") && part.first?.isUppercase == true
        if isPlain { words.insert(String(part)) }
      }
    }
    return words.sorted()
  }
}
