internal import Foundation
internal import Primitives
internal import Signing
internal import Synchronization
internal import Wire

/// Which store a node had, and how far it was written. Where store and mark were put back
/// together, both of one older age, only this tells it.
public struct StoreAge: Sendable, Hashable {
  /// How the store's random number begins.
  let identity: UInt64
  let generation: UInt64

  init(_ content: StoreMark.Content) {
    (self.identity, self.generation) = (Key.number(from: content.identity.bytes.prefix(8)), content.generation)
  }

  /// Reads its text; nil where it is none.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let identity = UInt64(parts[0], radix: 16), let generation = UInt64(parts[1], radix: 16)
    else { return nil }
    (self.identity, self.generation) = (identity, generation)
  }

  /// Both numbers in hexadecimal digits, at most 33 characters.
  public var text: String { String(self.identity, radix: 16) + ":" + String(self.generation, radix: 16) }
}

/// What a node remembers of a store that nobody else has, in a file outside the store's folder: which store it is, and
/// how far it was written. A folder that is gone, emptied, another's or older than what was acknowledged is told by it.
///
/// It follows each write before that is acknowledged: it may lag behind by what nobody was told of, and is never ahead.
/// The file has two places that are written in turn, each with a check: one of them is whole whenever the power fails.
///
/// ⚑ A second file, in another folder, says the same. A store and its mark may be copied together while the node runs,
/// and come back together after a crash: then the second one is ahead of both.
public final class StoreMark: Sendable {
  /// How far a store was written.
  struct Content: Sendable, Equatable {
    /// The store's random number.
    var identity: Digest
    /// How many writes changed it, and in the upper half how often a node began with it.
    var generation: UInt64
    /// How many rows it has.
    var rows: UInt64

    /// What a node's beginning adds to the generation.
    static let beginning: UInt64 = 1 << 32

    /// How many writes changed it.
    var writeCount: UInt64 { self.generation % Self.beginning }
    /// Whether nothing was ever written into it.
    var isUnused: Bool { self.writeCount == 0 && self.rows == 0 }
  }

  /// What the file holds.
  enum Memory: Sendable, Equatable {
    case none
    case unreadable
    case known(Content)
  }

  private struct State {
    var memory: Memory
    /// Counts what was written into the file.
    var turn: UInt64
    var descriptor: Int32
  }

  /// Far enough apart that the disk never writes both at once.
  private static let placeBytes = 4096
  private static let domain: StaticString = "consilium/store-mark/v1"
  private static let contentBytes = 8 + Digest.lengthBytes + 16

  /// The file.
  public let path: String
  /// Whether it only tells how a store was left, and follows nothing.
  private let isReadOnly: Bool
  /// What says the same elsewhere, where there is one.
  private let second: StoreMark?
  private let state: Mutex<State>

  /// Reads the mark in a file, where there is one, and what says the same in a `second` file. One for reading only
  /// stays as it is.
  ///
  /// - Throws: `StorageFailure` where the file is there and the system does not give it.
  public init(path: String, second: String? = nil, isReadOnly: Bool = false) throws(StorageFailure) {
    (self.path, self.isReadOnly) = (path, isReadOnly)
    self.second = if let second { try StoreMark(path: second, isReadOnly: isReadOnly) } else { nil }
    let descriptor = unsafe open(path, (isReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC)
    guard descriptor >= 0 || errno == ENOENT else { throw .opening(path, errno) }
    guard descriptor >= 0 else {
      self.state = Mutex(State(memory: .none, turn: 0, descriptor: -1))
      return
    }
    var bytes = [UInt8](repeating: 0, count: 2 * Self.placeBytes)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, $0.count, 0) }
    guard count >= 0 else {
      let code = errno
      close(descriptor)
      throw .opening(path, code)
    }
    let found = [0, Self.placeBytes].compactMap { Self.read(bytes[$0..<($0 + Self.placeBytes)]) }
    let latest = found.max { $0.turn < $1.turn }
    self.state = Mutex(
      State(
        memory: latest.map { .known($0.content) } ?? .unreadable, turn: latest?.turn ?? 0, descriptor: descriptor))
  }

  deinit {
    let descriptor = self.state.withLock { $0.descriptor }
    if descriptor >= 0 { close(descriptor) }
  }

  /// How many rows were written into the store; nil where nothing is remembered.
  public var rowCount: UInt64? {
    guard case .known(let content) = self.memory else { return nil }
    return content.rows
  }

  var memory: Memory { self.state.withLock { $0.memory } }
  /// The second file, where it tells anything.
  var other: StoreMark? {
    guard let second, case .known = second.memory else { return nil }
    return second
  }

  private static func read(_ place: ArraySlice<UInt8>) -> (turn: UInt64, content: Content)? {
    var decoder = Decoder(Array(place.prefix(self.contentBytes + Digest.lengthBytes)))
    do {
      let turn = try decoder.u64()
      let content = Content(
        identity: try decoder.digest(), generation: try decoder.u64(), rows: try decoder.u64())
      let check = try decoder.digest()
      return check == Hash.blake2b(self.domain, Array(place.prefix(self.contentBytes))) ? (turn, content) : nil
    } catch { return nil }
  }

  private static func place(_ turn: UInt64, _ content: Content) -> [UInt8] {
    var encoder = Encoder(capacity: self.placeBytes)
    encoder.u64(turn)
    encoder.digest(content.identity)
    encoder.u64(content.generation)
    encoder.u64(content.rows)
    encoder.digest(Hash.blake2b(self.domain, encoder.bytes))
    return encoder.bytes + [UInt8](repeating: 0, count: self.placeBytes - encoder.bytes.count)
  }

  /// Makes the file, or puts another in its place: when it returns, it is on the disk.
  func begin(_ content: Content) throws(StorageFailure) {
    guard !self.isReadOnly else { return }
    try self.second?.begin(content)
    try self.state.withLock { state throws(StorageFailure) in
      try HospitalKey.replace(self.path, Self.place(1, content) + Self.place(2, content))
      let descriptor = unsafe open(self.path, O_RDWR | O_CLOEXEC)
      guard descriptor >= 0 else { throw .opening(self.path, errno) }
      if state.descriptor >= 0 { close(state.descriptor) }
      state = State(memory: .known(content), turn: 2, descriptor: descriptor)
    }
  }

  /// Follows a write. The system brings it to the disk in its own time: after a power cut the mark may be behind the
  /// store, never ahead of it, and a mark that is behind tells of no loss.
  func follow(_ content: Content) throws(StorageFailure) {
    guard !self.isReadOnly else { return }
    if let second {
      if case .known = second.memory { try second.follow(content) } else { try second.begin(content) }
    }
    try self.state.withLock { state throws(StorageFailure) in
      guard state.memory != .known(content) else { return }
      let turn = state.turn + 1
      let bytes = Self.place(turn, content)
      let offset = Int(turn % 2) * Self.placeBytes
      let written = unsafe bytes.withUnsafeBytes {
        unsafe pwrite(state.descriptor, $0.baseAddress, $0.count, offset)
      }
      guard written == bytes.count else { throw .writing(self.path, written < 0 ? errno : EIO) }
      (state.turn, state.memory) = (turn, .known(content))
    }
  }
}
