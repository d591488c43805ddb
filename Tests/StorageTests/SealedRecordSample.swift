// A sealed record for tests of the vault.
import HealthRecords
import Primitives
import Signing

enum SealedRecordSample {
  static func make(_ number: UInt8) -> SealedRecord {
    SealedRecord(
      record: Hash.sha256([number]), chunks: [[1, number], [UInt8](repeating: number, count: 65_000)],
      capsule: [2], hospitalCopy: [4], patientCopy: [3])
  }
}
