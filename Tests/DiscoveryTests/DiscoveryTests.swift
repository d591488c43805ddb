// Goal: identifiers and addresses are libp2p's, and members are dialled with a back-off.
// Method: published examples, steps.
import Discovery
import Primitives
import Signing
import Testing

@Suite("Discovery")
struct DiscoveryTests {
  @Test("A peer identifier of the libp2p specification's Ed25519 test key is written and read as there")
  func specification() throws {
    // libp2p/specs, peer-ids: the public key of the Ed25519 test vector.
    let bytes = try #require(Hex.decode("1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"))
    let key = try #require(PublicKey(bytes))
    #expect(key.peerIdentifier.hasPrefix("12D3KooW"))
    #expect(PublicKey(peerIdentifier: key.peerIdentifier) == key)
  }

  @Test("Identifiers survive a round trip, and a changed character is noticed or gives another key")
  func roundTrip() {
    for number in 0..<100 {
      guard let key = PublicKey(Hash.sha256([UInt8(number)]).bytes) else { continue }
      let text = key.peerIdentifier
      #expect(PublicKey(peerIdentifier: text) == key)
      #expect(PublicKey(peerIdentifier: String(text.dropLast()) + (text.last == "a" ? "b" : "a")) != key)
    }
  }

  @Test(
    "Addresses are read and written in libp2p's notation",
    arguments: [
      "/ip4/127.0.0.1/tcp/4001", "/ip6/::1/tcp/1", "/dns4/node.example/tcp/65535", "/dns6/node-3.example.org/tcp/1",
      "/ip6/2001:db8::3/tcp/4001", "/ip6/1:2:3:4:5:6:7:8/tcp/1", "/ip6/::ffff:10.0.0.3/tcp/1", "/ip6/1::/tcp/1",
      "/ip4/0.0.0.0/tcp/0", "/dns4/localhost/tcp/4001",
    ])
  func addresses(text: String) {
    #expect(PeerAddress(text)?.description == text)
  }

  @Test(
    "What is no address is none",
    arguments: [
      "", "/ip4/127.0.0.1", "ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4/tcp/65536", "/ip4//tcp/1",
      "/ip4/1.2.3.4/tcp/1/p2p/QmFoo", "/ip4/1.2.3.4/tcp/1/p2p/", "/ip4/1.2.3/tcp/1", "/ip4/1.2.3.04/tcp/1",
      "/ip4/1.2.3.256/tcp/1", "/ip4/node.example/tcp/1", "/ip6/1.2.3.4/tcp/1", "/ip6/:::/tcp/1", "/ip6/1::2::3/tcp/1",
      "/ip6/fe80::1%eth0/tcp/1", "/ip6/1:2:3:4:5:6:7:8:9/tcp/1", "/ip6/1:2:3:4:5:6:7/tcp/1", "/dns4/1.2.3.4/tcp/1",
      "/dns4/-x.example/tcp/1", "/dns4/a..b/tcp/1", "/dns4/a b/tcp/1", "/dns/node.example/tcp/1",
      "/ip4/1.2.3.4/tcp/+1", "/ip4/1.2.3.4/tcp/01", "/ip4/1.2.3.4/tcp/99999", "/ip4/1.2.3.4/tcp/1/",
      "/dns4/" + String(repeating: "a", count: 64) + "/tcp/1",
    ])
  func noAddresses(text: String) {
    #expect(PeerAddress(text) == nil)
  }

  @Test(
    "What is refused says what to write instead",
    arguments: [
      ("/dns/node.example/tcp/4001", "/dns4/node.example"), ("/ip4/1.2.3.4/udp/4001", "/ip4/1.2.3.4/tcp/PORT"),
      ("/ip4/1.2.3.4/tcp/99999", "1 to 65535"), ("node.example:4001", "/dns4/node.example.org/tcp/4001"),
      ("/ip4/node.example/tcp/1", "/dns4/"),
    ])
  func remedies(text: String, remedy: String) {
    let fault = #expect(throws: AddressFault.self) { try PeerAddress.read(text) }
    #expect(fault?.remedy.contains(remedy) == true, "\(String(describing: fault))")
  }

  @Test("What nobody else can dial is not published; a machine's own addresses and names are")
  func published() throws {
    let undiallable = [
      "/ip4/0.0.0.0/tcp/1", "/ip4/0.1.2.3/tcp/1", "/ip4/10.0.0.3/tcp/0", "/ip4/169.254.1.1/tcp/1",
      "/ip4/224.0.0.1/tcp/1",
      "/ip4/255.255.255.255/tcp/1", "/ip6/::/tcp/1", "/ip6/fe80::1/tcp/1", "/ip6/febf::1/tcp/1", "/ip6/ff02::1/tcp/1",
      "/ip6/::ffff:0.0.0.0/tcp/1", "/dns4/node.example/tcp/0",
    ]
    for text in undiallable { #expect(try PeerAddress.read(text).publishingFault != nil, "\(text)") }
    for text in [
      "/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.3/tcp/1", "/ip6/::1/tcp/1", "/ip6/fec0::1/tcp/1", "/dns6/a/tcp/1",
    ] {
      #expect(try PeerAddress.read(text).publishingFault == nil, "\(text)")
    }
    #expect(try PeerAddress.read("/ip4/0.0.0.0/tcp/1").listeningFault == nil)
    #expect(try PeerAddress.read("/ip4/0.0.0.0/tcp/0").listeningFault != nil)
    #expect(try PeerAddress.read("/dns4/a/tcp/1").listeningFault?.remedy.contains("/ip4/0.0.0.0/tcp/1") == true)
  }

  @Test("A member is dialled at once, and after failures less and less often, never more than every 30 s apart")
  func backoff() {
    var dialler = Dialler(peers: [1], later: [], seed: 1, at: .zero)
    var now = Tick.zero
    var gaps: [UInt64] = []
    for attempt in 0..<20 {
      var effects: [Dialler.Effect] = []
      #expect(dialler.step(.timerFired, at: now, into: &effects) == .accepted)
      #expect(effects == [.dial(1, attempt: attempt)])
      _ = dialler.step(.failed(1), at: now, into: &effects)
      let next = dialler.deadline ?? .zero
      gaps.append((next - now).milliseconds)
      now = next
    }
    #expect((100...200).contains(gaps[0]))
    #expect(gaps.allSatisfy { $0 <= 30_000 })
    #expect(gaps.suffix(5).allSatisfy { $0 >= 15_000 })
  }

  @Test("A connected member is not dialled; a lost one is dialled again soon")
  func connected() {
    var dialler = Dialler(peers: [1], later: [], seed: 1, at: .zero)
    var effects: [Dialler.Effect] = []
    _ = dialler.step(.connected(1), at: .zero, into: &effects)
    #expect(dialler.deadline == nil)
    _ = dialler.step(.disconnected(1), at: .zero, into: &effects)
    #expect((dialler.deadline ?? .zero) <= Tick.zero + .milliseconds(200))
  }

  @Test("One that hangs up after each handshake is dialled less and less often; a session that lasted begins afresh")
  func hangingUp() {
    var dialler = Dialler(peers: [1], later: [], seed: 1, at: .zero)
    var now = Tick.zero
    var gaps: [UInt64] = []
    func session(lasting span: Span) {
      var effects: [Dialler.Effect] = []
      _ = dialler.step(.timerFired, at: now, into: &effects)
      #expect(effects.count == 1)
      #expect(dialler.step(.connected(1), at: now, into: &effects) == .accepted)
      #expect(dialler.deadline == nil)
      now = now + span
      #expect(dialler.step(.disconnected(1), at: now, into: &effects) == .accepted)
      let next = dialler.deadline ?? .zero
      gaps.append((next - now).milliseconds)
      now = next
    }
    for _ in 0..<12 { session(lasting: .milliseconds(5)) }
    #expect(gaps.suffix(3).allSatisfy { (15_000...30_000).contains($0) }, "\(gaps)")
    session(lasting: Dialler.lasting)
    #expect((gaps.last ?? .max) <= 200, "\(gaps)")
  }

  @Test("A connection that replaces another's does not make the session a new one")
  func replaced() {
    var dialler = Dialler(peers: [1], later: [], seed: 1, at: .zero)
    var effects: [Dialler.Effect] = []
    for _ in 0..<8 {
      _ = dialler.step(.timerFired, at: dialler.deadline ?? .zero, into: &effects)
      _ = dialler.step(.failed(1), at: .zero, into: &effects)
    }
    _ = dialler.step(.connected(1), at: .zero, into: &effects)
    let late = Tick.zero + Dialler.lasting
    #expect(dialler.step(.connected(1), at: late, into: &effects) == .ignored(.idle))
    _ = dialler.step(.disconnected(1), at: late, into: &effects)
    #expect((dialler.deadline ?? .zero) <= late + .milliseconds(200))
  }
}
