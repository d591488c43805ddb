internal import NIOHTTP1
internal import Foundation
internal import HealthRecords
internal import Messages
internal import Primitives
internal import Signing
internal import Synchronization
internal import Wire

/// Who signs a load's transactions.
enum LoadSigner: String, CaseIterable, Sendable {
  case hospital, patient
}

/// Makes transactions that commit to digests, of a stated size on the wire.
struct LoadFactory: Sendable {
  let genesis: Genesis
  let hospital: MemberID
  let sizeBytes: Int
  let signer: LoadSigner
  let run: UInt32

  /// Transaction `number`, always the same bytes but for its time.
  func transaction(_ number: UInt64, seed: [UInt8]) -> Transaction {
    var nonce = Encoder()
    nonce.u64(number)
    nonce.u32(self.run)
    let overhead = Transaction.headerLengthBytes + (self.signer == .patient ? Transaction.personLengthBytes : 0)
    let digests = max(1, (self.sizeBytes - overhead) / Digest.lengthBytes)
    var payload: [UInt8] = []
    payload.reserveCapacity(digests * 32)
    for index in 0..<digests { payload += Self.filler(number &* 31 &+ UInt64(index)) }
    let validUntil = Drafts.validUntil(self.genesis)
    if self.signer == .patient, let key = SigningKey(seed: seed) {
      return Transaction(
        kind: TransactionKind.commitDigests.rawValue, hospital: self.hospital, validUntil: validUntil,
        nonce: nonce.bytes, payload: payload, network: self.genesis.network, signedBy: key)
    }
    return Transaction(
      kind: TransactionKind.commitDigests.rawValue, hospital: self.hospital, validUntil: validUntil,
      nonce: nonce.bytes, payload: payload)
  }

  private static func filler(_ number: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed: number)
    var encoder = Encoder(capacity: 32)
    for _ in 0..<4 { encoder.u64(generator.next()) }
    return encoder.bytes
  }

  /// A batch as the API takes it.
  static func batch(_ transactions: [Transaction]) -> [UInt8] {
    var encoder = Encoder(capacity: transactions.reduce(0) { $0 + $1.lengthBytes + 4 })
    for transaction in transactions { encoder.blob(transaction.encoded) }
    return encoder.bytes
  }
}

/// What a node answered to a batch: for each transaction its outcome and place.
struct BatchAnswer {
  let receipts: [(outcome: UInt16, leaf: UInt64, height: UInt64)]

  init(_ bytes: [UInt8]) throws {
    var decoder = Decoder(bytes)
    var out: [(outcome: UInt16, leaf: UInt64, height: UInt64)] = []
    while decoder.remaining > 0 { out.append((try decoder.u16(), try decoder.u64(), try decoder.u64())) }
    self.receipts = out
  }
}

/// A load that runs beside a story's events: what was acknowledged is remembered, to be looked for afterwards.
final class BackgroundLoad: Sendable {
  private struct State {
    var acknowledged: [UInt64: Digest] = [:]
    var failures = 0
    var isOver = false
    var number: UInt64 = 0
  }

  private let state = Mutex(State())
  private let genesis: Genesis

  init(_ genesis: Genesis) { self.genesis = genesis }

  /// The acknowledged transactions by their place in the log.
  var acknowledged: [UInt64: Digest] { self.state.withLock { $0.acknowledged } }
  /// How many batches were not acknowledged.
  var failures: Int { self.state.withLock { $0.failures } }
  func end() { self.state.withLock { $0.isOver = true } }

  /// Submits batches through a node until the load ends.
  func run(_ client: NodeClient, hospital: MemberID, batchSize: Int) async {
    let factory = LoadFactory(
      genesis: self.genesis, hospital: hospital, sizeBytes: 256, signer: .hospital, run: .random(in: 0 ... .max))
    while !self.state.withLock({ $0.isOver }) {
      let first = self.state.withLock { state in
        state.number += UInt64(batchSize)
        return state.number
      }
      let transactions = (0..<batchSize).map { factory.transaction(first + UInt64($0), seed: []) }
      do {
        let bytes = try await client.send(
          .POST, "/v1/transactions/batch", LoadFactory.batch(transactions), accept: "application/octet-stream")
        let answer = try BatchAnswer(bytes)
        self.state.withLock { state in
          for (receipt, transaction) in zip(answer.receipts, transactions) where receipt.outcome == 0 {
            state.acknowledged[receipt.leaf] = transaction.identifier(network: self.genesis.network)
          }
        }
      } catch {
        self.state.withLock { $0.failures += 1 }
      }
      // Busy, not saturated: whoever lags must be able to catch up on the same two processors.
      try? await Task.sleep(for: .milliseconds(40))
    }
  }
}
