internal import ArgumentParser
internal import Foundation
internal import Gossip
internal import Laboratory
internal import Messages
internal import Primitives
internal import Signing
internal import Simulator

/// `consilium-sim bench`
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "How fast the simulator is, and what members cost their machines.",
    discussion: """
      Examples:
        consilium-sim bench
        consilium-sim bench --nodes 10000 --messages 100 --output json
        consilium-sim bench --curve            the same for 100 to 10,000 nodes
      Events a second are those of the gossip network on one core, which signs nothing; committed transactions
      those of four members of a whole consortium; both for each second of the processor's time. Then what one cut
      costs a backup alone, with eight of them open, and what one round of announcements costs a member's lanes, in
      consortia of several sizes; without signatures and sockets.
      """)
  @Option(help: "Nodes of the gossip network.") var nodes = 1000
  @Option(help: "Published messages, one every 100 ms.") var messages = 300
  @Flag(help: "A row for each size up to 10,000 nodes.") var curve = false
  @Option(help: "text or json.") var output = "text"

  private struct Row: Encodable {
    let nodes: Int
    let messages: Int
    let events: Int
    /// Of the processor's time.
    let seconds: Double
    let eventsPerSecond: Double
    let copiesPerDelivery: Double
    let deliveryMedianMilliseconds: Double
    /// Of a process that ran nothing before: nil for all rows but the first.
    let bytesPerNode: Int?
  }

  /// What one member's machine takes of the processor, in milliseconds.
  private struct Cost: Encodable {
    let members: Int
    let replicaMillisecondsPerCut: Double
    let announcementMillisecondsPerRound: Double
  }

  private struct Result: Encodable {
    let eventsPerSecond: Double
    let committedPerSecond: Double
    let gossip: [Row]
    let machines: [Cost]
  }

  func run() throws {
    let sizes = self.curve ? [100, 300, 1000, 3000, 10_000] : [self.nodes]
    let rows = sizes.map { self.gossip($0, isFirst: $0 == sizes[0]) }
    let committed = try self.ledger()
    let machines = [4, 16, 64, 128, 256].map { Self.cost($0) }
    let result = Result(
      eventsPerSecond: rows.last?.eventsPerSecond ?? 0, committedPerSecond: committed, gossip: rows, machines: machines)
    if self.output == "json" {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      return say(String(decoding: try encoder.encode(result), as: UTF8.self))
    }
    for row in rows {
      let bytes = row.bytesPerNode.map { ", \($0) B a node" } ?? ""
      let speed = "\(Quantity.digits(row.eventsPerSecond)) events a CPU second"
      let work = "\(row.events) in \(Quantity.digits(row.seconds)) s"
      let copies = "\(Quantity.digits(row.copiesPerDelivery)) copies a delivery"
      let median = "p50 \(Quantity.digits(row.deliveryMedianMilliseconds)) ms"
      say("gossip, \(row.nodes) nodes, \(row.messages) messages: \(speed) (\(work)), \(copies), \(median)\(bytes)")
    }
    say("ledger, 4 members: \(Quantity.digits(committed)) committed transactions a CPU second")
    for cost in machines {
      let cut = "\(Quantity.digits(cost.replicaMillisecondsPerCut)) ms a cut"
      let round = "\(Quantity.digits(cost.announcementMillisecondsPerRound)) ms a round"
      say("machines, \(cost.members) members: replica alone \(cut), announcements \(round)")
    }
  }

  private static func cost(_ members: Int) -> Cost {
    // The fastest of some runs: the machine does other things too.
    var replica = ReplicaBench(members: members)
    var perCut = Double.infinity
    for _ in 0..<8 {
      replica.prepare()
      let begun = Self.processorSeconds
      let count = replica.run()
      perCut = min(perCut, (Self.processorSeconds - begun) / Double(max(1, count)))
    }
    var lanes = AnnouncementBench(members: members)
    var perRound = Double.infinity
    for _ in 0..<8 {
      lanes.prepare()
      let begun = Self.processorSeconds
      lanes.run()
      precondition(lanes.isOrderable, "what all announced is not orderable")
      perRound = min(perRound, Self.processorSeconds - begun)
    }
    return Cost(
      members: members, replicaMillisecondsPerCut: perCut * 1000, announcementMillisecondsPerRound: perRound * 1000)
  }

  /// The processor's time that this process has had: what others do on the machine does not count.
  private static var processorSeconds: Double { Double(clock()) / 1_000_000 }

  private static var residentBytes: Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
  }

  private func gossip(_ count: Int, isFirst: Bool) -> Row {
    let before = Self.residentBytes
    var settings = GossipNetwork.Settings()
    settings.count = count
    var network = GossipNetwork(settings, seed: 1)
    network.run(for: .milliseconds(2000))
    let bytes = Self.residentBytes - before
    let (begun, events) = (Self.processorSeconds, network.eventCount)
    for number in 0..<self.messages {
      network.publish(from: number * 7919 % count)
      network.run(for: .milliseconds(100))
    }
    network.run(for: .milliseconds(1000))
    let seconds = Self.processorSeconds - begun
    let delays = network.deliveries.flatMap { delivery in
      delivery.after.enumerated().compactMap { $0.offset == delivery.publisher ? nil : $0.element }
    }
    let copies = network.deliveries.reduce(0) { $0 + $1.copies }
    return Row(
      nodes: count, messages: self.messages, events: network.eventCount - events, seconds: seconds,
      eventsPerSecond: Double(network.eventCount - events) / seconds,
      copiesPerDelivery: Double(copies) / Double(max(1, delays.count)),
      deliveryMedianMilliseconds: Double(delays.sorted()[delays.count / 2].nanoseconds) / 1e6,
      bytesPerNode: isFirst ? bytes / count : nil)
  }

  private func ledger() throws -> Double {
    let text = """
      title = "bench"
      duration = "300 ms"
      [processor]
      model = "none"
      [workload]
      kind = "closed"
      clients = 2000
      size = "32 B"
      """
    let run = ScenarioRun(Scenario(try ScenarioFile(text)))
    let begun = Self.processorSeconds
    while run.advance() {}
    let seconds = Self.processorSeconds - begun
    return Double(run.recorder.transactions.count { $0.committed != nil }) / seconds
  }
}

/// `consilium-sim calibrate`
struct CalibrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate", abstract: "Measure on this machine what the processor model says computing costs.")

  func run() throws {
    guard let key = SigningKey(seed: Array(repeating: 7, count: 32)) else { return }
    let message = Array(repeating: UInt8(1), count: 200)
    let signature = key.sign(message)
    func nanoseconds(_ count: Int, _ work: () -> Void) -> UInt64 {
      // The median of five: the machine does other things too.
      let spans = (0..<5).map { _ in
        let begun = ContinuousClock.now
        for _ in 0..<count { work() }
        return (ContinuousClock.now - begun) / .nanoseconds(1) / Double(count)
      }
      return UInt64(spans.sorted()[2])
    }
    let kibibyte = Array(repeating: UInt8(2), count: 1024)
    let known = ProcessorModel.measured
    say("                     here       the model's")
    for (name, here, model) in [
      ("verification", nanoseconds(500) { _ = key.publicKey.verifies(signature, of: message) }, known.verification),
      ("signing", nanoseconds(500) { _ = key.sign(message) }, known.signing),
      ("kibibyte hashed", nanoseconds(5000) { _ = Hash.blake2b("consilium/calibrate/v1", kibibyte) }, known.kibibyte),
    ] {
      let column = Quantity.describe(Span(nanoseconds: here))
      say(
        name + String(repeating: " ", count: 21 - name.count) + column
          + String(repeating: " ", count: max(1, 11 - column.count)) + Quantity.describe(model))
    }
  }
}
