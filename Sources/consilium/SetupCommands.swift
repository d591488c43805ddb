internal import Gateway
internal import ArgumentParser
internal import Discovery
internal import Foundation
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Signing

/// `consilium init`
struct Init: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a new member's folder: keys, configuration, public description.",
    discussion: """
      Example:
        consilium init /etc/consilium --member 3 --name "St. Mary" --listen /ip4/10.0.0.3/tcp/4001 \\
          --passphrase-file /root/passphrase
        consilium init /etc/consilium --member 3 --name "St. Mary" --address /dns4/node.st-mary.example/tcp/4001 \\
          --listen /ip4/0.0.0.0/tcp/4001 --passphrase-file /root/passphrase

      The other members dial --address, which is published for good: an IP address (/ip4/… or /ip6/…) or a name (/dns4/…
      or /dns6/…), which they look up each time. The node itself listens on --listen. Either may be left out where the
      other says it all.

      Give member.json to the hospital that makes the genesis; of a hospital that joins, comes back under new keys or
      has a new address, to one that proposes the change (consilium member propose). Keep registrar.key off this
      machine.
      """)

  @Argument(help: "The folder to make.") var folder: String
  @Option(help: "The member's number, 1 or more, which no other member has.") var member: UInt32
  @Option(help: "The hospital's name.") var name: String
  @Option(help: "Where this node listens, as /ip4/ADDRESS/tcp/PORT; 0.0.0.0 or :: for all of the machine's addresses.")
  var listen: String?
  @Option(help: "Where the other members dial it, as /dns4/NAME/tcp/PORT or /ip4/ADDRESS/tcp/PORT; up to eight.")
  var address: [String] = []
  @OptionGroup var passphrase: PassphraseOptions

  func run() async throws {
    try await reporting {
      try MemberFolder(path: self.folder).make(
        number: self.member, name: self.name, listen: try self.listening(), addresses: self.address,
        passphrase: try self.passphrase.readNew(),
        // The node may be started from another folder.
        passphraseFile: self.passphrase.passphraseFile.map { Files.absolute($0) })
      Console.line("Made \(self.folder): node.key, registrar.key, member.json, node.toml.")
      Console.line("Next: put genesis.json into this folder. Where there is none yet, give member.json to the hospital")
      Console.line(
        "that makes it; else to a member that proposes the change (consilium member propose add or replace).")
    }
  }
}

extension Init {
  private func listening() throws -> String {
    if let listen { return listen }
    guard let text = self.address.first else {
      throw Failure(
        "no address", why: "neither --listen nor --address is given", remedy: "give --listen /ip4/10.0.0.3/tcp/4001")
    }
    let address = try MemberFolder.read(text, as: "--address")
    switch address.kind {
    case .ip4, .ip6: return text
    case .dns4: return "/ip4/0.0.0.0/tcp/\(address.port)"
    case .dns6: return "/ip6/::/tcp/\(address.port)"
    }
  }
}

/// The files of one member.
struct MemberFolder {
  let path: String
  var keys: String { self.path + "/node.key" }
  var registrar: String { self.path + "/registrar.key" }
  var description: String { self.path + "/member.json" }
  var config: String { self.path + "/node.toml" }
  var genesis: String { self.path + "/genesis.json" }
  var socket: String { self.path + "/api.sock" }
  var log: String { self.path + "/node.log" }

  static func read(_ text: String, as option: String) throws -> PeerAddress {
    do throws(AddressFault) { return try PeerAddress.read(text) } catch {
      throw Failure("cannot take \(option) \(text)", why: error.why, remedy: error.remedy)
    }
  }

  /// What others dial: as given, or where it listens.
  private static func published(_ addresses: [String], listen: PeerAddress) throws -> [PeerAddress] {
    guard addresses.count <= Member.addressesMax else {
      throw Failure(
        "too many addresses", why: "a member publishes at most \(Member.addressesMax)", remedy: "give fewer")
    }
    guard !addresses.isEmpty else {
      guard let fault = listen.publishingFault else { return [listen] }
      throw Failure(
        "cannot publish \(listen)", why: fault.why,
        remedy: "give --address too: the address or the name at which the other hospitals reach this node")
    }
    return try addresses.map { text in
      let address = try self.read(text, as: "--address")
      if let fault = address.publishingFault {
        throw Failure("cannot publish \(text)", why: fault.why, remedy: fault.remedy)
      }
      return address
    }
  }

  func make(
    number: UInt32, name: String, listen: String, addresses: [String] = [], passphrase: String, passphraseFile: String?
  ) throws {
    guard number > 0, name.utf8.count <= Member.textBytesMax else {
      throw Failure("no such member", why: "numbers start at 1, names have at most 256 bytes", remedy: "choose others")
    }
    let own = try Self.read(listen, as: "--listen")
    if let fault = own.listeningFault {
      throw Failure("cannot listen on \(listen)", why: fault.why, remedy: fault.remedy)
    }
    let published = try Self.published(addresses, listen: own)
    do {
      try FileManager.default.createDirectory(
        atPath: self.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw Failure(
        "cannot make \(self.path)", why: error.localizedDescription, remedy: "choose another folder, or ask its owner",
        status: ExitStatus.permission)
    }
    let keys = try KeyFile.fresh(.member, passphrase: passphrase)
    try keys.save(self.keys)
    let registrar = try KeyFile.fresh(.registrar, passphrase: passphrase)
    try registrar.save(self.registrar)
    func key(_ name: String) -> PublicKey? {
      keys.publicKeys[name].flatMap { Hex.decode($0) }.flatMap { PublicKey($0) }
    }
    guard let memberKey = key("key"), let checkpointKey = key("checkpointKey"),
      let sealing = keys.publicKeys["sealingKey"].flatMap({ Hex.decode($0) }).flatMap({ Digest($0) }),
      let registrarKey = registrar.publicKeys["registrarKey"].flatMap({ Hex.decode($0) }).flatMap({ PublicKey($0) })
    else { throw Failure("cannot make keys", why: "libsodium gave none", remedy: "report this") }
    let full = published.map { PeerAddress(kind: $0.kind, host: $0.host, port: $0.port, peer: memberKey) }
    let member = Member(
      id: MemberID(number), name: name, key: memberKey, checkpointKey: checkpointKey, registrarKey: registrarKey,
      sealingKey: sealing, addresses: full.map { "\($0)" })
    try Files.writeJSON(self.description, MemberFile(member))
    try Files.write(
      self.config, Array(NodeConfig.template(member: number, listen: listen, passphraseFile: passphraseFile).utf8))
  }
}

/// `consilium keys`
struct Keys: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make and show the keys of people and third parties.", subcommands: [New.self, Show.self, Phrase.self])

  struct New: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make keys, encrypted under a passphrase.",
      discussion: """
        Example:
          consilium keys new practitioner --out dr-lee.key
          consilium keys new patient --out patient.key --words recovery.txt
        """)
    @Argument(help: "practitioner, patient or third-party.") var kind: KeyFile.Kind
    @Option(help: "The key file to make.") var out: String
    @Option(help: "For patients: where to write the 24 recovery words, for safe keeping on paper.") var words: String?
    @OptionGroup var passphrase: PassphraseOptions

    func run() async throws {
      try await reporting {
        let passphrase = try self.passphrase.readNew()
        let secrets = SecureRandom.bytes(self.kind == .patient || self.kind == .registrar ? 32 : 64)
        guard self.kind != .member else {
          throw Failure("no member's keys are made here", why: "they belong to a folder", remedy: "use consilium init")
        }
        try KeyFile(kind: self.kind, secrets: secrets, passphrase: passphrase).save(self.out)
        if let words, self.kind == .patient {
          try Files.write(words, Array((RecoveryPhrase(entropy: secrets).words + "\n").utf8), mode: 0o600)
        }
        Console.line("Made \(self.out).")
      }
    }
  }

  struct Phrase: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "recover", abstract: "Make a patient's key file again from the 24 recovery words.",
      discussion: "Example:\n  consilium keys recover --words recovery.txt --out patient.key")
    @Option(help: "The file with the 24 words.") var words: String
    @Option(help: "The key file to make.") var out: String
    @OptionGroup var passphrase: PassphraseOptions

    func run() async throws {
      try await reporting {
        let text = String(decoding: try Files.read(self.words, max: 4096), as: UTF8.self)
        let phrase: RecoveryPhrase
        do throws(PhraseFault) { phrase = try RecoveryPhrase(words: text) } catch {
          throw Failure("\(self.words) is no recovery phrase", why: "\(error)", remedy: "compare it with the paper")
        }
        try KeyFile(kind: .patient, secrets: phrase.entropy, passphrase: try self.passphrase.readNew()).save(self.out)
        Console.line("Made \(self.out).")
      }
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the public halves of a key file; secrets are never printed.",
      discussion: "Example:\n  consilium keys show dr-lee.key --output json")
    @Argument(help: "The key file.") var file: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let file = try KeyFile.load(self.file)
        var shown = file.publicKeys
        shown["kind"] = file.kind.rawValue
        if let key = shown["key"].flatMap({ Hex.decode($0) }).flatMap({ PublicKey($0) }), file.kind == .member {
          shown["peer"] = key.peerIdentifier
        }
        if self.output.output == .json { return try Console.json(shown) }
        Console.table(["what", "value"], shown.keys.sorted().map { [$0, shown[$0] ?? ""] })
      }
    }
  }
}

/// `consilium genesis`
struct GenesisCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "genesis", abstract: "Make and check the file that a consortium starts from.",
    subcommands: [New.self, Check.self])

  struct New: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a genesis of members' descriptions.",
      discussion: "Example:\n  consilium genesis new --name \"Four Hospitals\" --out genesis.json h*/member.json")
    @Option(help: "The consortium's name.") var name: String
    @Option(help: "The file to make.") var out: String
    @Option(help: "What orders: pbft (no member need trust another) or raft (crashes only, one administration).")
    var engine = "pbft"
    @Option(help: "How many hours old a practitioner's account must be to break the glass, at most 2160.")
    var emergencyAgeHours: UInt64 = 24
    @Argument(help: "The members' member.json files.") var members: [String]

    func run() async throws {
      try await reporting {
        guard !FileManager.default.fileExists(atPath: self.out) else {
          throw Failure(
            "cannot make \(self.out)", why: "there is such a file already, and a consortium may have started from it",
            remedy: "choose another name, or move it away")
        }
        let members = try self.members.map { path in
          try Files.readJSON(path, as: MemberFile.self, "member's description").publishable(in: path)
        }
        try MemberFile.refuseTwice(
          members,
          remedy:
            "give each member's file once, and have one of the two made again with consilium init, with a number, "
            + "keys and an --address of its own")
        let engine = try GenesisFile.engine(self.engine)
        var limits = LedgerLimits()
        limits.rules = try AgreedRules.newest(emergencyAgeHours: self.emergencyAgeHours)
        guard let genesis = Genesis(name: self.name, engine: engine, limits: limits, members: members) else {
          throw Failure(
            "no genesis can be made", why: "it needs 1 to \(ReplicaSet.countMax) members",
            remedy: "give the member.json of each")
        }
        try Files.writeJSON(self.out, GenesisFile(genesis))
        Console.line("Made \(self.out): network \(genesis.network), \(members.count) members, engine \(engine).")
        let quorum = genesis.configuration.quorum
        let f = genesis.configuration.faultyMax
        switch engine {
        case .pbft where f == 0: Console.line("A quorum is \(quorum), and none may fail: keep at least four members.")
        case .pbft: Console.line("A quorum is \(quorum); up to \(f) may be faulty.")
        case .raft:
          let spare = members.count - quorum
          Console.line("A quorum is \(quorum); \(spare == 0 ? "none" : "up to \(spare)") may stop, and none may lie.")
          Console.line("Hospitals under different administrations should choose pbft.")
        }
      }
    }
  }

  struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check a genesis and show its members.", discussion: "Example:\n  consilium genesis check genesis.json")
    @Argument(help: "The genesis file.") var file: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let genesis = try GenesisFile.read(self.file)
        for member in genesis.members { try MemberFile.refuseUndiallable(member, in: self.file) }
        try MemberFile.refuseTwice(
          genesis.members, remedy: "do not start from \(self.file): have one of the two made again, and the genesis too"
        )
        if self.output.output == .json {
          let peers = genesis.members.map(\.key.peerIdentifier)
          return try Console.json(With(GenesisFile(genesis), [Told("peers", "", ["peers": peers])]))
        }
        Console.line("\(genesis.name): network \(genesis.network), engine \(genesis.engine)")
        Console.table(
          ["member", "name", "peer", "address"],
          genesis.members.map {
            ["\($0.id.number)", $0.name, $0.key.peerIdentifier, $0.addresses.first ?? "none"]
          })
      }
    }
  }
}
