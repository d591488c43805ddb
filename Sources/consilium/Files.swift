internal import Discovery
internal import Wire
internal import Foundation
internal import Gateway
internal import Messages
internal import Primitives
internal import Signing
internal import Storage

/// Reads and writes files with errors that say what to do.
enum Files {
  static func read(_ path: String, max: Int = 64 << 20) throws -> [UInt8] {
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else {
      throw Failure(
        "cannot read \(path)", why: "there is no such file", remedy: "check the path",
        status: ExitStatus.missingInput)
    }
    let size = attributes[.size] as? Int ?? 0
    guard size <= max else {
      throw Failure("cannot take \(path)", why: "it has \(size) bytes, at most \(max) are taken", remedy: "split it")
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw Failure(
        "cannot read \(path)", why: "the system refused", remedy: "check its permissions", status: ExitStatus.permission
      )
    }
    return Array(data)
  }

  /// What a file holds that this program once wrote, and that others were promised; nil only where there is nothing of
  /// its name. ⚑ Whatever is there and cannot be read is not a file that is missing.
  static func readKept(_ path: String, max: Int, remedy: String) throws -> [UInt8]? {
    func unreadable(_ why: String) -> Failure {
      Failure("cannot read \(path)", why: why, remedy: remedy, status: ExitStatus.configuration)
    }
    // Through a link; and never one that waits for somebody to write.
    let real = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
    let attributes: [FileAttributeKey: Any]
    do { attributes = try FileManager.default.attributesOfItem(atPath: real) } catch {
      guard (error as? CocoaError)?.code == .fileReadNoSuchFile else { throw unreadable(error.localizedDescription) }
      return nil
    }
    guard attributes[.type] as? FileAttributeType == .typeRegular else {
      throw unreadable("it is no file, but something else of its name")
    }
    let data: Data
    do {
      data = try FileHandle(forReadingFrom: URL(filePath: real)).read(upToCount: max + 1) ?? Data()
    } catch { throw unreadable(error.localizedDescription) }
    guard data.count <= max else { throw unreadable("it has more than \(max) bytes") }
    return Array(data)
  }

  /// The path as any folder's process finds it.
  static func absolute(_ path: String) -> String {
    path.hasPrefix("/")
      ? path
      : URL(filePath: FileManager.default.currentDirectoryPath).appending(path: path).standardized.path(
        percentEncoded: false)
  }

  static func write(_ path: String, _ bytes: some Sequence<UInt8>, mode: Int = 0o644) throws {
    let folder = URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let made = FileManager.default.createFile(
      atPath: path, contents: Data(bytes), attributes: [.posixPermissions: mode])
    guard made else {
      let isFull = DiskRoom.isGone(for: path)
      throw Failure(
        "cannot write \(path)", why: isFull ? "the disk is full" : "the system refused",
        remedy: isFull ? "free disk space, then try again" : "check the folder's permissions and the disk",
        status: ExitStatus.failedIO)
    }
  }

  /// Puts a file in place of another, durably and as a whole: after a crash it is the old one or the new one.
  static func replace(_ path: String, _ bytes: some Sequence<UInt8>, mode: Int) throws {
    let fresh = path + ".new"
    try self.write(fresh, bytes, mode: mode)
    do {
      let file = try FileHandle(forUpdating: URL(filePath: fresh))
      try file.synchronize()
      try file.close()
    } catch {
      throw Failure(
        "cannot write \(fresh)", why: "\(error)", remedy: "check the disk", status: ExitStatus.failedIO)
    }
    guard unsafe rename(fresh, path) == 0 else {
      throw Failure(
        "cannot write \(path)", why: "the system refused", remedy: "check the folder's permissions",
        status: ExitStatus.failedIO)
    }
    // The name is on the disk, too: else a power cut brings back what was there before.
    let parent = (path as NSString).deletingLastPathComponent
    let folder = unsafe open(parent.isEmpty ? "." : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    defer { if folder >= 0 { close(folder) } }
    guard folder >= 0, fsync(folder) == 0 || errno == EINVAL else {
      throw Failure(
        "cannot write \(path)", why: unsafe String(cString: strerror(errno)), remedy: "check the disk",
        status: ExitStatus.failedIO)
    }
  }

  /// Writes a file piece by piece; it has its name only once it is whole and on the disk.
  static func writeWhole<Value>(
    _ path: String, _ body: (_ write: ([UInt8]) async throws -> Void) async throws -> Value
  ) async throws -> Value {
    let fresh = path + ".part"
    try self.write(fresh, [], mode: 0o600)
    do {
      let file = try FileHandle(forWritingTo: URL(filePath: fresh))
      let value = try await body { piece in
        do { try file.write(contentsOf: Data(piece)) } catch {
          throw Failure(
            "cannot write \(fresh)", why: error.localizedDescription, remedy: "free disk space",
            status: ExitStatus.failedIO)
        }
      }
      try file.synchronize()
      try file.close()
      guard unsafe rename(fresh, path) == 0 else {
        throw Failure(
          "cannot write \(path)", why: "the system refused", remedy: "check the folder's permissions",
          status: ExitStatus.failedIO)
      }
      return value
    } catch {
      try? FileManager.default.removeItem(atPath: fresh)
      throw error
    }
  }

  static func writeJSON(_ path: String, _ value: some Encodable, mode: Int = 0o644) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try self.write(path, Array(try encoder.encode(value)) + [0x0a], mode: mode)
  }

  static func readJSON<T: Decodable>(_ path: String, as type: T.Type, _ what: String) throws -> T {
    let bytes = try self.read(path)
    do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch {
      throw Failure("\(path) is no \(what)", why: Self.explain(error), remedy: "make it again, or see what changed it")
    }
  }

  private static func explain(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "the member \"\(key.stringValue)\" is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      "\"\(context.codingPath.map(\.stringValue).joined(separator: "."))\" is of the wrong kind"
    case DecodingError.dataCorrupted: "it is no JSON"
    default: "\(error)"
    }
  }
}

extension MemberFile {
  /// The member, if others can dial what it publishes: what is signed into a genesis or a change stays there.
  func publishable(in path: String) throws -> Member {
    let member = try self.member(in: path)
    try Self.refuseUndiallable(member, in: path)
    return member
  }

  static func refuseUndiallable(_ member: Member, in path: String) throws {
    func bad(_ what: String, _ why: String, _ remedy: String) -> Failure {
      Failure("\(path): nobody can dial \(what) of \(member.id)", why: why, remedy: remedy)
    }
    guard !member.addresses.isEmpty else {
      throw bad("the node", "it publishes no address", "make it with consilium init --address")
    }
    for text in member.addresses {
      let fault: AddressFault?
      do throws(AddressFault) { fault = try PeerAddress.read(text).publishingFault } catch { fault = error }
      if let fault { throw bad(text, fault.why, fault.remedy) }
    }
  }

  /// Refuses members of whom two share a number, a key, or an address: the second would stand for ever in what is
  /// signed, and one of the two would never be reached.
  static func refuseTwice(_ members: [Member], remedy: String) throws {
    for (place, later) in members.enumerated() {
      for earlier in members[..<place] {
        guard let shared = self.shared(earlier, later) else { continue }
        throw Failure(
          "members \(earlier.id.number) (\(earlier.name)) and \(later.id.number) (\(later.name)) share \(shared)",
          why: "each member needs its own", remedy: remedy)
      }
    }
  }

  /// What two members share that each must have alone; nil for nothing.
  private static func shared(_ one: Member, _ other: Member) -> String? {
    if one.id == other.id { return "one number" }
    if one.key == other.key { return "one key" }
    if one.checkpointKey == other.checkpointKey { return "one checkpointKey" }
    if one.registrarKey == other.registrarKey { return "one registrarKey" }
    if one.sealingKey == other.sealingKey { return "one sealingKey" }
    let places = Set(one.addresses.compactMap { PeerAddress($0)?.place })
    return other.addresses.first { PeerAddress($0).map { places.contains($0.place) } ?? false }.map {
      "the address \($0)"
    }
  }

  /// The member; nil where something is malformed.
  var member: Member? { try? self.member(in: "") }

  func member(in path: String) throws -> Member {
    func bad(_ field: String) -> Failure {
      Failure("\(path) describes no member", why: "\(field) is wrong", remedy: "make it again with consilium init")
    }
    guard self.number > 0 else { throw bad("number") }
    guard self.name.utf8.count <= Member.textBytesMax else { throw bad("name") }
    guard let key = Hex.decode(self.key).flatMap({ PublicKey($0) }) else { throw bad("key") }
    guard let checkpoint = Hex.decode(self.checkpointKey).flatMap({ PublicKey($0) }) else { throw bad("checkpointKey") }
    guard let registrar = Hex.decode(self.registrarKey).flatMap({ PublicKey($0) }) else { throw bad("registrarKey") }
    guard let sealing = Hex.decode(self.sealingKey).flatMap({ Digest($0) }) else { throw bad("sealingKey") }
    return Member(
      id: MemberID(self.number), name: self.name, key: key, checkpointKey: checkpoint, registrarKey: registrar,
      sealingKey: sealing, addresses: self.addresses)
  }
}

extension GenesisFile {
  /// The engine of a name that somebody typed.
  static func engine(_ name: String) throws -> OrderingEngine {
    guard let engine = OrderingEngine(name: name) else {
      throw Failure("there is no engine \(name)", why: "the engines are pbft and raft", remedy: "use one of them")
    }
    return engine
  }

  /// Reads a genesis file and checks that its network identifier is its content's.
  static func read(_ path: String) throws -> Genesis {
    let file = try Files.readJSON(path, as: GenesisFile.self, "genesis")
    var limits = LedgerLimits()
    var rules: (version: UInt64?, age: UInt64) = (nil, 0)
    func bad(_ why: String, _ remedy: String) -> Failure {
      Failure("\(path) is no genesis", why: why, remedy: remedy, status: ExitStatus.configuration)
    }
    for (name, value) in file.limits {
      switch name {
      case "pipelineMax": limits.pipelineMax = value
      case "cutTransactionsMax": limits.cutTransactionsMax = value
      case "cutBytesMax": limits.cutBytesMax = value
      case "checkpointInterval": limits.checkpointInterval = value
      case "transactionLifeMilliseconds": limits.transactionLifeMilliseconds = value
      case "clockDriftMilliseconds": limits.clockDriftMilliseconds = value
      case "blockBytesMax": limits.blockBytesMax = UInt32(clamping: value)
      case "transactionBytesMax": limits.transactionBytesMax = UInt32(clamping: value)
      case "rulesVersion": rules.version = value
      case "emergencyAgeMilliseconds": rules.age = value
      default: throw bad("there is no limit \(name)", "take it out, or install the version that knows it")
      }
    }
    if let version = rules.version {
      guard let number = UInt16(exactly: version),
        let agreed = AgreedRules(version: number, emergencyAgeMilliseconds: rules.age)
      else {
        throw bad("it has rules of version \(version)", "install the version that knows them")
      }
      limits.rules = agreed
    }
    guard let engine = OrderingEngine(name: file.engine) else {
      throw bad("the engine \(file.engine) is unknown", "use pbft or raft")
    }
    let members = try file.members.map { try $0.member(in: path) }
    guard let genesis = Genesis(name: file.name, engine: engine, limits: limits, members: members),
      (try? Genesis.decode(genesis.encoded)) != nil
    else { throw bad("members or limits do not fit together", "make it again with consilium genesis new") }
    guard genesis.network.description == file.network else {
      throw bad(
        "its content gives network \(genesis.network.short)…, the file says \(file.network.short)…",
        "somebody changed it: get it from another member again")
    }
    return genesis
  }
}

extension PeerAddress {
  /// Where it leads, whether or not anything answers there.
  fileprivate var place: PeerAddress {
    PeerAddress(kind: self.kind, host: self.host.lowercased(), port: self.port, peer: nil)
  }
}
