internal import FHIR
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import NIOHTTP1
internal import Primitives
internal import Signing

/// A patient that a devnet was given: made up, so a name may be shown.
struct DevnetPatient: Codable, Sendable {
  var name: String
  /// The bundle's name.
  var file: String
  /// The hospital's number, from 1.
  var hospital: Int
  var account: String
  /// The file with the 24 words.
  var words: String
  var resources: Int
}

/// Gives a devnet patients as its hospitals would get them: a desk registers each, an EHR writes what it knows.
struct DevnetPatients {
  let devnet: DevnetFolder

  private var list: String { self.devnet.folder + "/patients.json" }

  /// Who is there already.
  func known() throws -> [DevnetPatient] {
    guard FileManager.default.fileExists(atPath: self.list) else { return [] }
    return try Files.readJSON(self.list, as: [DevnetPatient].self, "list of patients")
  }

  /// Makes a clinician at each hospital and a patient of each bundle that is not there yet, one hospital after another.
  /// All that are there.
  func make(_ files: [String]) async throws -> [DevnetPatient] {
    let genesis = try GenesisFile.read(self.devnet.genesis)
    let word = try PassphraseOptions.read(self.devnet.passphrase)
    for index in 0..<self.devnet.count {
      let path = Self.clinician(at: self.devnet.member(index))
      guard !FileManager.default.fileExists(atPath: path) else { continue }
      let keys = PersonKeys(signingSeed: SecureRandom.bytes(32), sealingSecret: SecureRandom.bytes(32))
      _ = try await self.register(keys, .practitioner, role: 207, at: index, genesis, word)
      try KeyFile(kind: .practitioner, secrets: keys.signingSeed + keys.sealingSecret, passphrase: word).save(path)
    }
    var made = try self.known()
    for file in files where !made.contains(where: { $0.file == URL(filePath: file).lastPathComponent }) {
      made.append(try await self.patient(of: file, at: made.count % self.devnet.count, genesis, word))
      try Files.writeJSON(self.list, made)
    }
    return made
  }

  /// Where a devnet's clinician has the keys.
  static func clinician(at member: MemberFolder) -> String { member.path + "/clinician.key" }

  private func register(
    _ keys: PersonKeys, _ kind: AccountKind, role: UInt32, at index: Int, _ genesis: Genesis, _ word: String
  ) async throws -> Digest {
    try await self.devnet.register(
      keys, kind: kind, role: role, at: index, genesis: genesis,
      registrar: try KeyFile.registrar(self.devnet.member(index).registrar, passphrase: word))
  }

  /// Registers the patient of a bundle, and gives the bundle to the hospital's FHIR interface with the account in it.
  /// Keys and words are kept last, so that after a failure the same command begins with this patient again.
  private func patient(
    of file: String, at index: Int, _ genesis: Genesis, _ word: String
  ) async throws -> DevnetPatient {
    let bytes = try Files.read(file, max: FHIRResource.fileBytesMax)
    guard let bundle = try? CanonicalJSON(bytes), let entries = bundle["entry"]?.items,
      let place = entries.firstIndex(where: { $0["resource"]?["resourceType"]?.text == "Patient" }),
      let resource = entries[place]["resource"]
    else {
      throw Failure(
        "\(file) is no patient's", why: "a FHIR transaction bundle with one Patient is expected",
        remedy: "give another file", status: ExitStatus.badInput)
    }
    let phrase = RecoveryPhrase(entropy: SecureRandom.bytes(32))
    let keys = phrase.keys(network: genesis.network, hospital: MemberID(UInt32(index + 1)))
    let account = try await self.register(keys, .patient, role: 0, at: index, genesis, word)
    let identifier = CanonicalJSON.members([
      ("system", .string("urn:consilium:account")), ("value", .string("\(account)")),
    ])
    let linked = resource.setting("identifier", .array((resource["identifier"]?.items ?? []) + [identifier]))
    var all = entries
    all[place] = entries[place].setting("resource", linked)
    _ = try await FHIRClient.ask(
      self.devnet.fhir(index), .POST,
      String(decoding: bundle.setting("entry", .array(all)).canonicalBytes, as: UTF8.self)
    )
    // Organizations and practitioners come along; they are nobody's records.
    let subject = entries[place]["fullUrl"]?.text ?? ""
    let own = entries.filter {
      $0["resource"].map { String(decoding: $0.canonicalBytes, as: UTF8.self) }?.contains(subject) == true
    }
    let path = URL(filePath: file)
    let base = "\(self.devnet.folder)/patients/\(path.deletingPathExtension().lastPathComponent)"
    try Files.write(base + ".words", Array((phrase.words + "\n").utf8), mode: 0o600)
    return DevnetPatient(
      name: Self.name(of: resource), file: path.lastPathComponent, hospital: index + 1, account: "\(account)",
      words: base + ".words", resources: own.count + 1)
  }

  private static func name(of patient: CanonicalJSON) -> String {
    let name = patient["name"]?.items?.first
    let words = (name?["given"]?.items?.compactMap(\.text) ?? []) + [name?["family"]?.text ?? "Patient"]
    // Synthea numbers its names, so that nobody takes them for real ones.
    return words.joined(separator: " ").filter { !$0.isNumber }
  }
}

extension DevnetFolder {
  /// Registers somebody at a hospital, as its registrar; the account.
  func register(
    _ keys: PersonKeys, kind: AccountKind, role: UInt32, at index: Int, genesis: Genesis, registrar: [UInt8]
  ) async throws -> Digest {
    let hospital = MemberID(UInt32(index + 1))
    let word = keys.possession(as: kind, at: hospital, network: genesis.network)
    let asks = try await self.client(index).asksForPossession()
    let registration = Proven(
      Actors.registration(keys, kind: kind, role: role, days: 365), proof: asks ? word : nil)
    let transaction = try Drafts.transaction(
      .registerAccount, registration, genesis: genesis, hospital: hospital, signedBy: registrar)
    let receipt = try await self.client(index).submit(transaction)
    guard receipt.applied else {
      throw Failure(
        "nobody was registered at hospital \(index + 1)", why: receipt.outcome, remedy: "see consilium devnet logs",
        status: ExitStatus.refused)
    }
    return HealthRecords.Account.identifier(network: genesis.network, hospital: hospital, key: keys.publicKey)
  }

  /// The address of a hospital's FHIR interface.
  func fhir(_ index: Int) -> String { "http://127.0.0.1:\(Int(self.fhirPort) + index)/fhir" }
  /// The address of a hospital's pages.
  func portal(_ index: Int) -> String { "http://127.0.0.1:\(Int(self.portalPort) + index)/" }

  /// Says where the pages and interfaces are, and who can be met there.
  func showDoors(_ patients: [DevnetPatient]) {
    if self.portalPort > 0 || self.fhirPort > 0 {
      Console.line("")
      Console.table(
        ["hospital", "pages for patients, /clinic, /officer", "FHIR R4 for its EHR"],
        (0..<self.count).map { index in
          [
            index < Self.names.count ? Self.names[index] : "Hospital \(index + 1)",
            self.portalPort > 0 ? self.portal(index) : "", self.fhirPort > 0 ? self.fhir(index) : "",
          ]
        })
    }
    guard !patients.isEmpty else { return }
    Console.line("")
    Console.table(
      ["patient (made up)", "hospital", "records", "account", "24 words"],
      patients.map { [$0.name, "\($0.hospital)", "\($0.resources)", $0.account, $0.words] })
    guard self.portalPort > 0 else { return }
    Console.line("\nOpen a patient's hospital, choose \"I have my 24 words\" and give it what is in the file.")
    Console.line("At /clinic and /officer make keys, and register the code that the page shows, as the desk would:")
    let desk = "--registrar \(self.member(0).registrar) --api \(self.member(0).socket) --genesis \(self.genesis)"
    Console.line("  consilium account register CODE --role 207 \(desk) --passphrase-file \(self.passphrase)")
    Console.line("From a terminal, in the name of hospital 2's clinician, who is registered:")
    let second = self.member(min(1, self.count - 1))
    Console.line(
      "  consilium access request \(DevnetPatients.clinician(at: second)) --patient ACCOUNT --record RECORD "
        + "--purpose TREAT --api \(second.socket) --genesis \(self.genesis) --passphrase-file \(self.passphrase)")
  }
}
