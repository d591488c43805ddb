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

  /// The header and the sealed chunks of a plaintext; the last chunk, and only it, carries the FINAL tag.
  public static func seal(_ plaintext: [UInt8], key: [UInt8]) -> [[UInt8]] {
    precondition(key.count == self.keyLengthBytes, "a stream key has 32 bytes, not \(key.count)")
    Sodium.ready()
    var state = crypto_secretstream_xchacha20poly1305_state()
    var header = [UInt8](repeating: 0, count: self.headerLengthBytes)
    unsafe crypto_secretstream_xchacha20poly1305_init_push(&state, &header, key)
    var out = [header]
    var start = 0
    repeat {
      let end = min(start + self.chunkBytesMax, plaintext.count)
      let chunk = Array(plaintext[start..<end])
      let tag: UInt8 = end == plaintext.count ? 3 : 0  // FINAL or MESSAGE.
      var box = [UInt8](repeating: 0, count: chunk.count + self.overheadBytes)
      unsafe crypto_secretstream_xchacha20poly1305_push(
        &state, &box, nil, chunk, UInt64(chunk.count), nil, 0, tag)
      out.append(box)
      start = end
    } while start < plaintext.count
    return out
  }

  /// The plaintext of a header and its chunks; nil where one differs, is missing, or follows the FINAL one.
  public static func open(_ chunks: [[UInt8]], key: [UInt8]) -> [UInt8]? {
    guard key.count == self.keyLengthBytes, chunks.count >= 2, chunks[0].count == self.headerLengthBytes else {
      return nil
    }
    Sodium.ready()
    var state = crypto_secretstream_xchacha20poly1305_state()
    guard unsafe crypto_secretstream_xchacha20poly1305_init_pull(&state, chunks[0], key) == 0 else { return nil }
    var out: [UInt8] = []
    for (index, box) in chunks.enumerated().dropFirst() {
      guard box.count >= self.overheadBytes, box.count <= self.chunkBytesMax + self.overheadBytes else { return nil }
      var chunk = [UInt8](repeating: 0, count: box.count - self.overheadBytes)
      var tag: UInt8 = 0
      let status = unsafe crypto_secretstream_xchacha20poly1305_pull(
        &state, &chunk, nil, &tag, box, UInt64(box.count), nil, 0)
      guard status == 0, (tag == 3) == (index == chunks.count - 1) else { return nil }
      out += chunk
    }
    return out
  }
}
