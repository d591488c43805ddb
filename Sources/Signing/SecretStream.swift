internal import CSodium

/// Encryption of long objects in chunks that cannot be cut, swapped or appended to
/// (libsodium `crypto_secretstream_xchacha20poly1305`).
public enum SecretStream {
  /// A key's length in bytes.
  public static let keyLengthBytes = 32
  /// The header's length in bytes.
  public static let headerLengthBytes = 24
  /// Bytes that each chunk grows by.
  public static let overheadBytes = 17
  /// The most bytes of a chunk's plaintext.
  public static let chunkBytesMax = 64 << 10
  /// The tags MESSAGE and FINAL.
  private static let (message, final): (UInt8, UInt8) = (0, 3)

  /// One stream that is being sealed, chunk by chunk.
  public struct Sealer: Sendable {
    /// What comes before all chunks.
    public let header: [UInt8]
    private var state = crypto_secretstream_xchacha20poly1305_state()

    /// A stream under a fresh key.
    public init(key: [UInt8]) {
      precondition(key.count == SecretStream.keyLengthBytes, "a stream key has 32 bytes, not \(key.count)")
      Sodium.ready()
      var header = [UInt8](repeating: 0, count: SecretStream.headerLengthBytes)
      unsafe crypto_secretstream_xchacha20poly1305_init_push(&self.state, &header, key)
      self.header = header
    }

    /// The next sealed chunk; the last one, and only it, carries the FINAL tag. Nothing is copied or cleared besides.
    public mutating func seal(_ chunk: ArraySlice<UInt8>, isLast: Bool) -> [UInt8] {
      precondition(chunk.count <= SecretStream.chunkBytesMax, "a chunk of \(chunk.count) bytes")
      let tag = isLast ? SecretStream.final : SecretStream.message
      let count = chunk.count + SecretStream.overheadBytes
      return unsafe [UInt8](unsafeUninitializedCapacity: count) { box, filled in
        unsafe chunk.withUnsafeBufferPointer { plain in
          _ = unsafe crypto_secretstream_xchacha20poly1305_push(
            &self.state, box.baseAddress, nil, plain.baseAddress, UInt64(plain.count), nil, 0, tag)
        }
        filled = count
      }
    }
  }

  /// One stream that is being opened, chunk by chunk.
  public struct Opener: Sendable {
    /// Whether the last chunk was opened: nothing may follow it, and without it something is missing.
    public private(set) var isOver = false
    private var state = crypto_secretstream_xchacha20poly1305_state()

    /// A stream that begins with a header; nil where that is none.
    public init?(header: [UInt8], key: [UInt8]) {
      guard key.count == SecretStream.keyLengthBytes, header.count == SecretStream.headerLengthBytes else { return nil }
      Sodium.ready()
      guard unsafe crypto_secretstream_xchacha20poly1305_init_pull(&self.state, header, key) == 0 else { return nil }
    }

    /// The next chunk's plaintext; nil where it is not the one that was sealed there.
    public mutating func open(_ box: [UInt8]) -> [UInt8]? {
      guard !self.isOver, box.count >= SecretStream.overheadBytes,
        box.count <= SecretStream.chunkBytesMax + SecretStream.overheadBytes
      else { return nil }
      var (tag, status): (UInt8, Int32) = (0, -1)
      let count = box.count - SecretStream.overheadBytes
      let chunk = unsafe [UInt8](unsafeUninitializedCapacity: count) { plain, filled in
        status = unsafe crypto_secretstream_xchacha20poly1305_pull(
          &self.state, plain.baseAddress, nil, &tag, box, UInt64(box.count), nil, 0)
        filled = status == 0 ? count : 0
      }
      guard status == 0, [SecretStream.message, SecretStream.final].contains(tag) else { return nil }
      self.isOver = tag == SecretStream.final
      return chunk
    }
  }

  /// The header and the sealed chunks of a plaintext.
  public static func seal(_ plaintext: [UInt8], key: [UInt8]) -> [[UInt8]] {
    var sealer = Sealer(key: key)
    var out = [sealer.header]
    var start = 0
    repeat {
      let end = min(start + self.chunkBytesMax, plaintext.count)
      out.append(sealer.seal(plaintext[start..<end], isLast: end == plaintext.count))
      start = end
    } while start < plaintext.count
    return out
  }

  /// The plaintext of a header and its chunks; nil where one differs, is missing, or follows the FINAL one.
  public static func open(_ chunks: [[UInt8]], key: [UInt8]) -> [UInt8]? {
    guard let header = chunks.first, var opener = Opener(header: header, key: key) else { return nil }
    var out: [UInt8] = []
    for box in chunks.dropFirst() {
      guard let chunk = opener.open(box) else { return nil }
      out += chunk
    }
    return opener.isOver ? out : nil
  }
}
