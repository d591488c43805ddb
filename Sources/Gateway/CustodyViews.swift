public import HealthRecords
internal import Primitives

/// How many live records a hospital has under something.
public struct HospitalRecordsView: Codable, Sendable, Hashable {
  /// The hospital's member number.
  public var hospital: UInt32
  /// How many.
  public var records: UInt64

  /// A view of records.
  public init(_ records: HospitalRecords) {
    (self.hospital, self.records) = (records.hospital.number, records.count)
  }
}

/// A custody key in use: how far the records under it are from opening for no other hospital.
public struct CustodyKeyView: Codable, Sendable, Hashable {
  /// Which key.
  public var generation: UInt64
  /// Whether it goes out of use: its shares are dealt to nobody any more.
  public var isRetiring: Bool
  /// How many shares open a record's key.
  public var needed: Int
  /// How many would, if all that vote had taken part when its shares were dealt.
  public var neededOfAll: Int
  /// How many members vote.
  public var members: Int
  /// The members that vote and have a share.
  public var custodians: [UInt32]
  /// The live records under it, by hospital.
  public var records: [HospitalRecordsView]

  /// A view of a key's standing.
  public init(_ standing: CustodyStanding) {
    (self.generation, self.isRetiring) = (standing.generation, standing.isRetiring)
    (self.needed, self.neededOfAll) = (standing.needed, standing.neededOfAll)
    (self.members, self.custodians) = (standing.voterCount, standing.custodians.map(\.number))
    self.records = standing.records.map(HospitalRecordsView.init)
  }
}

extension [HospitalRecordsView] {
  /// How many there are, and whose.
  public var summary: String {
    self.isEmpty ? "no records" : self.map { "\($0.records) of hospital \($0.hospital)" }.joined(separator: ", ")
  }
}

extension CustodyKeyView {
  /// Whether too few members have a share: its records open for no other hospital.
  public var isUnreadable: Bool { self.custodians.count < self.needed }
  /// Whether each share that is left is needed.
  public var isLast: Bool { self.custodians.count == self.needed }
  /// Whether somebody's records hang on it, or will.
  private var isOfUse: Bool { !self.isRetiring || !self.records.isEmpty }
  private var holders: String {
    self.custodians.isEmpty ? "none" : self.custodians.map { "\($0)" }.joined(separator: ", ")
  }

  /// Who has shares, how many it takes, and what is under it, in a line.
  public var summary: String {
    "key \(self.generation)\(self.isRetiring ? ", which goes out of use" : ""): shares needed \(self.needed), left "
      + "\(self.custodians.count) of \(self.members) (hospitals \(self.holders)); live records under it: "
      + self.records.summary
  }

  /// What a person should know of the shares that are left; nil where a member can still be lost, or never could.
  var shareWarning: String? {
    guard self.isOfUse else { return nil }
    let found =
      "custody key \(self.generation): \(self.custodians.count) hospitals have a share (\(self.holders)) and "
      + "\(self.needed) are needed"
    if self.isUnreadable {
      let others =
        self.isRetiring
        ? "but those that the hospital which wrote them can still seal to the key in use; its node does that while it "
          + "runs"
        : "and nothing that is written from now on will: no shares can be dealt again. Each hospital still opens what "
          + "it wrote itself, and patients what is theirs. Under version 3 of the rules (consilium rules show) a "
          + "quorum's registrars have another key made, to which each hospital seals what it wrote: "
          + "consilium custody rotate --leave-records"
      return "\(found): its records (\(self.records.summary)) open for no other hospital any more, \(others)"
    }
    guard self.isLast, self.custodians.count < self.members else { return nil }
    let remedy =
      self.isRetiring
      ? "its shares are dealt to nobody again: replace and remove no member before the hospitals that wrote those "
        + "records have sealed them to the key in use, which their nodes do while they run"
      : "replace and remove no member before its shares are dealt again: consilium custody show"
    return "\(found): once one more hospital leaves or gets other keys its records (\(self.records.summary)) open for "
      + "no other hospital any more; \(remedy)"
  }

  /// Where fewer shares are enough than should be, what to do; nil where that is not so.
  func thresholdWarning(until: String?) -> String? {
    guard self.isOfUse, self.needed < self.neededOfAll else { return nil }
    let when =
      self.isRetiring
      ? "its shares are not dealt again"
      : "they are dealt again \(until.map { "at \($0)" } ?? "soon"), or once all nodes run by consilium custody "
        + "refresh --registrar, which one hospital's registrar may give"
    return
      "custody key \(self.generation): \(self.needed) shares open a record's key, and among all \(self.members) "
      + "hospitals it would take \(self.neededOfAll): not all took part when its shares were dealt; \(when)"
  }
}

extension CustodyView {
  /// Whether too few members have a share of the newest key in use.
  public var isUnreadable: Bool { (self.keys ?? []).contains { !$0.isRetiring && $0.isUnreadable } }

  /// What a person should see to.
  public var warnings: [String] {
    (self.keys ?? []).flatMap { key -> [String] in
      // While the newest key's shares are being dealt again, what it takes is about to change.
      let isSettled = key.isRetiring || self.phase == "active"
      return [key.shareWarning, isSettled ? key.thresholdWarning(until: self.until) : nil].compactMap { $0 }
    }
  }

  /// The keys whose records open for no other hospital once a member's shares are gone.
  public func keysLost(without member: UInt32) -> [CustodyKeyView] {
    (self.keys ?? []).filter {
      $0.isLast && $0.custodians.contains(member) && (!$0.isRetiring || !$0.records.isEmpty)
    }
  }

  /// A member's own records, by the key that goes out of use and they are still under: with other keys it can never
  /// seal them to the newest one.
  public func recordsLeft(without member: UInt32) -> (generation: UInt64, count: UInt64)? {
    for key in self.keys ?? [] where key.isRetiring {
      if let own = key.records.first(where: { $0.hospital == member }) { return (key.generation, own.records) }
    }
    return nil
  }
}

extension ReleaseRefusal {
  /// What to do about it, beside what the explanation says.
  var remedy: String {
    guard case .custodiansGone = self else { return "see the patient's access history" }
    return "ask the patient, or the hospital that wrote it; consilium custody show says who has a share of which key"
  }
}
