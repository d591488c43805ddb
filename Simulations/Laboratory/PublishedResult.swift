internal import Gossip
internal import Primitives
internal import Simulator

/// A result that others published, run again with the parameters that they published, and what came of it.
///
/// "Reproduced" is said of a quantity only where it is within its tolerance of the published number; the tolerance and
/// the parameters of the run stand beside it.
public struct PublishedResult: Sendable, Codable {
  /// How a quantity is held against the published one.
  public enum Claim: Sendable, Codable, Hashable {
    /// As large, up to a part of it.
    case equal(Double, within: Double)
    /// As large, up to an amount in the quantity's own unit.
    case near(Double, within: Double)
    /// No larger.
    case atMost(Double)
    /// Shown beside it, and not compared, for this reason.
    case shown(Double, String)
  }

  /// What came of it.
  public enum Verdict: String, Sendable, Codable {
    /// Within the tolerance.
    case reproduced
    /// Outside.
    case differs
    /// Nothing is claimed.
    case notCompared = "not compared"
  }

  /// One quantity.
  public struct Row: Sendable, Codable {
    /// Which, with its unit.
    public let quantity: String
    /// What was published.
    public let claim: Claim
    /// What came here.
    public let here: Double

    /// A row of given parts.
    public init(_ quantity: String, _ claim: Claim, here: Double) {
      (self.quantity, self.claim, self.here) = (quantity, claim, here)
    }

    /// The published number.
    public var published: Double {
      switch self.claim {
      case .equal(let value, _), .near(let value, _), .atMost(let value), .shown(let value, _): value
      }
    }

    /// Whether it is what was published.
    public var verdict: Verdict {
      switch self.claim {
      case .equal(let value, let part): abs(self.here - value) <= abs(value) * part ? .reproduced : .differs
      case .near(let value, let amount): abs(self.here - value) <= amount ? .reproduced : .differs
      case .atMost(let value): self.here <= value ? .reproduced : .differs
      case .shown: .notCompared
      }
    }

    /// Verdict, difference and tolerance in words.
    public var judgement: String {
      let part = self.published == 0 ? 0 : (self.here / self.published - 1) * 100
      let difference = "\(part >= 0 ? "+" : "−")\(Quantity.digits(abs(part))) %"
      switch self.claim {
      case .equal(_, let part):
        return "\(self.verdict.rawValue): \(difference), within ±\(Quantity.digits(part * 100)) % counts"
      case .near(_, let amount):
        return "\(self.verdict.rawValue): \(Quantity.digits(abs(self.here - self.published))) apart, "
          + "\(Quantity.digits(amount)) counts"
      case .atMost: return "\(self.verdict.rawValue): no more counts"
      case .shown(_, let why): return "not compared: \(why)"
      }
    }
  }

  /// A result of given parts.
  public init(title: String, parameters: String, deviations: String, rows: [Row]) {
    (self.title, self.parameters, self.deviations, self.rows) = (title, parameters, deviations, rows)
  }

  /// What was published, and where.
  public let title: String
  /// What the run was given, as it was published.
  public let parameters: String
  /// What is not as it was published.
  public let deviations: String
  /// Its quantities.
  public let rows: [Row]

  /// Whether everything that is compared is within its tolerance.
  public var isReproduced: Bool { self.rows.allSatisfy { $0.verdict != .differs } }
}

extension PublishedResult {
  /// A run of vyzo/gerbil-simsub's script: the number of nodes, messages and sources, and whose rules.
  public struct Gossipsub: Sendable {
    /// v1.0 sends own messages along the mesh, v1.1 floods them.
    public enum Version: String, Sendable {
      /// Own messages along the mesh, IHAVE to 6 peers.
      case v10 = "v1.0"
      /// Own messages to all subscribers, IHAVE to a quarter of the peers.
      case v11 = "v1.1"
    }

    let version: Version
    let nodes: Int
    let messages: Int
    let sources: Int

    /// A run of given size.
    public init(_ version: Version, nodes: Int, messages: Int, sources: Int) {
      (self.version, self.nodes, self.messages, self.sources) = (version, nodes, messages, sources)
    }

    /// The published parameters, all of them: gossipsub-base.ss and gossipsub-v1_0.ss of the published simulator.
    var settings: GossipNetwork.Settings {
      var settings = GossipNetwork.Settings()
      (settings.count, settings.connections, settings.areDirect) = (self.nodes, 20, false)
      (settings.latencyMin, settings.latencyMax, settings.jitterPerMille) = (.milliseconds(10), .milliseconds(150), 100)
      settings.joining = .milliseconds(2000)
      var parameters = GossipParameters()
      (parameters.degree, parameters.degreeMin, parameters.degreeMax) = (6, 4, 12)
      (parameters.degreeLazy, parameters.heartbeat) = (6, .milliseconds(1000))
      (parameters.historyLength, parameters.historyGossip) = (120, 3)
      parameters.pruneBackoff = Span(nanoseconds: 0)
      parameters.isFloodPublishing = self.version == .v11
      parameters.gossipFactorOneIn = self.version == .v11 ? 4 : Int.max
      settings.parameters = parameters
      return settings
    }

    /// What the run gave.
    public struct Outcome: Sendable {
      /// Messages for each delivery, the publisher's own counted, as the published summary counts.
      public let copies: Double
      /// Deliveries to others than the publisher.
      public let deliveries: Int
      /// Their delays in milliseconds, ascending.
      public let delays: [Double]
      /// The mean number of peers in a mesh.
      public let mesh: Double

      /// The part of deliveries within a given number of milliseconds, in percent.
      public func within(_ milliseconds: Double) -> Double {
        100 * Double(self.delays.count { $0 < milliseconds }) / Double(max(1, self.delays.count))
      }
    }

    /// Runs it: warm-up as published, a message a second from a few sources, and a while to settle.
    public func run(seed: UInt64) -> Outcome {
      var network = GossipNetwork(self.settings, seed: seed)
      network.run(for: .milliseconds(10_000))
      var random = SeededGenerator(seed: seed ^ 0x5151)
      let sources = (0..<self.sources).map { _ in Int(random.below(UInt64(self.nodes))) }
      for _ in 0..<self.messages {
        network.publish(from: sources[Int(random.below(UInt64(sources.count)))])
        network.run(for: .milliseconds(1000))
      }
      network.run(for: .milliseconds(10_000))
      let delays = network.deliveries.flatMap { delivery in
        delivery.after.enumerated().compactMap { $0.offset == delivery.publisher ? nil : $0.element?.inMilliseconds }
      }.sorted()
      let copies = network.deliveries.reduce(0) { $0 + $1.copies }
      let mesh = (0..<self.nodes).reduce(0) { $0 + network.meshPeers($1).count }
      return Outcome(
        copies: Double(copies) / Double(delays.count + self.messages), deliveries: delays.count, delays: delays,
        mesh: Double(mesh) / Double(self.nodes))
    }
  }
}
