// HTTP spoken byte by byte: what no client library would send, and answers as they come.
import Foundation
import Glibc

/// One connection to a door.
final class Connection: Sendable {
  enum Place: Sendable {
    case port(Int)
    case socket(String)
  }

  struct Answer: Sendable {
    let status: Int
    let head: String
    let body: [UInt8]
    var text: String { String(decoding: self.body, as: UTF8.self) }
  }

  private let descriptor: Int32
  private static let patienceSeconds = 60

  /// A connection to a place, from an address of this machine; nil where nobody listens.
  init?(_ place: Place, from source: String? = nil) {
    let domain = if case .port = place { AF_INET } else { AF_UNIX }
    self.descriptor = socket(domain, Int32(SOCK_STREAM.rawValue), 0)
    guard self.descriptor >= 0 else { return nil }
    var patience = timeval(tv_sec: Self.patienceSeconds, tv_usec: 0)
    unsafe setsockopt(
      self.descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    if let source, unsafe Self.withAddress(source, 0, { unsafe bind(self.descriptor, $0, $1) }) != 0 { return nil }
    let status: Int32 =
      switch place {
      case .port(let port):
        unsafe Self.withAddress("127.0.0.1", port) { unsafe connect(self.descriptor, $0, $1) }
      case .socket(let path): unsafe Self.withPath(path) { unsafe connect(self.descriptor, $0, $1) }
      }
    guard status == 0 else { return nil }
  }

  deinit { close(self.descriptor) }

  private static func withAddress(
    _ host: String, _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = unsafe inet_addr(host)
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  private static func withPath(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
      for (place, byte) in path.utf8.prefix(target.count - 1).enumerated() { unsafe target[place] = byte }
    }
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }

  /// Sends bytes; false where the other side has closed.
  @discardableResult
  func send(_ bytes: [UInt8]) async -> Bool {
    await Self.aside {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes {
          unsafe Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }
  }

  @discardableResult
  func send(_ text: String) async -> Bool { await self.send(Array(text.utf8)) }

  /// Sends no more, and still listens.
  func finish() { shutdown(self.descriptor, Int32(SHUT_WR)) }

  /// Everything until the other side closes; nil where it does not.
  func receive() async -> [UInt8]? {
    await Self.aside {
      var out: [UInt8] = []
      var piece = [UInt8](repeating: 0, count: 64 << 10)
      while true {
        let count = unsafe piece.withUnsafeMutableBytes {
          unsafe recv(self.descriptor, $0.baseAddress, $0.count, 0)
        }
        guard count > 0 else { return count == 0 || errno == ECONNRESET ? out : nil }
        out += piece[..<count]
      }
    }
  }

  /// What comes until some bytes have come a number of times; nil where the other side closes before.
  func receive(until end: [UInt8], times: Int) async -> [UInt8]? {
    await Self.aside {
      var out: [UInt8] = []
      var piece = [UInt8](repeating: 0, count: 64 << 10)
      while Data(out).split(separator: Data(end), omittingEmptySubsequences: false).count <= times {
        let count = unsafe piece.withUnsafeMutableBytes {
          unsafe recv(self.descriptor, $0.baseAddress, $0.count, 0)
        }
        guard count > 0 else { return nil }
        out += piece[..<count]
      }
      return out
    }
  }

  /// Blocking calls on a thread of their own: tasks' threads are few.
  private static func aside<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: body()) }
    }
  }

  static func head(_ method: String, _ path: String, _ headers: [String: String], length: Int?) -> String {
    var lines = ["\(method) \(path) HTTP/1.1"]
    if headers["Host"] == nil { lines.append("Host: 127.0.0.1") }
    if headers["Connection"] == nil { lines.append("Connection: close") }
    if let length { lines.append("Content-Length: \(length)") }
    return (lines + headers.map { "\($0): \($1)" }).joined(separator: "\r\n") + "\r\n\r\n"
  }

  /// Asks once; nil where there is no answer.
  static func ask(
    _ place: Place, _ method: String, _ path: String, _ headers: [String: String] = [:], body: [UInt8]? = nil
  ) async -> Answer? {
    guard let connection = Connection(place) else { return nil }
    guard await connection.send(Array(Self.head(method, path, headers, length: body?.count).utf8) + (body ?? [])),
      let bytes = await connection.receive()
    else { return nil }
    return Answer(bytes)
  }
}

extension Connection.Answer {
  init?(_ bytes: [UInt8]) {
    let data = Data(bytes)
    guard let end = data.range(of: Data("\r\n\r\n".utf8)) else { return nil }
    self.head = String(decoding: data[..<end.lowerBound], as: UTF8.self)
    self.body = Array(data[end.upperBound...])
    guard let status = self.head.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
    self.status = status
  }
}
