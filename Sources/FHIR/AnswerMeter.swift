internal import HealthRecords
internal import Synchronization

/// What an answer takes while it is put together: a short question can ask for any number of long resources.
public final class AnswerMeter: Sendable {
  /// The most bytes of an answer; beyond, it has one resource, which may be longer.
  public static let bytesMax = 32 << 20
  /// Up to here an answer is as small as what asks for it: it takes none of the memory that all share.
  public static let smallBytesMax = 64 << 10
  /// How often a resource's bytes are in memory while it is answered: as kept, as text and as what is sent.
  private static let copies = 3

  private let bytesMax: Int
  private let reserve: @Sendable (_ bytes: Int) -> Bool
  private let taken = Mutex((resources: 0, bytes: 0))

  /// A meter for one answer; `reserve` takes memory from what all answers share, and tells whether there is any.
  public init(
    bytesMax: Int = AnswerMeter.bytesMax, reserve: @escaping @Sendable (_ bytes: Int) -> Bool = { _ in true }
  ) {
    (self.bytesMax, self.reserve) = (bytesMax, reserve)
  }

  /// Takes room for a resource; false where the answer is full. The first of an answer always has room.
  ///
  /// - Throws: `FHIRFailure` 503 where all answers together take too much memory.
  func admits(_ resource: StoredResource) throws(FHIRFailure) -> Bool { try self.admits(resource.body) }

  /// As `admits`, for what is no stored resource.
  func admits(_ json: CanonicalJSON) throws(FHIRFailure) -> Bool { try self.admits(json.canonicalBytes) }

  private func admits(_ body: [UInt8]) throws(FHIRFailure) -> Bool {
    try self.taken.withLock { taken throws(FHIRFailure) in
      let count = body.count
      guard taken.resources == 0 || count <= self.bytesMax - taken.bytes else { return false }
      if taken.bytes + count > Self.smallBytesMax,
        !self.reserve(Self.copies * count + JSONLimits.outside.treeBytes(of: body))
      {
        throw FHIRFailure(503, "throttled", "answers that others have asked for take the memory: try again in a moment")
      }
      taken = (taken.resources + 1, taken.bytes + count)
      return true
    }
  }

  /// As `admits`, for what an answer is nothing without.
  func require(_ resource: StoredResource) throws(FHIRFailure) {
    guard try self.admits(resource) else { throw self.failure }
  }

  /// An answer of something that is no stored resource.
  func required(_ json: CanonicalJSON) throws(FHIRFailure) -> FHIRResponse {
    guard try self.admits(json) else { throw self.failure }
    return FHIRResponse(body: json)
  }

  /// How many bytes an answer has room for yet.
  var room: Int { self.taken.withLock { max(0, self.bytesMax - $0.bytes) } }

  /// What is said where an answer is full.
  var failure: FHIRFailure {
    FHIRFailure(
      413, "too-costly", "the answer would be over \(self.bytesMax) bytes with it: ask for it in a request of its own")
  }
}
