internal import CZlib

/// gzip (RFC 1952) for answers: a whole array in, a whole array out.
package enum Gzip {
  /// What wraps a deflate stream as gzip, with the largest window (zlib, `deflateInit2`).
  fileprivate static let windowBits: Int32 = 15 + 16
  private static let memoryLevel: Int32 = 8
  fileprivate static let pieceBytes = 64 << 10

  /// The bytes compressed; nil where there is no memory for that.
  package static func compress(_ bytes: [UInt8]) -> [UInt8]? {
    var stream = unsafe z_stream()
    let size = unsafe Int32(MemoryLayout<z_stream>.size)
    let status = unsafe deflateInit2_(
      &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, self.windowBits, self.memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      size)
    guard status == Z_OK else { return nil }
    defer { unsafe deflateEnd(&stream) }
    var input = bytes
    var out: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: self.pieceBytes)
    return unsafe input.withUnsafeMutableBufferPointer { source in
      unsafe stream.next_in = source.baseAddress
      unsafe stream.avail_in = UInt32(clamping: source.count)
      while true {
        let (status, made) = unsafe pump(&stream, into: &piece) { unsafe deflate($0, Z_FINISH) }
        out += piece[..<made]
        if status == Z_STREAM_END { return unsafe stream.avail_in == 0 ? out : nil }
        guard status == Z_OK, made > 0 else { return nil }
      }
    }
  }
}

/// One step of a stream into a piece: what zlib says, and how many bytes it made.
private func pump(
  _ stream: inout z_stream, into piece: inout [UInt8], _ step: (UnsafeMutablePointer<z_stream>) -> Int32
) -> (status: Int32, made: Int) {
  unsafe piece.withUnsafeMutableBufferPointer { target in
    unsafe stream.next_out = target.baseAddress
    unsafe stream.avail_out = UInt32(target.count)
    let status = unsafe step(&stream)
    let free = unsafe Int(stream.avail_out)
    return (status, target.count - free)
  }
}

/// Unpacks a gzip stream while it comes. ⚑ Bounded by what it holds and by how dense it is before anything of it is
/// kept: 60 KB can hold 60 MB, and no text that people write does.
@safe
package final class Gunzip {
  /// How many bytes one packed byte may hold, beyond the first MiB. FHIR's JSON packs to a tenth, or a fiftieth.
  package static let ratioMax = 200
  private static let freeBytes = 1 << 20

  // zlib keeps the stream's address: it must not move.
  private let stream: UnsafeMutablePointer<z_stream>
  private let max: Int
  private var (packed, made, isEnded) = (0, 0, false)
  private var piece = [UInt8](repeating: 0, count: Gzip.pieceBytes)

  /// Unpacks at most so many bytes; nil where there is no memory for that.
  package init?(max: Int) {
    self.max = max
    unsafe self.stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe self.stream.initialize(to: z_stream())
    let size = unsafe Int32(MemoryLayout<z_stream>.size)
    guard unsafe inflateInit2_(self.stream, Gzip.windowBits, ZLIB_VERSION, size) == Z_OK else { return nil }
  }

  deinit {
    unsafe inflateEnd(self.stream)
    unsafe self.stream.deallocate()
  }

  /// What some more packed bytes hold.
  ///
  /// - Throws: `ServiceRefusal` where they are no gzip, hold too much, or are too dense.
  package func take(_ bytes: [UInt8]) throws(ServiceRefusal) -> [UInt8] {
    guard !bytes.isEmpty else { return [] }
    guard !self.isEnded else { throw .badRequest("something follows on the gzip stream") }
    self.packed += bytes.count
    let room = min(self.max, Self.freeBytes + self.packed * Self.ratioMax) - self.made
    var input = bytes
    var out: [UInt8] = []
    var fault: ServiceRefusal?
    unsafe input.withUnsafeMutableBufferPointer { source in
      unsafe self.stream.pointee.next_in = source.baseAddress
      unsafe self.stream.pointee.avail_in = UInt32(clamping: source.count)
      while fault == nil, !self.isEnded {
        let (status, made) = unsafe pump(&self.stream.pointee, into: &self.piece) { unsafe inflate($0, Z_NO_FLUSH) }
        let left = unsafe self.stream.pointee.avail_in
        self.isEnded = status == Z_STREAM_END
        if out.count + made > room {
          fault =
            self.made + out.count + made > self.max
            ? .tooLarge(max: self.max)
            : .badRequest("one packed byte may hold \(Self.ratioMax) bytes, and these hold more: send it plain")
        } else if self.isEnded ? left > 0 : (status != Z_OK && status != Z_BUF_ERROR) {
          fault = .badRequest("the body is no gzip stream")
        } else {
          out += self.piece[..<made]
          if made < self.piece.count { break }
        }
      }
    }
    if let fault { throw fault }
    self.made += out.count
    return out
  }

  /// Requires that the stream came whole.
  package func finish() throws(ServiceRefusal) {
    guard self.isEnded else { throw .badRequest("the body is no whole gzip stream") }
  }
}
