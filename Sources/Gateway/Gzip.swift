internal import CZlib

/// gzip (RFC 1952) for bodies: whole arrays in, whole arrays out, never more than the caller allows.
enum Gzip {
  /// What wraps a deflate stream as gzip, with the largest window (zlib, `deflateInit2`).
  private static let windowBits: Int32 = 15 + 16
  private static let memoryLevel: Int32 = 8
  private static let pieceBytes = 64 << 10

  /// The bytes compressed; nil where there is no memory for that.
  static func compress(_ bytes: [UInt8]) -> [UInt8]? {
    var stream = unsafe z_stream()
    let size = unsafe Int32(MemoryLayout<z_stream>.size)
    let status = unsafe deflateInit2_(
      &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, self.windowBits, self.memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      size)
    guard status == Z_OK else { return nil }
    defer { unsafe deflateEnd(&stream) }
    return unsafe self.pump(&stream, bytes, max: .max) { unsafe deflate($0, Z_FINISH) }
  }

  /// The bytes that were compressed; nil where these are no whole gzip stream, or it holds more than `max`.
  static func decompress(_ bytes: [UInt8], max: Int) -> [UInt8]? {
    var stream = unsafe z_stream()
    let size = unsafe Int32(MemoryLayout<z_stream>.size)
    guard unsafe inflateInit2_(&stream, self.windowBits, ZLIB_VERSION, size) == Z_OK else { return nil }
    defer { unsafe inflateEnd(&stream) }
    return unsafe self.pump(&stream, bytes, max: max) { unsafe inflate($0, Z_NO_FLUSH) }
  }

  /// Runs a stream over all input until it ends.
  private static func pump(
    _ stream: inout z_stream, _ bytes: [UInt8], max: Int, _ step: (UnsafeMutablePointer<z_stream>) -> Int32
  ) -> [UInt8]? {
    var input = bytes
    var out: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: self.pieceBytes)
    return unsafe input.withUnsafeMutableBufferPointer { source in
      unsafe stream.next_in = source.baseAddress
      unsafe stream.avail_in = UInt32(clamping: source.count)
      while true {
        let (status, made) = unsafe piece.withUnsafeMutableBufferPointer { target -> (Int32, Int) in
          unsafe stream.next_out = target.baseAddress
          unsafe stream.avail_out = UInt32(target.count)
          let status = unsafe step(&stream)
          let free = unsafe Int(stream.avail_out)
          return (status, target.count - free)
        }
        out += piece[..<made]
        guard out.count <= max else { return nil }
        let left = unsafe stream.avail_in
        if status == Z_STREAM_END { return left == 0 ? out : nil }
        guard status == Z_OK, made > 0 || left > 0 else { return nil }
      }
    }
  }
}
