internal import Foundation

/// Holds a node's data folder: two nodes on one would vote against one another. The system lets go of it with the
/// process, however that ends.
final class FolderLock {
  /// Three seconds in all.
  private static let attemptsMax = 60
  private static let pauseMicroseconds: useconds_t = 50_000
  private let descriptor: Int32

  /// Takes the folder, which is made where it is missing.
  ///
  /// - Throws: `Failure` where another node has it, by that one's process number.
  init(_ folder: String) throws {
    try? FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    // The folder itself is held: a file in it would be copied with a backup.
    self.descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard self.descriptor >= 0 else {
      let reason = unsafe String(cString: strerror(errno))
      throw Failure(
        "cannot use the folder \(folder)", why: reason, remedy: "check its permissions and the disk",
        status: ExitStatus.failedIO)
    }
    guard self.isTaken() else {
      let holder = Self.holder(of: folder).map { "the node with process number \($0)" } ?? "another node"
      throw Failure(
        "the folder \(folder) is in use", why: "\(holder) runs on it",
        remedy: "stop that one first, or give this one a folder of its own", status: ExitStatus.unavailable)
    }
  }

  /// A process that was killed holds its lock until the system has taken it down: one that ends is waited for.
  private func isTaken() -> Bool {
    for _ in 0..<Self.attemptsMax {
      if flock(self.descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
      usleep(Self.pauseMicroseconds)
    }
    return false
  }

  /// Who holds the lock, as the system tells it: by the file's number.
  static func holder(of folder: String) -> Int32? {
    guard let number = try? FileManager.default.attributesOfItem(atPath: folder)[.systemFileNumber] as? UInt64,
      // To the end: what reads a file as a whole stops after the first page of one that has no length.
      let locks = try? FileHandle(forReadingAtPath: "/proc/locks")?.readToEnd()
    else { return nil }
    let lines = String(decoding: locks, as: UTF8.self).split(separator: "\n")
    let line = lines.first { $0.contains("FLOCK") && $0.contains(":\(number) ") }
    return line.flatMap { $0.split(separator: " ").dropFirst(4).first }.flatMap { Int32($0) }
  }

  deinit { close(self.descriptor) }
}
