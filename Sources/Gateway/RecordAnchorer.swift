public import FHIR
internal import HealthRecords
internal import Ledger
internal import Messages
public import Primitives
internal import Rules
internal import Threshold
internal import Wire

/// Seals resources for a patient's account and anchors them through the node.
public struct RecordAnchorer: RecordAnchoring {
  private let service: any NodeService

  /// An anchorer of a node's hospital.
  public init(service: any NodeService) { self.service = service }

  /// How long a transaction can be executed after it was made.
  public var lifeMilliseconds: UInt64 { self.service.genesis.limits.transactionLifeMilliseconds }

  /// Why the ledger takes no record of an account from this hospital; nil where it does.
  public func refusal(of account: Digest) async -> String? {
    guard let found = await self.service.account(account) else { return "the ledger has no account \(account)" }
    guard found.kind == .patient else { return "the account is no patient's" }
    guard found.hospital == self.service.member.id else {
      return "the account belongs to hospital \(found.hospital.number), which alone anchors under it"
    }
    return nil
  }

  /// How a record stands; nil where there is none.
  public func standing(of record: Digest) async -> RecordStanding? {
    await self.service.record(record).map { entry in
      entry.isErased ? .erased : entry.supersededBy == nil ? .current : .superseded
    }
  }

  /// When a record is erased, as its patient asked and can still take back; nil where nothing is to happen.
  public func erasureDue(of record: Digest) async -> Timestamp? {
    guard let entry = await self.service.record(record), !entry.isErased else { return nil }
    return await self.service.erasureDue(of: entry)
  }

  /// The most corrections one after another that are followed.
  private static let successorsMax = 100_000

  /// The latest of the records that supersede one; nil where that is not current, or another than this hospital's own
  /// system made any of them.
  public func successor(of record: Digest) async -> RecordSuccessor? {
    var next = await self.service.record(record)?.supersededBy
    for _ in 0..<Self.successorsMax {
      guard let identifier = next, let entry = await self.service.record(identifier),
        entry.hospital == self.service.member.id, entry.anchor.author == nil, !entry.isErased
      else { return nil }
      guard let further = entry.supersededBy else { return RecordSuccessor(record: identifier, time: entry.time) }
      next = further
    }
    return nil
  }

  /// Of a record that this hospital's own system anchored as a document, or as something sensitive; nil of every other.
  public func attachment(_ record: Digest) async -> Attachment? {
    guard let entry = await self.service.record(record), entry.hospital == self.service.member.id,
      entry.anchor.author == nil, [.document, .sensitive].contains(entry.anchor.category)
    else { return nil }
    return Attachment(account: entry.anchor.patient, isSensitive: entry.anchor.category == .sensitive)
  }

  /// Seals resources for an account, each over the record that it amends. Nothing leaves this hospital.
  ///
  /// - Throws: `ServiceRefusal` where there is no such account.
  public func seal(_ resources: [SealableResource], of account: Digest) async throws -> [Sealing] {
    let readers = try await self.service.readers(of: account)
    return resources.map { resource in
      do {
        let read = try FHIRResource.read(resource.body).map { resource.isSensitive ? $0.asSensitive : $0 }
        let sealed = try self.service.seal(
          read, of: account, to: readers, supersedes: Array(repeating: resource.supersedes, count: read.count))
        guard sealed.count == 1, let one = sealed.first else { return .refused("one resource is one record") }
        var encoder = Encoder()
        encoder.item(one.anchor)
        encoder.item(one.sealed)
        return .sealed(SealedDraft(record: one.anchor.record, bytes: encoder.bytes))
      } catch { return .refused("it cannot be sealed: \(error)") }
    }
  }

  /// Stores, copies and anchors drafts. The same draft, submitted again, makes nothing twice: the ledger takes a
  /// record's identifier once.
  public func submit(_ drafts: [SealedDraft]) async -> [AnchorOutcome] {
    let generation = await self.service.custody()?.generation
    var outcomes: [AnchorOutcome] = []
    var records: [(place: Int, record: AnchoredRecord)] = []
    for (place, draft) in drafts.enumerated() {
      guard let record = try? Gateway.readAnchored(draft.bytes).first,
        (try? Capsule.decode(record.sealed.boxes.capsule))?.generation == generation
      else {
        outcomes.append(.stale)
        continue
      }
      guard record.anchor.names(record.sealed) else {
        outcomes.append(.refused("what was sealed is not what its anchor names"))
        continue
      }
      records.append((place, record))
      outcomes.append(.waiting("it is not ordered yet"))
    }
    while !records.isEmpty {
      do throws(ServiceRefusal) {
        let receipts = try await self.service.anchor(records.map(\.record))
        for (one, receipt) in zip(records, receipts) { outcomes[one.place] = Self.outcome(of: receipt.outcome) }
        return outcomes
      } catch {
        // One that is refused by itself holds up no other.
        guard case .badTransaction(let index, let reason) = error, records.indices.contains(index) else {
          for one in records { outcomes[one.place] = Self.outcome(of: error) }
          return outcomes
        }
        outcomes[records.remove(at: index).place] = .refused(reason)
      }
    }
    return outcomes
  }

  private static func outcome(of code: OutcomeCode) -> AnchorOutcome {
    switch code {
    case .applied, Refusal.recordExists.code: .anchored
    case .duplicate, .expired, .tooFar: .waiting(code.explanation)
    default: .refused(code.explanation)
    }
  }

  /// Whether a refusal of the node means that nothing left this hospital.
  private static func outcome(of refusal: ServiceRefusal) -> AnchorOutcome {
    refusal.isUnsent ? .unsent("\(refusal)") : .waiting("\(refusal)")
  }
}
