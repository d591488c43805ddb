internal import CUV
internal import Foundation

/// Why the network refused something; `code` is libuv's name, such as `EADDRINUSE`.
public struct NetworkFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was tried.
  public let action: String
  /// libuv's name of the error.
  public let code: String
  /// libuv's words for it.
  public let reason: String

  init(_ action: String, _ status: Int32) {
    self.action = action
    unsafe self.code = String(cString: uv_err_name(status))
    unsafe self.reason = String(cString: uv_strerror(status))
  }

  /// What, why and, where it is plain, what to do.
  public var description: String {
    let remedy = self.code == "EADDRINUSE" ? "; another process uses this port: stop it or choose another" : ""
    return "\(self.action): \(self.reason) (\(self.code))\(remedy)"
  }
}

/// What a connection tells its owner, on the loop's thread.
public enum ConnectionEvent {
  /// Bytes arrived.
  case received([UInt8])
  /// All that was given to `write` has gone to the system.
  case drained
  /// It is over; nothing follows. Nil where the other side ended it in order.
  case closed(NetworkFailure?)
}

/// One TCP connection of the loop.
@safe
public final class TCPConnection {
  /// The most bytes read at once.
  static let readBytesMax = 256 << 10
  let handle: UnsafeMutablePointer<uv_tcp_t>
  private let loop: EventLoop
  /// Hears what happens; set it before the loop's next turn.
  public var onEvent: ((ConnectionEvent) -> Void)?
  /// Bytes given to `write` that the system has not taken yet.
  public private(set) var pendingBytes = 0
  private var isClosed = false
  private var isReading = false
  private var buffer: UnsafeMutablePointer<CChar>
  private var keepAlive: TCPConnection?

  init(_ loop: EventLoop) {
    self.loop = loop
    unsafe self.handle = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
    unsafe self.buffer = UnsafeMutablePointer<CChar>.allocate(capacity: Self.readBytesMax)
    unsafe uv_tcp_init(loop.loop, self.handle)
    unsafe self.handle.pointee.data = unsafe Unmanaged.passUnretained(self).toOpaque()
    self.keepAlive = self
  }

  deinit { unsafe self.buffer.deallocate() }

  static func from(_ data: UnsafeMutableRawPointer?) -> TCPConnection? {
    guard let data = unsafe data else { return nil }
    return unsafe Unmanaged<TCPConnection>.fromOpaque(data).takeUnretainedValue()
  }

  var stream: UnsafeMutablePointer<uv_stream_t> {
    unsafe UnsafeMutableRawPointer(self.handle).assumingMemoryBound(to: uv_stream_t.self)
  }

  /// Starts reading.
  func begin() {
    unsafe uv_tcp_nodelay(self.handle, 1)
    self.resume()
  }

  /// Reads nothing until `resume`: what comes meanwhile waits in the system, and then at the sender.
  public func pause() {
    guard !self.isClosed, self.isReading else { return }
    self.isReading = false
    unsafe uv_read_stop(self.stream)
  }

  /// Reads on.
  public func resume() {
    guard !self.isClosed, !self.isReading else { return }
    self.isReading = true
    unsafe uv_read_start(
      self.stream,
      { handle, _, buffer in
        guard let handle = unsafe handle, let buffer = unsafe buffer,
          let connection = unsafe TCPConnection.from(handle.pointee.data)
        else { return }
        unsafe buffer.pointee.base = unsafe connection.buffer
        unsafe buffer.pointee.len = TCPConnection.readBytesMax
      },
      { stream, count, _ in
        guard let stream = unsafe stream, let connection = unsafe TCPConnection.from(stream.pointee.data) else {
          return
        }
        connection.read(count)
      })
  }

  private func read(_ count: Int) {
    guard count != 0 else { return }
    guard count > 0 else {
      let isEnd = count == Int(UV_EOF.rawValue)
      return self.close(isEnd ? nil : NetworkFailure("reading", Int32(count)))
    }
    let bytes = unsafe UnsafeRawBufferPointer(start: self.buffer, count: count)
    unsafe self.onEvent?(.received(Array(bytes)))
  }

  /// Sends bytes in order; they are kept until the system takes them. `pendingBytes` says how many wait.
  public func write(_ bytes: [UInt8]) {
    guard !self.isClosed, !bytes.isEmpty else { return }
    let sent = self.pendingBytes == 0 ? self.tryWrite(bytes) : 0
    guard sent < bytes.count else { return }
    let rest = bytes.count - sent
    let base = UnsafeMutablePointer<CChar>.allocate(capacity: rest)
    unsafe bytes.withUnsafeBytes { source in
      unsafe UnsafeMutableRawBufferPointer(start: base, count: rest).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: source[sent...]))
    }
    let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
    let item = unsafe WriteItem(self, unsafe base, rest)
    unsafe request.pointee.data = unsafe Unmanaged.passRetained(item).toOpaque()
    var buffer = unsafe uv_buf_init(base, UInt32(rest))
    self.pendingBytes += rest
    let status = unsafe uv_write(request, self.stream, &buffer, 1) { request, status in
      guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
      let item = unsafe Unmanaged<WriteItem>.fromOpaque(data).takeRetainedValue()
      unsafe request.deallocate()
      item.connection.wrote(item.count, status)
    }
    if status != 0 { self.close(NetworkFailure("writing", status)) }
  }

  private func tryWrite(_ bytes: [UInt8]) -> Int {
    let sent = unsafe bytes.withUnsafeBytes { source -> Int32 in
      let base = unsafe UnsafeMutableRawPointer(mutating: source.baseAddress)?.assumingMemoryBound(to: CChar.self)
      var buffer = unsafe uv_buf_init(base, UInt32(bytes.count))
      return unsafe uv_try_write(self.stream, &buffer, 1)
    }
    return max(0, Int(sent))
  }

  private func wrote(_ count: Int, _ status: Int32) {
    self.pendingBytes -= count
    guard !self.isClosed else { return }
    guard status == 0 else { return self.close(NetworkFailure("writing", status)) }
    if self.pendingBytes == 0 { self.onEvent?(.drained) }
  }

  /// Ends the connection; the owner hears of it once.
  public func close() { self.close(nil) }

  func close(_ failure: NetworkFailure?) {
    guard !self.isClosed else { return }
    self.isClosed = true
    let handle = unsafe UnsafeMutableRawPointer(self.handle).assumingMemoryBound(to: uv_handle_t.self)
    unsafe uv_close(handle) { handle in
      guard let handle = unsafe handle, let connection = unsafe TCPConnection.from(handle.pointee.data) else {
        return
      }
      unsafe UnsafeMutableRawPointer(handle).deallocate()
      connection.keepAlive = nil
    }
    self.onEvent?(.closed(failure))
    self.onEvent = nil
  }
}

@safe
private final class WriteItem {
  let connection: TCPConnection
  let base: UnsafeMutablePointer<CChar>
  let count: Int

  init(_ connection: TCPConnection, _ base: UnsafeMutablePointer<CChar>, _ count: Int) {
    self.connection = connection
    unsafe self.base = unsafe base
    self.count = count
  }

  deinit { unsafe self.base.deallocate() }
}

/// A listening socket.
@safe
public final class TCPListener {
  private let handle: UnsafeMutablePointer<uv_tcp_t>
  private let loop: EventLoop
  private let accept: (TCPConnection, String) -> Void

  init(_ loop: EventLoop, _ accept: @escaping (TCPConnection, String) -> Void) {
    (self.loop, self.accept) = (loop, accept)
    unsafe self.handle = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
    unsafe uv_tcp_init(loop.loop, self.handle)
    unsafe self.handle.pointee.data = unsafe Unmanaged.passUnretained(self).toOpaque()
  }

  deinit {
    unsafe uv_close(UnsafeMutableRawPointer(self.handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let handle = unsafe handle else { return }
      unsafe UnsafeMutableRawPointer(handle).deallocate()
    }
  }

  func listen(_ address: inout sockaddr_storage, _ text: String) throws(NetworkFailure) {
    let bound = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe uv_tcp_bind(self.handle, $0, 0) }
    }
    guard bound == 0 else { throw NetworkFailure("listening on \(text)", bound) }
    let stream = unsafe UnsafeMutableRawPointer(self.handle).assumingMemoryBound(to: uv_stream_t.self)
    let status = unsafe uv_listen(stream, 128) { stream, status in
      guard status == 0, let stream = unsafe stream, let data = unsafe stream.pointee.data else { return }
      unsafe Unmanaged<TCPListener>.fromOpaque(data).takeUnretainedValue().take()
    }
    guard status == 0 else { throw NetworkFailure("listening on \(text)", status) }
  }

  private func take() {
    let connection = TCPConnection(self.loop)
    let stream = unsafe UnsafeMutableRawPointer(self.handle).assumingMemoryBound(to: uv_stream_t.self)
    guard unsafe uv_accept(stream, connection.stream) == 0 else { return connection.close() }
    let source = SocketAddress.peer(of: connection)
    self.accept(connection, source)
    connection.begin()
  }
}

/// Reading and writing socket addresses.
enum SocketAddress {
  static func parse(host: String, port: UInt16) -> sockaddr_storage? {
    var storage = sockaddr_storage()
    let status = unsafe withUnsafeMutableBytes(of: &storage) { raw -> Int32 in
      guard let base = raw.baseAddress else { return -1 }
      if host.contains(":") {
        return unsafe uv_ip6_addr(host, Int32(port), base.assumingMemoryBound(to: sockaddr_in6.self))
      }
      return unsafe uv_ip4_addr(host, Int32(port), base.assumingMemoryBound(to: sockaddr_in.self))
    }
    return status == 0 ? storage : nil
  }

  static func peer(of connection: TCPConnection) -> String {
    var storage = sockaddr_storage()
    var length = Int32(MemoryLayout<sockaddr_storage>.size)
    var text = [CChar](repeating: 0, count: 64)
    unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        guard unsafe uv_tcp_getpeername(connection.handle, address, &length) == 0 else { return }
        unsafe uv_ip_name(address, &text, text.count)
      }
    }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension EventLoop {
  /// Listens for connections; `accept` gets each with the address that it comes from.
  ///
  /// - Throws: `NetworkFailure` where the address is none, or another process uses the port.
  public func listen(
    host: String, port: UInt16, accept: @escaping (TCPConnection, String) -> Void
  ) throws(NetworkFailure) -> TCPListener {
    guard var address = SocketAddress.parse(host: host, port: port) else {
      throw NetworkFailure("reading the address \(host)", UV_EINVAL.rawValue)
    }
    let listener = TCPListener(self, accept)
    try listener.listen(&address, "\(host):\(port)")
    return listener
  }

  /// Dials an IP address; `then` gets the connection, or why there is none. Whoever closes what is returned before
  /// that gives up.
  @discardableResult
  public func connect(
    host: String, port: UInt16, then: @escaping (Result<TCPConnection, NetworkFailure>) -> Void
  ) -> TCPConnection? {
    guard var address = SocketAddress.parse(host: host, port: port) else {
      then(.failure(NetworkFailure("reading the address \(host)", UV_EINVAL.rawValue)))
      return nil
    }
    let connection = TCPConnection(self)
    let item = ConnectItem(connection, "dialling \(host):\(port)", then)
    let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
    unsafe request.pointee.data = unsafe Unmanaged.passRetained(item).toOpaque()
    let status = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe uv_tcp_connect(request, connection.handle, address) { request, status in
          guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
          let item = unsafe Unmanaged<ConnectItem>.fromOpaque(data).takeRetainedValue()
          unsafe request.deallocate()
          item.finish(status)
        }
      }
    }
    guard status != 0 else { return connection }
    unsafe Unmanaged.passUnretained(item).release()
    unsafe request.deallocate()
    item.finish(status)
    return nil
  }
}

private final class ConnectItem {
  private let connection: TCPConnection
  private let action: String
  private let then: (Result<TCPConnection, NetworkFailure>) -> Void

  init(
    _ connection: TCPConnection, _ action: String, _ then: @escaping (Result<TCPConnection, NetworkFailure>) -> Void
  ) {
    (self.connection, self.action, self.then) = (connection, action, then)
  }

  func finish(_ status: Int32) {
    guard status == 0 else {
      self.connection.close()
      return self.then(.failure(NetworkFailure(self.action, status)))
    }
    self.then(.success(self.connection))
    self.connection.begin()
  }
}
