internal import Foundation
public import HealthRecords
internal import Synchronization

/// Ciphertext on its way, in a file that has no name: it is gone with whoever holds it, also where the process is
/// killed.
public final class FileSpool: ChunkSpool {
  private let descriptor: Int32
  private let folder: String
  /// Where each chunk begins in the file, and after the last one, where the file ends.
  private let offsets = Mutex<[Int]>([0])

  /// A new spool in a folder, which is made where it is missing.
  public init(folder: String) throws(StorageFailure) {
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch { throw .making(folder, error) }
    var name = Array("\(folder)/spool-XXXXXX".utf8CString)
    self.descriptor = unsafe mkstemp(&name)
    guard self.descriptor >= 0 else { throw .opening("\(folder)/spool", errno) }
    self.folder = folder
    unsafe unlink(name)
  }

  deinit { close(self.descriptor) }

  /// How many chunks are in it.
  public var count: Int { self.offsets.withLock { $0.count - 1 } }

  /// Appends chunks.
  public func append(_ chunks: [[UInt8]]) throws(VaultFailure) {
    try self.offsets.withLock { offsets throws(VaultFailure) in
      for chunk in chunks {
        let start = offsets[offsets.count - 1]
        try self.transfer(chunk.count, orElse: { "\(StorageFailure.writing("\(self.folder)/spool", $0))" }) { done in
          unsafe chunk.withUnsafeBytes { bytes in
            unsafe pwrite(self.descriptor, bytes.baseAddress.map { unsafe $0 + done }, chunk.count - done, start + done)
          }
        }
        offsets.append(start + chunk.count)
      }
    }
  }

  /// Chunks from one on, of about so many bytes, at least one where there is one.
  public func chunks(from start: Int, bytesMax: Int) throws(VaultFailure) -> [[UInt8]] {
    let offsets = self.offsets.withLock { $0 }
    var out: [[UInt8]] = []
    var index = start
    while index >= 0, index < offsets.count - 1 {
      guard out.isEmpty || offsets[index + 1] - offsets[start] <= bytesMax else { break }
      let (offset, count) = (offsets[index], offsets[index + 1] - offsets[index])
      var chunk = [UInt8](repeating: 0, count: count)
      try self.transfer(count, orElse: { "reading in \(self.folder): \(unsafe String(cString: strerror($0)))" }) {
        done in
        unsafe chunk.withUnsafeMutableBytes { bytes in
          unsafe pread(self.descriptor, bytes.baseAddress.map { unsafe $0 + done }, count - done, offset + done)
        }
      }
      out.append(chunk)
      index += 1
    }
    return out
  }

  /// Moves bytes until all are moved: the system may do less than it was asked.
  private func transfer(
    _ count: Int, orElse fail: (_ code: Int32) -> String, _ step: (_ done: Int) -> Int
  ) throws(VaultFailure) {
    var done = 0
    while done < count {
      let moved = step(done)
      if moved < 0, errno == EINTR { continue }
      guard moved > 0 else { throw VaultFailure(fail(moved < 0 ? errno : EIO)) }
      done += moved
    }
  }
}
