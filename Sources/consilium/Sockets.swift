internal import Foundation

/// What the system says of addresses and ports.
enum Sockets {
  /// Whether a process listens somewhere.
  enum Held { case yes, no, unknown }

  /// What came of a connection.
  enum Seen: Sendable, Equatable {
    case noAddress(String)
    /// It was taken; whether the other side ended it at once.
    case taken(isEnded: Bool)
    case refused
    case silent
    case failed(String)
  }

  /// More addresses of a name are not tried.
  private static let addressesMax = 4
  /// The most bytes that are read of a table of the system.
  private static let tableBytesMax = 8 << 20

  private struct Address {
    let family: Int32
    let bytes: [UInt8]
  }

  private static func look(
    up host: String, _ port: UInt16, family: Int32, flags: Int32
  ) -> (addresses: [Address], trouble: String) {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = family
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = flags
    var found: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(host, "\(port)", &hints, &found)
    guard status == 0 else { return ([], unsafe String(cString: gai_strerror(status))) }
    defer { unsafe freeaddrinfo(found) }
    var (out, next) = unsafe ([Address](), found)
    while let entry = unsafe next, out.count < self.addressesMax {
      if let address = unsafe entry.pointee.ai_addr {
        let bytes = unsafe UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))
        out.append(Address(family: unsafe entry.pointee.ai_family, bytes: unsafe Array(bytes)))
      }
      unsafe next = unsafe entry.pointee.ai_next
    }
    return (out, "it has no address")
  }

  /// The system's word for a call with an address: 0, or its number for what is wrong.
  private static func call(
    _ address: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    unsafe address.bytes.withUnsafeBytes { bytes -> Int32 in
      guard let start = bytes.baseAddress else { return EINVAL }
      let pointer = unsafe start.assumingMemoryBound(to: sockaddr.self)
      return unsafe body(pointer, socklen_t(bytes.count)) == 0 ? 0 : errno
    }
  }

  /// Whether a port could be listened on: 0, or the system's number for why not. Nobody is kept from it: the socket
  /// does not listen, and is closed at once. Nil where the host has no address.
  static func bind(_ host: String, _ port: UInt16) -> Int32? {
    let (addresses, _) = self.look(up: host, port, family: AF_UNSPEC, flags: AI_PASSIVE)
    guard let address = addresses.first else { return nil }
    let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    var yes: Int32 = 1
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    return unsafe self.call(address) { unsafe Glibc.bind(descriptor, $0, $1) }
  }

  /// Looks a host up, and connects to nothing: what was seen is then that it was taken.
  static func look(up host: String, _ port: UInt16, family: Int32) -> Seen {
    let (addresses, trouble) = self.look(up: host, port, family: family, flags: 0)
    return addresses.isEmpty ? .noAddress(trouble) : .taken(isEnded: false)
  }

  /// Connects to a host, for so many milliseconds at each of its addresses, and says what it saw.
  static func dial(_ host: String, _ port: UInt16, family: Int32, milliseconds: Int32) -> Seen {
    let (addresses, trouble) = self.look(up: host, port, family: family, flags: 0)
    var seen = Seen.noAddress(trouble)
    for address in addresses {
      seen = self.dial(address, milliseconds)
      if case .taken = seen { break }
    }
    return seen
  }

  private static func dial(_ address: Address, _ milliseconds: Int32) -> Seen {
    let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    let descriptor = socket(address.family, Int32(type), 0)
    guard descriptor >= 0 else { return self.seen(errno) }
    defer { close(descriptor) }
    let begun = unsafe self.call(address) { unsafe connect(descriptor, $0, $1) }
    guard begun == 0 || begun == EINPROGRESS else { return self.seen(begun) }
    var watch = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    guard unsafe poll(&watch, 1, milliseconds) > 0 else { return .silent }
    var (code, size): (Int32, socklen_t) = (0, socklen_t(MemoryLayout<Int32>.size))
    guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0 else { return self.seen(errno) }
    guard code == 0 else { return self.seen(code) }
    // A node waits for the caller's first word; one that refuses this machine ends the connection.
    watch = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&watch, 1, 200) > 0 else { return .taken(isEnded: false) }
    var byte: UInt8 = 0
    return .taken(isEnded: unsafe recv(descriptor, &byte, 1, 0) <= 0)
  }

  private static func seen(_ code: Int32) -> Seen {
    switch code {
    case ECONNREFUSED: .refused
    case ETIMEDOUT: .silent
    default: .failed(unsafe String(cString: strerror(code)))
    }
  }

  /// Whether a process listens on a port, as far as this user may see.
  static func isListening(_ process: Int32, on port: UInt16) -> Held {
    let sockets = self.listening(on: port)
    let folder = "/proc/\(process)/fd"
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder), !names.isEmpty else {
      return .unknown
    }
    let isHeld = names.contains { name in
      guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)") else {
        return false
      }
      return sockets.contains(target)
    }
    return isHeld ? .yes : .no
  }

  /// The sockets that listen on a port, as /proc names them (proc_net_tcp in the kernel's documentation).
  private static func listening(on port: UInt16) -> Set<String> {
    var out: Set<String> = []
    let digits = String(port, radix: 16, uppercase: true)
    let end = ":" + String(repeating: "0", count: 4 - digits.count) + digits
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
      guard let bytes = try? FileHandle(forReadingAtPath: table)?.read(upToCount: self.tableBytesMax) else { continue }
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        let words = line.split(separator: " ")
        guard words.count > 9, words[1].hasSuffix(end), words[3] == "0A" else { continue }
        out.insert("socket:[\(words[9])]")
      }
    }
    return out
  }
}
