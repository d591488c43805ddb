internal import ArgumentParser
internal import AsyncHTTPClient
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Messages
internal import NIOCore
internal import Primitives
internal import Signing
internal import Storage
internal import Synchronization
internal import Wire

extension Record {
  struct Attach: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Seal a file as it is: a PDF, an image, a DICOM study; up to 4 GiB, in constant memory.",
      discussion: """
        Examples:
          consilium record attach scan.dcm --patient 5f1c…
          consilium record attach letter.pdf --patient 5f1c… --author dr-lee.key
        With --author it is sealed here and signed as the practitioner's; else the hospital's node seals it. It is read
        like any record: consilium access request … --out scan.dcm, or GET Binary/RECORD at the FHIR interface.
        """)
    @Argument(help: "The file.") var file: String
    @Option(help: "The patient's account.") var patient: String
    @Option(help: "The practitioner's key file who made it; else the hospital's system did.") var author: String?
    @Option(help: "What it is about.") var category = "document"
    @Option(help: "The record that it amends.") var supersedes: String?
    @OptionGroup var passphrase: PassphraseOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let pieces = try FilePieces(self.file)
        guard pieces.sizeBytes > 0, pieces.sizeBytes <= Attachments.bytesMax else {
          throw Failure(
            "cannot seal \(self.file)", why: "it has \(pieces.sizeBytes) bytes",
            remedy: "give 1 to \(Attachments.bytesMax) bytes; split what is longer")
        }
        guard let category = RecordCategory(name: self.category) else {
          throw Failure(
            "no category \"\(self.category)\"", why: "there are others",
            remedy: "give one of \(RecordCategory.allCases.map(\.name).joined(separator: ", "))")
        }
        let patient = try parseDigest(self.patient, "patient")
        let supersedes = try self.supersedes.map { try parseDigest($0, "record") }
        let sealed: SealedView
        if let author {
          let writer = try await Patient(author, self.passphrase, self.node)
          sealed = try await Authoring.attach(pieces, of: patient, by: writer, category, supersedes: supersedes)
        } else {
          let query = supersedes.map { "&supersedes=\($0)" } ?? ""
          sealed = try await self.node.client().post(
            "/v1/patients/\(patient)/attachments?category=\(category.name)\(query)",
            streaming: .stream(pieces.buffers, length: .known(Int64(pieces.sizeBytes))))
        }
        if self.output.output == .json {
          try Console.json(With(sealed, [Told("bytes", "\(pieces.sizeBytes)", ["sizeBytes": pieces.sizeBytes])]))
        } else {
          Console.table(
            ["record", "category", "bytes", "leaf", "outcome"],
            [[sealed.record, sealed.category, "\(pieces.sizeBytes)", "\(sealed.receipt.leaf)", sealed.receipt.outcome]])
        }
        guard sealed.receipt.applied else { throw ExitCode(ExitStatus.refused) }
      }
    }
  }
}

extension Authoring {
  /// Seals a file here, signs it as its author's, and gives it to the hospital's node.
  static func attach(
    _ content: FilePieces, of patient: Digest, by writer: Patient, _ category: RecordCategory, supersedes: Digest?
  ) async throws -> SealedView {
    let readers = try await self.readers(of: patient, writer)
    let spool = try FileSpool(folder: NSTemporaryDirectory(), room: nil)
    var sealing = ContentSealing(SealedRecord.Secrets(random: SecureRandom.bytes))
    for piece in content { try spool.append(sealing.take(piece)) }
    try spool.append(sealing.finish())
    let draft = RecordDraft(
      sealing, patient: patient, hospital: writer.hospital, network: writer.genesis.network, category: category,
      supersedes: supersedes)
    let signature = writer.keys.signingKey.sign(draft.authored)
    guard
      let (anchor, boxes) = draft.enclose(
        sealing.ciphertext, to: readers, author: writer.account, signature: signature)
    else {
      throw Failure("cannot seal", why: "the account's key is none", remedy: "check the patient's account")
    }
    var head = Encoder()
    head.blob(anchor.encoded + boxes.encoded)
    let place = Mutex(-1)
    // Pulled, so that no more than a part is in memory.
    let body = AsyncThrowingStream { [head = head.bytes] () async throws -> ByteBuffer? in
      let start = place.withLock { $0 }
      guard start >= 0 else {
        place.withLock { $0 = 0 }
        return ByteBuffer(bytes: head)
      }
      let chunks = try spool.chunks(from: start, bytesMax: RecordPart.messageBytesMax)
      place.withLock { $0 += chunks.count }
      return chunks.isEmpty ? nil : ByteBuffer(bytes: chunks.flatMap { $0 })
    }
    let length = Int64(head.bytes.count) + Int64(anchor.sizeBytes)
    return try await writer.client.post("/v1/attachments", streaming: .stream(body, length: .known(length)))
  }
}
