// Goal: the group is RFC 9496's, proofs and capsules bind everything that they claim to bind, shares of any quorum open
// a capsule and fewer say nothing, whoever lies is named. Method: published vectors, every byte changed, all subsets.
import Messages
import Primitives
import Signing
import Testing
import Threshold
import Wire

private let network = Hash.sha256([1])

/// Fresh bytes of a seed.
private struct Source {
  private var random: SeededGenerator
  init(_ seed: UInt64) { self.random = SeededGenerator(seed: seed) }
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(self.random.below(256)) } }
  mutating func scalar() -> Scalar { Scalar(reducing: self.bytes(64)) }
}

private func hex(_ text: String) throws -> [UInt8] { try #require(Hex.decode(text)) }

@Suite("ristretto255")
struct GroupTests {
  @Test("RFC 9496 A.1: multiples of the generator")
  func multiples() throws {
    let known = [
      1: "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
      2: "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
      3: "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    ]
    for (factor, text) in known { #expect(Scalar(factor).times.bytes == (try hex(text))) }
  }

  @Test("RFC 9496 A.3: mapping 64 bytes to an element")
  func mapping() throws {
    // SHA-512 of "Ristretto is traditionally a short shot of espresso coffee".
    let input = try hex(
      "5d1be09e3d0c82fc538112490e35701979d99e06ca3e2b5b54bffe8b4dc772c1"
        + "4d98b696a1bbfb5ca32c436cc61c16563790306c79eaca7705668b47dffe5bb6")
    #expect(
      GroupElement(mapping: input).bytes
        == (try hex("3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46")))
  }

  @Test(
    "RFC 9496 A.2: what encodes no element is refused, and so is the identity",
    arguments: [
      "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000000",
      "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    ])
  func invalid(text: String) throws { #expect(GroupElement(try hex(text)) == nil) }

  @Test("A scalar has one encoding: L, L + 1 and anything with a high bit are refused")
  func scalars() throws {
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
    #expect(Scalar(try hex(order)) == nil)
    #expect(Scalar(try hex("ee" + order.dropFirst(2))) == nil)
    #expect(Scalar([UInt8](repeating: 0, count: 31) + [0x80]) == nil)
    let largest = try #require(Scalar(try hex("ec" + order.dropFirst(2))))
    #expect((largest + Scalar(1)).isZero)
    #expect(Scalar(0) * GroupElement.generator == .identity)
  }

  @Test("Sums, differences and inverses are a field's")
  func arithmetic() throws {
    var source = Source(7)
    let (a, b) = (source.scalar(), source.scalar())
    #expect((a + b).times == a.times + b.times)
    #expect((a - b).times == a.times - b.times)
    #expect((a * b).times == a * b.times)
    #expect(try #require(a.inverse) * a == Scalar(1))
    #expect(Scalar(0).inverse == nil)
  }
}

@Suite("Custody's cryptography")
struct ThresholdTests {
  /// A key that `count` members share, dealt by all of them.
  private struct Shared {
    let key: CustodyKey
    let shares: [KeyShare]
  }

  private func share(count: Int, threshold: Int, _ source: inout Source) throws -> Shared {
    let secrets = (0..<count).map { _ in source.scalar() }
    let recipients = secrets.enumerated().map { (member: $0.offset, key: $0.element.times) }
    var sums: [GroupElement] = []
    var received = [[Scalar]](repeating: [], count: count)
    for dealer in 0..<count {
      let context = DealingContext(network: network, attempt: 1, dealer: dealer)
      let dealing = Dealing(threshold: threshold, to: recipients, context: context) { source.bytes($0) }
      sums = sums.isEmpty ? dealing.commitments : zip(sums, dealing.commitments).map { $0 + $1 }
      for member in 0..<count {
        let shared = secrets[member] * dealing.ephemeral
        received[member].append(
          try #require(dealing.share(for: member, at: member, shared: shared, context: context)))
      }
    }
    var custodians = ReplicaSet()
    for member in 0..<count { custodians.insert(member) }
    let key = CustodyKey(
      generation: 1, commitments: sums, custodians: custodians, attempt: 1, dealers: custodians,
      participants: custodians)
    let shares = try received.enumerated().map { member, received in
      try #require(KeyShare(member: member, of: key, parts: received.enumerated().map { ($0.offset, $0.element) }))
    }
    return Shared(key: key, shares: shares)
  }

  @Test("Any t of n shares open a capsule, t − 1 do not", arguments: [(1, 1), (2, 2), (4, 3), (5, 4), (7, 5)])
  func anyQuorum(count: Int, threshold: Int) throws {
    var source = Source(UInt64(count))
    let shared = try self.share(count: count, threshold: threshold, &source)
    let secret = source.bytes(32)
    let label = Hash.sha256([2])
    let capsule = Capsule(secret, for: shared.key, label: label, random: source.bytes(Capsule.randomLengthBytes))
    #expect(capsule.isValid(for: shared.key, label: label))
    for subset in 0..<(1 << count) {
      var chosen: [ReplicaIndex: CapsuleShare] = [:]
      for share in shared.shares where subset & (1 << share.member) != 0 {
        chosen[share.member] = share.open(capsule, nonce: source.scalar(), context: [3])
      }
      let opened = capsule.open(with: chosen, of: shared.key, label: label)
      #expect(opened == (chosen.count >= threshold ? secret : nil))
    }
  }

  @Test("R9: a capsule under another label, for another key, or with a byte changed is found out")
  func bound() throws {
    var source = Source(11)
    let shared = try self.share(count: 4, threshold: 3, &source)
    let other = try self.share(count: 4, threshold: 3, &source)
    let label = Hash.sha256([2])
    let capsule = Capsule(
      source.bytes(32), for: shared.key, label: label, random: source.bytes(Capsule.randomLengthBytes))
    #expect(!capsule.isValid(for: shared.key, label: Hash.sha256([3])))
    #expect(!capsule.isValid(for: other.key, label: label))
    let bytes = capsule.encoded
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 1
      guard let decoded = try? Capsule.decode(changed) else { continue }
      #expect(!decoded.isValid(for: shared.key, label: label), "byte \(index)")
    }
  }

  @Test("Every part of a label counts: network, key, record, author, category, address")
  func labels() throws {
    var source = Source(12)
    let (one, two) = (
      try self.share(count: 1, threshold: 1, &source).key, try self.share(count: 1, threshold: 1, &source).key
    )
    func label(
      network: Digest = .zero, _ key: CustodyKey, record: Digest = .zero, author: Digest? = nil, category: UInt8 = 1,
      address: Digest = .zero
    ) -> Digest {
      Capsule.label(
        network: network, custody: key, record: record, author: author, category: category, address: address)
    }
    let some = Hash.sha256([1])
    let labels = [
      label(one), label(network: some, one), label(two), label(one, record: some), label(one, author: some),
      label(one, author: .zero), label(one, category: 2), label(one, address: some),
    ]
    #expect(Set(labels).count == labels.count)
  }

  @Test("A share convicts its author where it is wrong, and nobody where it is not signed")
  func culprits() throws {
    var source = Source(13)
    let shared = try self.share(count: 4, threshold: 3, &source)
    func signing(_ index: Int) -> SigningKey {
      guard let key = SigningKey(seed: Hash.sha256([UInt8(index), 7]).bytes) else {
        preconditionFailure("a digest has 32 bytes")
      }
      return key
    }
    let label = Hash.sha256([2])
    let secret = source.bytes(32)
    let capsule = Capsule(secret, for: shared.key, label: label, random: source.bytes(Capsule.randomLengthBytes))
    let another = Capsule(secret, for: shared.key, label: label, random: source.bytes(Capsule.randomLengthBytes))
    let context = OpeningContext(network: network, request: .zero, capsule: Hash.sha256([4]), custody: shared.key)
    let elsewhere = OpeningContext(
      network: network, request: label, capsule: Hash.sha256([4]), custody: shared.key)
    let members = (0..<4).map { signing($0).publicKey }
    var combination = Combination(capsule, of: shared.key, label: label, context: context, members: members)
    func released(_ share: Int, _ capsule: Capsule, _ context: OpeningContext, by signer: Int) -> ReleasedShare {
      ReleasedShare(
        capsule, with: shared.shares[share], nonce: source.scalar(), context: context,
        signedBy: signing(signer))
    }
    // Another capsule's share, said to be this one's: wrong, and signed.
    #expect(combination.take(released(0, another, context, by: 0)) == .wrong)
    // Another request's share, replayed: not signed for this one.
    #expect(combination.take(released(1, capsule, elsewhere, by: 1)) == .unsigned)
    // Somebody else's share in the name of member 1.
    #expect(combination.take(released(1, capsule, context, by: 2)) == .unsigned)
    #expect(combination.key == nil && !combination.isComplete)
    for member in 1...3 {
      #expect(combination.take(released(member, capsule, context, by: member)) == .right)
    }
    #expect(combination.key == secret)
    #expect(combination.wrong.map(\.member) == [0])
    #expect((0..<4).allSatisfy { combination.settled.contains($0) })
  }

  @Test(
    "Resharing: any t old custodians hand the same secret on to others; what was sealed before opens with new shares")
  func resharing() throws {
    var source = Source(29)
    let old = try self.share(count: 4, threshold: 3, &source)
    let (secret, label) = (source.bytes(32), Hash.sha256([2]))
    let capsule = Capsule(secret, for: old.key, label: label, random: source.bytes(Capsule.randomLengthBytes))
    // Old custodians 0, 2 and 3 deal to five members, 1 … 5, of whom four are enough.
    let dealers = [0, 2, 3]
    let transport = Dictionary(uniqueKeysWithValues: (1...5).map { ($0, source.scalar()) })
    let recipients = (1...5).map { (member: $0, key: transport[$0]?.times ?? .identity) }
    let dealings = dealers.map { dealer in
      let context = DealingContext(network: network, attempt: 2, dealer: dealer)
      return (
        dealer: dealer,
        dealing: old.shares[dealer].deal(threshold: 4, to: recipients, context: context) { source.bytes($0) }
      )
    }
    for (dealer, dealing) in dealings {
      #expect(dealing.commitments.first == old.key.verificationKey(of: dealer), "it is its own share that it deals")
    }
    var (dealerSet, participants) = (ReplicaSet(), ReplicaSet())
    for dealer in dealers { dealerSet.insert(dealer) }
    for member in 1...5 { participants.insert(member) }
    // The weights of 0, 2 and 3 at 0, worked out by hand with points 1, 3 and 4: 2, −2 and 1.
    let weights = [Scalar(2), Scalar(0) - Scalar(2), Scalar(1)]
    let commitments = (0..<4).map { place in
      zip(weights, dealings).map { $0 * $1.dealing.commitments[place] }.reduce(.identity, +)
    }
    #expect(commitments[0] == old.key.publicKey)
    let key = CustodyKey(
      generation: 1, epoch: 1, commitments: commitments, custodians: participants, attempt: 2, dealers: dealerSet,
      participants: participants)
    #expect(key.identifier == old.key.identifier && capsule.isValid(for: key, label: label))
    var shares: [ReplicaIndex: CapsuleShare] = [:]
    for (place, member) in (1...5).enumerated() {
      let parts = try dealings.map { dealer, dealing in
        let context = DealingContext(network: network, attempt: 2, dealer: dealer)
        let shared = try #require(transport[member]) * dealing.ephemeral
        return (
          dealer: dealer,
          share: try #require(dealing.share(for: member, at: place, shared: shared, context: context))
        )
      }
      let share = try #require(KeyShare(member: member, of: key, parts: parts))
      shares[member] = share.open(capsule, nonce: source.scalar(), context: [])
    }
    #expect(capsule.open(with: shares, of: key, label: label) == secret)
    #expect(capsule.open(with: shares.filter { $0.key != 2 }, of: key, label: label) == secret)
    #expect(capsule.open(with: shares.filter { $0.key > 2 }, of: key, label: label) == nil, "three are too few now")
    let stale = old.shares[1].open(capsule, nonce: source.scalar(), context: [])
    #expect(!stale.isRight(for: capsule, by: 1, of: key, context: []))
    #expect(try #require(shares[1]).isRight(for: capsule, by: 1, of: key, context: []))
  }

  @Test("A bad share is shown by opening its box; an accusation without one fails, and so does another's")
  func complaints() throws {
    var source = Source(14)
    let secrets = (0..<3).map { _ in source.scalar() }
    let recipients = secrets.enumerated().map { (member: $0.offset, key: $0.element.times) }
    let context = DealingContext(network: network, attempt: 1, dealer: 2)
    let dealing = Dealing(
      coefficients: [source.scalar(), source.scalar()], secret: source.scalar(), to: recipients, context: context,
      bending: { member, share in member == 1 ? share + Scalar(1) : share })
    func shared(_ member: Int) -> GroupElement { secrets[member] * dealing.ephemeral }
    #expect(dealing.share(for: 0, at: 0, shared: shared(0), context: context) != nil)
    #expect(dealing.share(for: 1, at: 1, shared: shared(1), context: context) == nil)
    func complaint(_ member: Int) -> DealingComplaint {
      DealingComplaint(about: dealing, context: context, secret: secrets[member], nonce: source.scalar())
    }
    func judge(_ complaint: DealingComplaint, by member: Int, key: Int) -> Bool {
      complaint.isJustified(about: dealing, by: member, at: member, key: secrets[key].times, context: context)
    }
    let (right, wrong) = (complaint(1), complaint(0))
    #expect(judge(right, by: 1, key: 1))
    #expect(!judge(wrong, by: 0, key: 0))
    // In another's name the proof does not hold.
    #expect(!judge(right, by: 0, key: 0))
    #expect(!judge(wrong, by: 1, key: 1))
    let otherTry = DealingContext(network: network, attempt: 2, dealer: 2)
    #expect(
      !right.isJustified(about: dealing, by: 1, at: 1, key: secrets[1].times, context: otherTry))
  }

  @Test("A transport key is its member's, in its network")
  func transport() throws {
    var source = Source(15)
    let key = TransportKey(secret: source.scalar(), nonce: source.scalar(), network: network, member: MemberID(1))
    #expect(key.isProved(network: network, member: MemberID(1)))
    #expect(!key.isProved(network: network, member: MemberID(2)))
    #expect(!key.isProved(network: .zero, member: MemberID(1)))
  }

  @Test("Random bytes are read or refused, never trapped on", arguments: 0..<10)
  func fuzz(seed: UInt64) {
    var source = Source(100 + seed)
    for count in [0, 1, 31, 32, 96, 184, 185, 400] {
      let bytes = source.bytes(count)
      _ = try? Capsule.decode(bytes)
      _ = try? Dealing.decode(bytes)
      _ = try? DealingComplaint.decode(bytes)
      _ = try? KeyGeneration.decode(bytes)
      _ = try? CustodyKey.decode(bytes)
      _ = try? ReleasedShare.decode(bytes)
    }
  }
}
