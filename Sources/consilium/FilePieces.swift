internal import Foundation
internal import NIOCore

/// A file's content piece by piece: however long it is, it takes no more memory than a piece.
struct FilePieces: Sequence, Sendable {
  private static let pieceBytes = 1 << 20
  private let path: String
  /// The file's bytes.
  let sizeBytes: Int

  /// - Throws: `Failure` where there is no such file.
  init(_ path: String) throws {
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
      attributes[.type] as? FileAttributeType == .typeRegular, FileHandle(forReadingAtPath: path) != nil
    else {
      throw Failure(
        "cannot read \(path)", why: "there is no such file, or it may not be read", remedy: "check the path",
        status: ExitStatus.missingInput)
    }
    (self.path, self.sizeBytes) = (path, attributes[.size] as? Int ?? 0)
  }

  /// Reads the file from its start.
  struct Iterator: IteratorProtocol {
    fileprivate let handle: FileHandle?
    mutating func next() -> [UInt8]? {
      guard let data = try? self.handle?.read(upToCount: FilePieces.pieceBytes), !data.isEmpty else { return nil }
      return Array(data)
    }
  }

  func makeIterator() -> Iterator { Iterator(handle: FileHandle(forReadingAtPath: self.path)) }

  /// The same for what sends it.
  var buffers: AsyncStream<ByteBuffer> {
    let pieces = PulledPieces(self.makeIterator())
    return AsyncStream { await pieces.next() }
  }
}

private actor PulledPieces {
  private var pieces: FilePieces.Iterator
  init(_ pieces: sending FilePieces.Iterator) { self.pieces = pieces }
  func next() -> ByteBuffer? { self.pieces.next().map { ByteBuffer(bytes: $0) } }
}
