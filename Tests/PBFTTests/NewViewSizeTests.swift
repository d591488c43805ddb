// Goal: a NewView of a large consortium fits its channel, and is read back to the same (LEDGER §11.8). Method: one with
// a full pipeline of 128 members, whose signatures are made; altered forms of it; sizes of both sides of the limit.
import Messages
import Ordering
import PBFT
import Primitives
import Signing
import Testing
import Wire

@Suite("PBFT: size of a NewView")
struct NewViewSizeTests {
  /// What a channel takes of a message, with the type byte of peers' messages before it.
  private static let messageBytesMax = (4 << 20) - 1

  /// A NewView of view 1 after a full pipeline: each member holds certificates for eight numbers, not all of the same
  /// votes.
  private func newView(_ consortium: Consortium, numbers: UInt64 = 8) -> Signed<NewView> {
    let (count, quorum) = (consortium.configuration.voterCount, consortium.configuration.quorum)
    let cuts = (0...numbers).map { number in
      Cut(
        heads: (0..<count).map { FakeLanes.head($0, number + 1) },
        time: Timestamp(milliseconds: Wall.start + number))
    }
    let proposals = (1...numbers).map { number in
      consortium.sign(consortium.prePrepare(number + 1, cuts[Int(number)]), by: 0)
    }
    func votes<Content: OrderingContent>(_ content: Content) -> [VoteSignature] {
      let bytes = Signed<Content>.signedBytes(content, network: consortium.network)
      return (0..<count).map { VoteSignature(signer: $0, signature: Consortium.key($0).sign(bytes)) }
    }
    let prepares = proposals.map { votes(Prepare($0.content.ballot)) }
    let base = consortium.prePrepare(1, cuts[0])
    let commits = votes(Commit(base.ballot))
    let decision = Decision(
      configuration: ConfigurationNumber(0), view: View(0), sequence: SequenceNumber(1), cut: cuts[0],
      evidence: .commits(Array(commits.prefix(quorum))))
    let changes = (0..<quorum).map { member in
      let certificates = zip(proposals, prepares).map { proposal, votes in
        // Each heard a quorum's votes without one that differs from member to member.
        let heard = votes.dropFirst().filter { $0.signer != 1 + member % 30 }
        return PreparedCertificate(prePrepare: proposal, prepares: Array(heard.prefix(quorum - 1)))
      }
      return consortium.viewChange(1, base: decision, prepared: certificates, by: member)
    }
    let again = proposals.map {
      consortium.sign(consortium.prePrepare($0.content.sequence.number, $0.content.cut, view: 1), by: 1)
    }
    let content = NewView(
      configuration: ConfigurationNumber(0), view: View(1), viewChanges: changes, prePrepares: again)
    return consortium.sign(content, by: 1)
  }

  @Test("LEDGER §11.8: that of 128 members fits its channel, is the same when it is read, and holds")
  func large() throws {
    let consortium = Consortium(count: 128)
    let signed = self.newView(consortium)
    #expect(signed.encoded.count > Self.messageBytesMax)
    let bytes = OrderingMessage.newView(signed).encoded
    #expect(bytes.count < Self.messageBytesMax / 2)
    #expect(OrderingHead(in: bytes, at: 0)?.kind == .newView)
    #expect(OrderingHead(in: bytes, at: 0)?.view == View(1))
    guard case .newView(let read) = try OrderingMessage.decode(bytes) else {
      Issue.record("it is read as something else")
      return
    }
    #expect(read == signed && read.encoded == signed.encoded)
    let verified = OrderingMessage.verify(
      .newView(read), network: consortium.network, in: consortium.configuration)
    #expect(verified != nil)
    // One form for each: a byte more, less or another is refused, or is another NewView.
    #expect(throws: WireError.self) { try OrderingMessage.decode(Array(bytes.dropLast())) }
    #expect(throws: WireError.self) { try OrderingMessage.decode(bytes + [0]) }
    for offset in stride(from: 80, to: bytes.count, by: bytes.count / 8) {
      var altered = bytes
      altered[offset] ^= 1
      guard let other = try? OrderingMessage.decode(altered) else { continue }
      #expect(other != .newView(signed) && other.encoded == altered)
    }
  }

  @Test("LEDGER §11.8: a replica of 128 enters a view whose NewView came packed")
  func entered() throws {
    let consortium = Consortium(count: 128)
    let message = try OrderingMessage.decode(OrderingMessage.newView(self.newView(consortium)).encoded)
    var replica = consortium.replica(5)
    var lanes = FakeLanes()
    (lanes.held, lanes.announced) = (Array(repeating: 100, count: 128), Array(repeating: 0, count: 128))
    var effects: [OrderingEffect] = []
    let now = Moment(tick: .zero, wall: Timestamp(milliseconds: Wall.start))
    _ = replica.step(.message(Verified(checked: message)), at: now, lanes: lanes, into: &effects)
    #expect(replica.view == View(1) && replica.isVoting)
  }

  @Test("A small one keeps its plain form, and no packed form of it is read")
  func small() throws {
    let consortium = Consortium(count: 4)
    let signed = self.newView(consortium)
    let bytes = OrderingMessage.newView(signed).encoded
    #expect(bytes == [5] + signed.encoded)
    #expect(try OrderingMessage.decode(bytes) == .newView(signed))
    #expect(throws: WireError.self) { try OrderingMessage.decode([7] + signed.encoded) }
  }

  @Test("LEDGER §11.9: what would name more votes than may be read is not packed")
  func bomb() throws {
    let consortium = Consortium(count: 128)
    let signed = self.newView(consortium)
    guard let first = signed.content.viewChanges.first else { return }
    // Two hundred view changes with sixty-four certificates of eighty-five votes each.
    let certificates = (0..<64).compactMap { first.content.prepared[$0 % 8] }
    let change = Signed(
      content: ViewChange(
        configuration: first.content.configuration, view: View(1), base: first.content.base, prepared: certificates),
      signer: 0, signature: first.signature)
    let content = NewView(
      configuration: ConfigurationNumber(0), view: View(1), viewChanges: Array(repeating: change, count: 200),
      prePrepares: [])
    let bytes = OrderingMessage.newView(Signed(content: content, signer: 1, signature: signed.signature)).encoded
    #expect(bytes.first == 5 && bytes.count > Self.messageBytesMax)
  }

  @Test("LEDGER §11.9: a short form that names much is not read: one cut, thousands of times")
  func namesMuch() {
    var encoder = Encoder()
    let (number, signature) = (ConfigurationNumber(0), Consortium.key(0).sign([1]))
    encoder.u16(1)
    encoder.item(signature)
    encoder.item(number)
    encoder.item(View(1))
    encoder.list([Cut(heads: (0..<256).map { FakeLanes.head($0, 1) }, time: Timestamp(milliseconds: Wall.start))])
    // A proposal of that cut; no votes; a set of none; no decision; a certificate of both.
    encoder.u16(1)
    encoder.u16(0)
    encoder.item(signature)
    encoder.item(number)
    encoder.item(View(0))
    encoder.item(SequenceNumber(1))
    encoder.u16(0)
    for count in [0, 1, 0, 0, 1, 0, 0] as [UInt16] { encoder.u16(count) }
    encoder.u16(256)
    for member in 0..<256 {
      encoder.u16(UInt16(member))
      encoder.item(signature)
      encoder.item(number)
      encoder.item(View(1))
      encoder.flag(false)
      encoder.u16(64)
      for _ in 0..<64 { encoder.u16(0) }
    }
    encoder.u16(0)
    let bytes = [7] + encoder.bytes
    #expect(bytes.count < 80_000)
    do {
      _ = try OrderingMessage.decode(bytes)
      Issue.record("it is read")
    } catch {
      guard case .overMax(_, "what a new view names", _, _) = error else {
        Issue.record("\(error)")
        return
      }
    }
  }

  @Test("LEDGER §11.8: few members never need the packed form, many may")
  func mayBePacked() {
    for count in [1, 4, 7, 22] { #expect(!NewView.mayBePacked(in: Consortium(count: count).configuration)) }
    for count in [90, 128] { #expect(NewView.mayBePacked(in: Consortium(count: count).configuration)) }
  }
}
