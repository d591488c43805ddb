public import Primitives
internal import Signing

/// Seals content of any length in one pass: what goes in comes out as chunks, and nothing else is kept.
public struct ContentSealing: Sendable {
  /// What was drawn for it.
  public let secrets: SealedRecord.Secrets
  private var sealer: SecretStream.Sealer
  private var lock: HashLock.Running
  private var check = AddressCheck()
  private var waiting: [UInt8]

  /// A sealing with fresh secrets.
  public init(_ secrets: SealedRecord.Secrets) {
    self.secrets = secrets
    self.sealer = SecretStream.Sealer(key: secrets.key)
    self.lock = HashLock.Running(salt: secrets.salt)
    self.waiting = secrets.salt
  }

  /// The chunks that are full now; the header comes before the first.
  public mutating func take(_ content: [UInt8]) -> [[UInt8]] {
    self.lock.update(content)
    var out: [[UInt8]] = self.check.sizeBytes == 0 ? [self.sealer.header] : []
    var start = 0
    // A full chunk waits for the next byte: it could be the last one.
    while self.waiting.count + content.count - start > SecretStream.chunkBytesMax {
      let end = start + SecretStream.chunkBytesMax - self.waiting.count
      if self.waiting.isEmpty {
        out.append(self.sealer.seal(content[start..<end], isLast: false))
      } else {
        self.waiting += content[start..<end]
        out.append(self.sealer.seal(self.waiting[...], isLast: false))
      }
      (self.waiting, start) = ([], end)
    }
    self.waiting += content[start...]
    self.check.take(out)
    return out
  }

  /// The last chunk; nothing can follow.
  public mutating func finish() -> [[UInt8]] {
    var out = self.take([])
    let last = [self.sealer.seal(self.waiting[...], isLast: true)]
    self.waiting = []
    self.check.take(last)
    out += last
    return out
  }

  /// The hash-lock of the content so far.
  public var hashLock: Digest { self.lock.digest }
  /// The ciphertext so far.
  public var ciphertext: AddressCheck { self.check }
}

/// Opens a sealed record chunk by chunk, and holds it against its anchor. ⚑ Until `finish` has said so, nothing that
/// came out is what was anchored.
public struct ContentOpening: Sendable {
  private let anchor: RecordAnchor
  private let key: [UInt8]
  private var opener: SecretStream.Opener?
  private var lock: HashLock.Running?
  private var salt: [UInt8] = []
  private var check = AddressCheck()

  /// An opening with the record's key.
  public init(key: [UInt8], anchored anchor: RecordAnchor) { (self.key, self.anchor) = (key, anchor) }

  /// The content of the next chunk.
  ///
  /// - Throws: `RecordFault.encryption` where the key does not open it, or there is too much of it.
  public mutating func open(_ chunk: [UInt8]) throws(RecordFault) -> [UInt8] {
    self.check.take([chunk])
    guard self.check.sizeBytes <= self.anchor.sizeBytes else { throw .address }
    guard self.opener != nil else {
      self.opener = SecretStream.Opener(header: chunk, key: self.key)
      guard self.opener != nil else { throw .encryption }
      return []
    }
    guard var content = self.opener?.open(chunk) else { throw .encryption }
    let missing = HashLock.saltLengthBytes - self.salt.count
    if missing > 0 {
      self.salt += content.prefix(missing)
      content.removeFirst(min(missing, content.count))
      guard self.salt.count == HashLock.saltLengthBytes else { return [] }
      self.lock = HashLock.Running(salt: self.salt)
    }
    self.lock?.update(content)
    return content
  }

  /// All chunks were opened: the salt, if everything is what was anchored.
  ///
  /// - Throws: `RecordFault` where ciphertext, encryption or content are not.
  public func finish() throws(RecordFault) -> [UInt8] {
    guard self.check.address == self.anchor.address, self.check.sizeBytes == self.anchor.sizeBytes else {
      throw .address
    }
    guard self.opener?.isOver == true, let lock = self.lock else { throw .encryption }
    guard lock.digest == self.anchor.hashLock else { throw .hashLock }
    return self.salt
  }
}

extension HashLock {
  /// A hash-lock of content that comes piece by piece.
  public struct Running: Sendable {
    private var hash = Hash.Running()
    /// Of no content yet.
    public init(salt: [UInt8]) {
      self.hash.update(Array("consilium/record/v1\0".utf8))
      self.hash.update(salt)
    }
    /// The next piece.
    public mutating func update(_ content: [UInt8]) { self.hash.update(content) }
    /// The hash-lock of all pieces so far.
    public var digest: Digest { self.hash.digest }
  }
}

/// Cuts a ciphertext that comes in pieces of any length into its chunks.
public struct ChunkCutter: Sendable {
  private var waiting: [UInt8] = []
  private var isBegun = false

  /// Nothing came yet.
  public init() {}

  /// The chunks that are whole now; what may be the last one waits.
  public mutating func take(_ bytes: [UInt8]) -> [[UInt8]] {
    self.waiting += bytes
    var (out, start): ([[UInt8]], Int) = ([], 0)
    while true {
      let length =
        self.isBegun ? SecretStream.chunkBytesMax + SecretStream.overheadBytes : SecretStream.headerLengthBytes
      guard self.waiting.count - start > length else { break }
      out.append(Array(self.waiting[start..<start + length]))
      (self.isBegun, start) = (true, start + length)
    }
    self.waiting.removeFirst(start)
    return out
  }

  /// The last chunk; empty where nothing came.
  public var last: [[UInt8]] { self.waiting.isEmpty ? [] : [self.waiting] }
}
