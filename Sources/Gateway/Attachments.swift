internal import Foundation
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NIOCore
internal import Primitives
internal import Signing
internal import Wire

/// Documents, images and other content that is no resource: its own bytes are sealed while they come, whatever their
/// number, and open part by part.
public enum Attachments {
  /// The most bytes of one: nearly 4 GiB.
  public static let bytesMax = (RecordPart.chunksMax - 1) * SecretStream.chunkBytesMax - HashLock.saltLengthBytes
  /// The most bytes of the anchor and the boxes that come before a ciphertext.
  static let headBytesMax = 8192

  /// What content is, by its first bytes.
  public static func mediaType(of beginning: some Collection<UInt8>) -> String {
    let bytes = Array(beginning.prefix(132))
    func has(_ text: String, at place: Int = 0) -> Bool { bytes.dropFirst(place).starts(with: text.utf8) }
    if has("%PDF-") { return "application/pdf" }
    if has("DICM", at: 128) { return "application/dicom" }
    if has("PNG\r\n", at: 1) { return "image/png" }
    if bytes.starts(with: [0xff, 0xd8, 0xff]) { return "image/jpeg" }
    if has("GIF8") { return "image/gif" }
    if has("II*\0") || has("MM\0*") { return "image/tiff" }
    if has("ftyp", at: 4) { return "video/mp4" }
    if bytes.starts(with: [0x1f, 0x8b]) { return "application/gzip" }
    if has("PK\u{3}\u{4}") { return "application/zip" }
    return "application/octet-stream"
  }
}

extension NodeService {
  /// Seals content while it comes, as the hospital's own, stores and anchors it.
  ///
  /// - Throws: `ServiceRefusal` where there is no such account, it is too long, or empty; and what the content throws.
  func attach<Content: AsyncSequence>(
    _ content: Content, of patient: Digest, category: RecordCategory, supersedes: Digest?
  ) async throws -> (anchor: RecordAnchor, receipt: Receipt) where Content.Element == ByteBuffer {
    let readers = try await self.readers(of: patient)
    let spool = try self.spool()
    var sealing = ContentSealing(SealedRecord.Secrets(random: SecureRandom.bytes))
    var count = 0
    for try await piece in content {
      Place.current?.uploaded(piece.readableBytes)
      count += piece.readableBytes
      guard count <= Attachments.bytesMax else { throw ServiceRefusal.tooLarge(max: Attachments.bytesMax) }
      try spool.keep(sealing.take(Array(piece.readableBytesView)))
    }
    // ⚑ What was cut off is not the whole.
    try Task.checkCancellation()
    guard count > 0 else { throw ServiceRefusal.badRequest("there is no content") }
    try spool.keep(sealing.finish())
    let draft = RecordDraft(
      sealing, patient: patient, hospital: self.member.id, network: self.genesis.network, category: category,
      supersedes: supersedes)
    guard let (anchor, boxes) = draft.enclose(sealing.ciphertext, to: readers) else {
      throw ServiceRefusal.badRequest("the account's key is none")
    }
    return (anchor, try await self.anchor(SpooledRecord(anchor.record, spool, boxes: boxes), as: anchor))
  }

  /// Takes what a practitioner's own program sealed and signed, stores and anchors it: the length of what comes first
  /// (u32), anchor and boxes, then the ciphertext.
  ///
  /// - Throws: `ServiceRefusal` where it is malformed or not what its anchor names; and what the content throws.
  func takeSealed<Content: AsyncSequence>(
    _ content: Content
  ) async throws -> (anchor: RecordAnchor, receipt: Receipt) where Content.Element == ByteBuffer {
    let spool = try self.spool()
    var (waiting, cutter, check) = ([UInt8](), ChunkCutter(), AddressCheck())
    var head: (anchor: RecordAnchor, boxes: RecordPart.Boxes)?
    for try await piece in content {
      Place.current?.uploaded(piece.readableBytes)
      waiting += piece.readableBytesView
      if head == nil {
        var decoder = Decoder(waiting)
        guard let length = try? decoder.u32() else { continue }
        guard length <= Attachments.headBytesMax else { throw ServiceRefusal.badRequest("no anchor comes first") }
        guard decoder.remaining >= Int(length) else { continue }
        do {
          let anchor = try RecordAnchor(from: &decoder)
          head = (anchor, try RecordPart.Boxes(from: &decoder))
        } catch { throw ServiceRefusal.badRequest("no anchor comes first: \(error)") }
        guard decoder.offset == 4 + Int(length) else { throw ServiceRefusal.badRequest("no anchor comes first") }
        waiting.removeFirst(decoder.offset)
      }
      let chunks = cutter.take(waiting)
      waiting = []
      check.take(chunks)
      guard check.sizeBytes <= head?.anchor.sizeBytes ?? 0, spool.count + chunks.count < RecordPart.chunksMax else {
        throw ServiceRefusal.badRequest("there is more ciphertext than the anchor names")
      }
      try spool.keep(chunks)
    }
    try Task.checkCancellation()
    check.take(cutter.last)
    try spool.keep(cutter.last)
    guard let (anchor, boxes) = head else { throw ServiceRefusal.badRequest("no anchor comes first") }
    let sealed = SpooledRecord(anchor.record, spool, boxes: boxes)
    guard anchor.names(sealed.head, check) else {
      throw ServiceRefusal.badRequest("the anchor does not name what was sealed")
    }
    return (anchor, try await self.anchor(sealed, as: anchor))
  }
}

extension ChunkSpool {
  /// Appends chunks that come from outside.
  ///
  /// - Throws: `ServiceRefusal.noRoom` where the disk has none for them.
  fileprivate func keep(_ chunks: [[UInt8]]) throws(ServiceRefusal) {
    do throws(VaultFailure) { try self.append(chunks) } catch { throw .noRoom("\(error)") }
  }
}
