internal import CUV
internal import Foundation

/// Which addresses of a name are wanted.
public enum AddressFamily: Sendable, Hashable {
  /// IPv4.
  case four
  /// IPv6.
  case six
}

extension EventLoop {
  /// Looks up a name's addresses on a thread of the worker pool; `then` gets them in the order in which the system
  /// would try them, each once, or why there are none. libuv leaves half of the pool to others, however slow that is.
  public func lookUp(
    _ name: String, _ family: AddressFamily, then: @escaping (Result<[String], NetworkFailure>) -> Void
  ) {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = family == .four ? AF_INET : AF_INET6
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    let item = LookupItem(name, then)
    let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
    unsafe request.pointee.data = unsafe Unmanaged.passRetained(item).toOpaque()
    let status = unsafe uv_getaddrinfo(
      self.loop, request,
      { request, status, found in
        guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
        let item = unsafe Unmanaged<LookupItem>.fromOpaque(data).takeRetainedValue()
        unsafe request.deallocate()
        unsafe item.finish(status, found)
        unsafe uv_freeaddrinfo(found)
      }, name, nil, &hints)
    guard status != 0 else { return }
    unsafe Unmanaged.passUnretained(item).release()
    unsafe request.deallocate()
    unsafe item.finish(status, nil)
  }
}

private final class LookupItem {
  /// More addresses of one name are not tried.
  private static let addressesMax = 16
  private let name: String
  private let then: (Result<[String], NetworkFailure>) -> Void

  init(_ name: String, _ then: @escaping (Result<[String], NetworkFailure>) -> Void) {
    (self.name, self.then) = (name, then)
  }

  func finish(_ status: Int32, _ found: UnsafeMutablePointer<addrinfo>?) {
    guard status == 0 else { return self.then(.failure(NetworkFailure("looking up \(self.name)", status))) }
    var out: [String] = []
    var next = unsafe found
    while let entry = unsafe next, out.count < Self.addressesMax {
      var text = [CChar](repeating: 0, count: 64)
      if let address = unsafe entry.pointee.ai_addr, unsafe uv_ip_name(address, &text, text.count) == 0 {
        let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if !out.contains(host) { out.append(host) }
      }
      unsafe next = unsafe entry.pointee.ai_next
    }
    self.then(
      out.isEmpty ? .failure(NetworkFailure("looking up \(self.name)", UV_EAI_NODATA.rawValue)) : .success(out))
  }
}
