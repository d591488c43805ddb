internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import NIOCore
internal import NIOHTTPTypes
internal import Synchronization

/// What a request may have to wait for.
enum Errand: Sendable {
  /// For nobody: it reads, or it is an emergency, which keeps its place where nothing is ordered.
  case prompt
  /// For the ledger.
  case submission

  init(_ request: Request) {
    let reads = request.method == .get || request.method == .head
    self = reads || request.uri.path.hasSuffix("/emergency") ? .prompt : .submission
  }
}

/// A request's place among those that are handled, and the memory that its body takes.
///
/// ⚑ While the body is awaited the place is another's: half-sent requests hold none.
final class Place: Sendable {
  /// Of the request that this task answers.
  @TaskLocal static var current: Place?

  let doors: Doors
  private let state = Mutex((isHeld: false, upload: Upload?.none, bytes: 0, answerBytes: 0))

  private let errand: Errand

  private init(_ doors: Doors, _ errand: Errand) { (self.doors, self.errand) = (doors, errand) }
  deinit {
    let (isHeld, upload, bytes, answerBytes) = self.state.withLock { $0 }
    if isHeld { self.doors.leavePlace(of: self.errand) }
    if let upload { self.doors.leave(upload) }
    self.doors.giveBack(bytes)
    self.doors.giveBackAnswer(answerBytes)
  }

  /// Answers a request in a place of its own.
  ///
  /// - Throws: `ServiceRefusal.busy` where there is none; and what `body` throws.
  static func with<Value>(
    _ doors: Doors, _ errand: Errand, _ body: () async throws -> Value
  ) async throws -> Value {
    let place = Place(doors, errand)
    try place.enter()
    return try await self.$current.withValue(place, operation: body)
  }

  func enter() throws(ServiceRefusal) {
    let isIn = self.state.withLock { state in
      if !state.isHeld { state.isHeld = self.doors.takePlace(for: self.errand) }
      return state.isHeld
    }
    guard isIn else { throw .busy }
  }

  func leave() {
    self.state.withLock { state in
      if state.isHeld { self.doors.leavePlace(of: self.errand) }
      state.isHeld = false
    }
  }

  /// An upload's place is held as long as this is.
  func keep(_ upload: Upload) { self.state.withLock { $0.upload = upload } }

  /// Counts what came of an upload.
  func uploaded(_ bytes: Int) { self.state.withLock { $0.upload }?.came(bytes) }

  /// Counts memory for an answer, which is taken until that is sent; false where there is none.
  func takeAnswer(_ bytes: Int) -> Bool {
    guard self.doors.takeAnswer(bytes) else { return false }
    self.state.withLock { $0.answerBytes += bytes }
    return true
  }

  /// The request is answered: the place is another's, and of the memory only the answer's own bytes are taken.
  func settle(answer bytes: Int) {
    self.leave()
    let (body, answer) = self.state.withLock { state in
      let spare = (state.bytes, max(0, state.answerBytes - bytes))
      state.bytes = 0
      state.answerBytes -= spare.1
      return spare
    }
    self.doors.giveBack(body)
    self.doors.giveBackAnswer(answer)
  }

  /// Up to here an answer is as small as what asks for it, and takes none of the memory that all share.
  private static let smallBytesMax = 64 << 10
  /// How much of a long answer is handed on at once: no more is copied for a client who takes it slowly.
  private static let pieceBytesMax = 64 << 10

  /// Takes memory for an answer of the current request before it is put together, where it is no small one.
  ///
  /// - Throws: `ServiceRefusal.busy` where the answers of others have it.
  static func reserve(answer bytes: Int) throws(ServiceRefusal) {
    guard bytes > self.smallBytesMax, let current = self.current else { return }
    let missing = bytes - current.state.withLock { $0.answerBytes }
    guard missing <= 0 || current.takeAnswer(missing) else { throw .busy }
  }

  /// The body of the current request's answer, whose memory is counted until it is sent.
  static func sent(_ bytes: [UInt8]) -> ResponseBody {
    let place = self.current
    place?.settle(answer: bytes.count)
    guard bytes.count > self.pieceBytesMax else { return ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)) }
    return ResponseBody(contentLength: bytes.count) { writer in
      for start in stride(from: 0, to: bytes.count, by: self.pieceBytesMax) {
        try await writer.write(ByteBuffer(bytes: bytes[start..<min(start + self.pieceBytesMax, bytes.count)]))
      }
      try await writer.finish(nil)
      withExtendedLifetime(place) {}
    }
  }

  /// Counts memory that is taken until the request is answered.
  func take(bytes: Int) throws(ServiceRefusal) {
    guard self.doors.takeMemory(bytes) else { throw .busy }
    self.state.withLock { $0.bytes += bytes }
  }
}

/// How a body is packed.
enum Packing {
  case none, gzip
}

/// The whole body, unpacked where it came packed.
///
/// - Throws: `ServiceRefusal` where it is too long, too dense, broken off, or there is no memory for it now.
func body(_ request: Request, max: Int, packing: Packing = .none) async throws(ServiceRefusal) -> [UInt8] {
  if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > max { throw .tooLarge(max: max) }
  let place = Place.current
  place?.leave()
  let gunzip = packing == .gzip ? Gunzip(max: max) : nil
  var out: [UInt8] = []
  var sent = 0
  do {
    for try await part in request.body {
      sent += part.readableBytes
      guard sent <= max else { throw ServiceRefusal.tooLarge(max: max) }
      let bytes = Array(part.readableBytesView)
      let plain = try gunzip?.take(bytes) ?? bytes
      try place?.take(bytes: plain.count)
      out += plain
    }
    try gunzip?.finish()
  } catch let refusal as ServiceRefusal {
    throw refusal
  } catch { throw .badRequest("the body broke off after \(sent) bytes") }
  try place?.enter()
  return out
}
