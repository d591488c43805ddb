internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore

/// Why a node's socket gives no answer, in words: what stands in the way, what to do, and the exit code.
enum Unreachable {
  /// The most bytes of a socket's path: what the system keeps of one, without its end.
  private static let pathBytesMax = 107
  private static let remedy = "start the node (consilium node --config FILE), or give --api as its configuration has it"

  private static func failure(
    _ socket: String, _ why: String, _ remedy: String = Self.remedy, _ status: Int32 = ExitStatus.unavailable
  ) -> Failure {
    Failure("cannot reach the node at \(socket)", why: why, remedy: remedy, status: status)
  }

  /// Refuses what can be no node's socket before anybody connects to it.
  ///
  /// - Throws: `Failure`.
  static func check(_ socket: String) throws {
    guard !socket.isEmpty else {
      throw Failure("cannot reach the node", why: "the path of its socket is empty", remedy: Self.remedy)
    }
    let count = socket.utf8.count
    guard count <= Self.pathBytesMax else {
      throw Self.failure(
        socket, "the path has \(count) bytes, and a socket's has at most \(Self.pathBytesMax)",
        "give a shorter one: from the folder where you are, or through a link", ExitStatus.badInput)
    }
  }

  private static func failure(_ socket: String, errno code: Int32) -> Failure {
    switch code {
    case ENOENT, ENOTDIR: Self.failure(socket, "there is no such file")
    case ECONNREFUSED: Self.failure(refusedBy: socket)
    case EACCES, EPERM:
      Self.failure(
        socket, "this user may not open it", "run this as the user whose the node is", ExitStatus.permission)
    default: Self.failure(socket, unsafe String(cString: strerror(code)))
    }
  }

  /// Nobody listens there: it may never have been a socket.
  private static func failure(refusedBy path: String) -> Failure {
    let real = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
    let type = (try? FileManager.default.attributesOfItem(atPath: real))?[.type] as? FileAttributeType
    return switch type {
    case .typeSocket?:
      Self.failure(
        path, "no node listens to it: the one that made it has stopped",
        "start the node again (consilium node --config FILE)")
    case .typeDirectory?:
      Self.failure(path, "it is a folder", "give --api FOLDER/api.sock: the socket in it", ExitStatus.badInput)
    default:
      Self.failure(path, "it is no socket", "give --api as the node's configuration has it", ExitStatus.badInput)
    }
  }

  /// Why a question came to nothing.
  static func failure(_ socket: String, _ error: any Error) -> Failure {
    if let code = Self.refusal(of: socket) { return Self.failure(socket, errno: code) }
    let busy = "see the node's log; if it is busy, ask again"
    switch error as? HTTPClientError {
    case .deadlineExceeded?, .readTimeout?, .connectTimeout?:
      return Self.failure(socket, "it does not answer in time", busy)
    case .remoteConnectionClosed?: return Self.failure(socket, "it closed the connection without an answer", busy)
    case nil where error is NIOTooManyBytesError:
      return Self.failure(socket, "its answer is longer than this command takes", "ask for less at once")
    default: return Self.failure(socket, "it broke off: \(error)", busy)
    }
  }

  /// What the system says to a connection; nil where it takes one.
  private static func refusal(of path: String) -> Int32? {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
      for (place, byte) in path.utf8.prefix(Self.pathBytesMax).enumerated() { unsafe target[place] = byte }
    }
    let status = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    return status == 0 ? nil : errno
  }
}
