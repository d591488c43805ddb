internal import Primitives
internal import Signing
internal import Wire

/// A NewView in which whatever is said many times over is written once (LEDGER §11.8).
///
/// The view changes of a large consortium tell the same proposals and votes again and again: a hundred members' take
/// five megabytes, of which a tenth is said once, and a channel takes four. What is signed are the bytes of the plain
/// form; this one is read back to exactly the same NewView. Smaller ones travel in the plain form, which is older.
///
/// Layout: signer (u16), signature, configuration, view; then the lists (u16 each) of cuts, proposals, votes, sets of
/// votes, decisions and certificates, each in the order in which it is first needed and naming others by their numbers
/// (u16); then the view changes, and the numbers of what is proposed.
struct PackedNewView: Sendable {
  /// The longest plain form: what a channel takes, less two type bytes (`Channel.messageBytesMax`).
  static let plainBytesMax = (4 << 20) - 2
  /// The longest plain form that a packed one may stand for: 256 members say less. ⚑ A few bytes name much: it is
  /// counted before anything is written out (LEDGER §11.9).
  static let namedBytesMax = 1 << 26

  private var cuts = Table<Cut>()
  private var proposals = Table<Signed<PrePrepare>>()
  private var votes = Table<VoteSignature>()
  private var sets = Table<[VoteSignature]>()
  private var decisions = Table<Decision>()
  private var certificates = Table<PreparedCertificate>()

  /// Each item once, numbered in the order in which it came.
  private struct Table<Item: Hashable & Sendable>: Sendable {
    var items: [Item] = []
    private var numbers: [Item: Int] = [:]

    /// Its number, and whether it is new.
    mutating func add(_ item: Item) -> (number: UInt16, isNew: Bool)? {
      if let number = self.numbers[item] { return (UInt16(number), false) }
      guard self.items.count < Int(UInt16.max) else { return nil }
      self.numbers[item] = self.items.count
      self.items.append(item)
      return (UInt16(self.items.count - 1), true)
    }
  }

  /// Whether a NewView is too long for its plain form.
  static func isNeeded(for signed: Signed<NewView>) -> Bool { signed.plainLengthBytes > Self.plainBytesMax }

  /// The packed form; nil where that cannot say it all.
  static func pack(_ signed: Signed<NewView>) -> [UInt8]? {
    guard signed.plainLengthBytes <= Self.namedBytesMax else { return nil }
    var packed = PackedNewView()
    return packed.encode(signed)
  }

  private mutating func encode(_ signed: Signed<NewView>) -> [UInt8]? {
    let content = signed.content
    var body = Encoder()
    body.u16(UInt16(content.viewChanges.count))
    for change in content.viewChanges { guard self.encode(change, into: &body) else { return nil } }
    body.u16(UInt16(content.prePrepares.count))
    for proposal in content.prePrepares {
      guard let number = self.number(of: proposal) else { return nil }
      body.u16(number)
    }
    var encoder = Encoder(capacity: 1 << 20)
    encoder.u16(UInt16(signed.signer))
    encoder.item(signed.signature)
    encoder.item(content.configuration)
    encoder.item(content.view)
    guard self.encodeTables(into: &encoder) else { return nil }
    encoder.raw(body.bytes)
    return encoder.bytes
  }

  private mutating func encode(_ change: Signed<ViewChange>, into body: inout Encoder) -> Bool {
    body.u16(UInt16(change.signer))
    body.item(change.signature)
    body.item(change.content.configuration)
    body.item(change.content.view)
    body.flag(change.content.base != nil)
    if let base = change.content.base {
      guard let number = self.number(of: base) else { return false }
      body.u16(number)
    }
    body.u16(UInt16(change.content.prepared.count))
    for certificate in change.content.prepared {
      guard let number = self.number(of: certificate) else { return false }
      body.u16(number)
    }
    return true
  }

  private mutating func number(of decision: Decision) -> UInt16? {
    guard let (number, isNew) = self.decisions.add(decision) else { return nil }
    guard isNew else { return number }
    return self.cuts.add(decision.cut) != nil && self.add(decision.commits) ? number : nil
  }

  private mutating func number(of certificate: PreparedCertificate) -> UInt16? {
    guard let (number, isNew) = self.certificates.add(certificate) else { return nil }
    guard isNew else { return number }
    return self.number(of: certificate.prePrepare) != nil && self.add(certificate.prepares) ? number : nil
  }

  private mutating func number(of proposal: Signed<PrePrepare>) -> UInt16? {
    guard let (number, isNew) = self.proposals.add(proposal) else { return nil }
    return isNew && self.cuts.add(proposal.content.cut) == nil ? nil : number
  }

  private mutating func add(_ set: [VoteSignature]) -> Bool {
    guard let (_, isNew) = self.sets.add(set) else { return false }
    return !isNew || set.allSatisfy { self.votes.add($0) != nil }
  }

  private mutating func encodeTables(into encoder: inout Encoder) -> Bool {
    encoder.list(self.cuts.items)
    encoder.u16(UInt16(self.proposals.items.count))
    for proposal in self.proposals.items {
      guard let cut = self.cuts.add(proposal.content.cut) else { return false }
      encoder.u16(UInt16(proposal.signer))
      encoder.item(proposal.signature)
      encoder.item(proposal.content.configuration)
      encoder.item(proposal.content.view)
      encoder.item(proposal.content.sequence)
      encoder.u16(cut.number)
    }
    encoder.list(self.votes.items)
    encoder.u16(UInt16(self.sets.items.count))
    for set in self.sets.items {
      encoder.u16(UInt16(set.count))
      for vote in set {
        guard let vote = self.votes.add(vote) else { return false }
        encoder.u16(vote.number)
      }
    }
    encoder.u16(UInt16(self.decisions.items.count))
    for decision in self.decisions.items {
      guard let cut = self.cuts.add(decision.cut), let commits = self.sets.add(decision.commits) else { return false }
      encoder.item(decision.configuration)
      encoder.item(decision.view)
      encoder.item(decision.sequence)
      encoder.u16(cut.number)
      encoder.u16(commits.number)
    }
    encoder.u16(UInt16(self.certificates.items.count))
    for certificate in self.certificates.items {
      guard let proposal = self.proposals.add(certificate.prePrepare), let set = self.sets.add(certificate.prepares)
      else { return false }
      encoder.u16(proposal.number)
      encoder.u16(set.number)
    }
    return true
  }
}

/// What a packed form names by number, read back.
private struct UnpackedTables {
  let cuts: [Cut]
  let proposals: [Signed<PrePrepare>]
  let votes: [VoteSignature]
  let sets: [[VoteSignature]]
  let decisions: [Decision]
  let certificates: [PreparedCertificate]
  private var namedBytes = 0

  init(from decoder: inout Decoder) throws(WireError) {
    let cuts: [Cut] = try decoder.list(max: Int(UInt16.max), "cuts")
    self.cuts = cuts
    var proposals: [Signed<PrePrepare>] = []
    for _ in 0..<(try decoder.u16()) {
      let (signer, signature) = (Int(try decoder.u16()), try Signature(from: &decoder))
      let configuration = try ConfigurationNumber(from: &decoder)
      let (view, sequence) = (try View(from: &decoder), try SequenceNumber(from: &decoder))
      let content = PrePrepare(
        configuration: configuration, view: view, sequence: sequence, cut: try decoder.one(of: cuts, "cut"))
      proposals.append(Signed(content: content, signer: signer, signature: signature))
    }
    self.proposals = proposals
    let votes: [VoteSignature] = try decoder.list(max: Int(UInt16.max), "votes")
    self.votes = votes
    var sets: [[VoteSignature]] = []
    for _ in 0..<(try decoder.u16()) {
      let (start, count) = (decoder.offset, Int(try decoder.u16()))
      guard count <= ReplicaSet.countMax else { throw .invalid(at: start, field: "set of votes") }
      var set: [VoteSignature] = []
      for _ in 0..<count { set.append(try decoder.one(of: votes, "vote")) }
      sets.append(set)
    }
    self.sets = sets
    var decisions: [Decision] = []
    for _ in 0..<(try decoder.u16()) {
      let configuration = try ConfigurationNumber(from: &decoder)
      let (view, sequence) = (try View(from: &decoder), try SequenceNumber(from: &decoder))
      let (cut, commits) = (try decoder.one(of: cuts, "cut"), try decoder.one(of: sets, "commits"))
      decisions.append(
        Decision(
          configuration: configuration, view: view, sequence: sequence, cut: cut,
          evidence: commits.isEmpty ? .majority : .commits(commits)))
    }
    self.decisions = decisions
    var certificates: [PreparedCertificate] = []
    for _ in 0..<(try decoder.u16()) {
      let (proposal, set) = (try decoder.one(of: proposals, "proposal"), try decoder.one(of: sets, "prepares"))
      certificates.append(PreparedCertificate(prePrepare: proposal, prepares: set))
    }
    self.certificates = certificates
  }

  mutating func change(from decoder: inout Decoder) throws(WireError) -> Signed<ViewChange> {
    let start = decoder.offset
    let (signer, signature) = (Int(try decoder.u16()), try Signature(from: &decoder))
    let (configuration, view) = (try ConfigurationNumber(from: &decoder), try View(from: &decoder))
    let base = try decoder.flag("base") ? try decoder.one(of: self.decisions, "base") : nil
    let count = Int(try decoder.u16())
    guard count <= ViewChange.preparedMax else { throw .invalid(at: start, field: "prepared") }
    var prepared: [PreparedCertificate] = []
    for _ in 0..<count { prepared.append(try decoder.one(of: self.certificates, "certificate")) }
    let change = Signed(
      content: ViewChange(configuration: configuration, view: view, base: base, prepared: prepared), signer: signer,
      signature: signature)
    self.namedBytes += change.plainLengthBytes
    guard self.namedBytes <= PackedNewView.namedBytesMax else {
      throw .overMax(
        at: start, field: "what a new view names", value: UInt64(self.namedBytes),
        max: UInt64(PackedNewView.namedBytesMax))
    }
    return change
  }
}

extension PackedNewView {
  /// Reads the packed form; refuses every form that `pack` would not have written, and what has a plain one.
  static func unpack(from decoder: inout Decoder) throws(WireError) -> Signed<NewView> {
    let start = decoder.offset
    let (signer, signature) = (Int(try decoder.u16()), try Signature(from: &decoder))
    let (configuration, view) = (try ConfigurationNumber(from: &decoder), try View(from: &decoder))
    var tables = try UnpackedTables(from: &decoder)
    let count = Int(try decoder.u16())
    guard count <= ReplicaSet.countMax else { throw .invalid(at: start, field: "view changes") }
    var changes: [Signed<ViewChange>] = []
    for _ in 0..<count { changes.append(try tables.change(from: &decoder)) }
    let proposed = Int(try decoder.u16())
    guard proposed <= ViewChange.preparedMax * 2 else { throw .invalid(at: start, field: "pre-prepares") }
    var prePrepares: [Signed<PrePrepare>] = []
    for _ in 0..<proposed { prePrepares.append(try decoder.one(of: tables.proposals, "proposal")) }
    let content = NewView(
      configuration: configuration, view: view, viewChanges: changes, prePrepares: prePrepares)
    let signed = Signed(content: content, signer: signer, signature: signature)
    // ⚑ Counted before it is hashed and written out.
    guard Self.isNeeded(for: signed), let packed = Self.pack(signed), decoder.read(since: start) == packed[...] else {
      throw .invalid(at: start, field: "packed new view")
    }
    return signed
  }
}

extension Decoder {
  /// Reads a number (u16) and gives what has it.
  fileprivate mutating func one<Item>(of items: [Item], _ field: String) throws(WireError) -> Item {
    let start = self.offset
    let number = Int(try self.u16())
    guard number < items.count else { throw .invalid(at: start, field: field) }
    return items[number]
  }
}

extension NewView {
  /// Whether the members of a configuration can have so much to say that it needs the packed form.
  public static func mayBePacked(in configuration: Configuration) -> Bool {
    let (members, lanes) = (configuration.voterCount, configuration.laneCount)
    let proposal = signedOverheadBytes + 20 + Cut.plainLengthBytes(lanes)
    let votes = 2 + members * signedOverheadBytes
    let change =
      signedOverheadBytes + 12 + 1 + 20 + Cut.plainLengthBytes(lanes) + votes + 2
      + ViewChange.preparedMax * (proposal + votes)
    let longest = signedOverheadBytes + 12 + 2 + members * change + 2 + 2 * ViewChange.preparedMax * proposal
    return longest > PackedNewView.plainBytesMax
  }
}

extension Signed<NewView> {
  /// The length of its plain form, in bytes.
  var plainLengthBytes: Int {
    let changes = self.content.viewChanges.reduce(0) { $0 + $1.plainLengthBytes }
    let proposals = self.content.prePrepares.reduce(0) { $0 + $1.plainLengthBytes }
    return signedOverheadBytes + 12 + 2 + changes + 2 + proposals
  }
}

/// Signer and signature.
private let signedOverheadBytes = 2 + Signature.lengthBytes

extension Cut {
  fileprivate var plainLengthBytes: Int { Self.plainLengthBytes(self.heads.count) }
  fileprivate static func plainLengthBytes(_ lanes: Int) -> Int { 8 + 2 + lanes * 40 }
}

extension Signed<PrePrepare> {
  fileprivate var plainLengthBytes: Int { signedOverheadBytes + 20 + self.content.cut.plainLengthBytes }
}

extension Signed<ViewChange> {
  fileprivate var plainLengthBytes: Int {
    let base = self.content.base.map { 20 + $0.cut.plainLengthBytes + 2 + $0.commits.count * signedOverheadBytes } ?? 0
    let prepared = self.content.prepared.reduce(0) {
      $0 + $1.prePrepare.plainLengthBytes + 2 + $1.prepares.count * signedOverheadBytes
    }
    return signedOverheadBytes + 12 + 1 + base + 2 + prepared
  }
}
