internal import HealthRecords
internal import Messages
internal import Primitives
internal import Simulator
internal import Wire

/// What single keys cannot tell: values that do not go together, or that a run would not heed.
///
/// Whatever passes here has an effect, and means what it says: a run never ignores a key that the file gives.
extension ScenarioFile {
  /// The most transactions, samples and repetitions of one run: beyond, it does not fit a computer's memory.
  fileprivate static let (transactionsMax, samplesMax, repetitionsMax) = (20_000_000.0, 2_000_000.0, 100_000.0)

  mutating func requireSense() {
    self.requireTimes()
    self.requireLedger()
    self.requireWorkload()
    self.requireNetwork()
    self.requireExpectations()
    guard !self.isMistaken("members.count"), !self.isMistaken("region") else { return }
    for place in 0..<self.count(of: "fault") { self.requireFault(place) }
    self.requireAttackers()
    self.requireMembers()
  }

  fileprivate func span(_ path: String) -> Span? { self.text(path).flatMap { Quantity.span($0) } }
  private func isGiven(_ path: String) -> Bool { self.values[path] != nil }

  /// A moment, and that it is within the run.
  private mutating func requireWithin(_ path: String, _ duration: Span) {
    guard self.isGiven(path), let at = self.span(path), at > duration else { return }
    self.fail(path, "\(Quantity.describe(at)) is after the end", "the run ends at \(Quantity.describe(duration))")
  }

  private mutating func requireTimes() {
    guard let duration = self.span("duration") else { return }
    for path in ["workload.from", "workload.until", "measure.from", "measure.until"] {
      self.requireWithin(path, duration)
    }
    for section in ["workload", "measure"] {
      let from = self.span("\(section).from") ?? .zero
      let until = self.span("\(section).until") ?? duration
      guard from >= until, from <= duration else { continue }
      let path = self.isGiven("\(section).until") ? "\(section).until" : "\(section).from"
      self.fail(
        path, "from \(Quantity.describe(from)) until \(Quantity.describe(until)) is no time at all",
        "let \(section).from be before \(section).until")
    }
    guard let every = self.span("measure.every"), self.isGiven("measure.every") else { return }
    if every > duration {
      self.fail("measure.every", "the run is over before the second sample", "write less than duration")
    }
    let samples = duration.inMilliseconds / max(1e-6, every.inMilliseconds) * Double(self.memberCount)
    if samples > Self.samplesMax {
      self.fail(
        "measure.every", "\(Quantity.digits(samples.rounded())) samples of members are more than a run keeps",
        "at most \(Int(Self.samplesMax)): a longer distance")
    }
  }

  /// What no genesis may say: real nodes would refuse it.
  private mutating func requireLedger() {
    let limits = Scenario.limits(self)
    if limits.transactionBytesMax > limits.blockBytesMax {
      let path = self.isGiven("ledger.blockBytesMax") ? "ledger.blockBytesMax" : "ledger.transactionBytesMax"
      self.fail(
        path, "a block of \(limits.blockBytesMax) bytes cannot hold a transaction of \(limits.transactionBytesMax)",
        "let ledger.blockBytesMax be at least ledger.transactionBytesMax")
    } else if limits.cutTransactionsMax < UInt64(limits.blockBytesMax) / 32 {
      self.fail(
        "ledger.cutTransactionsMax", "a full block of \(limits.blockBytesMax) bytes would not fit a cut",
        "at least \(limits.blockBytesMax / 32), or smaller ledger.blockBytesMax")
    } else {
      var decoder = Decoder(limits.encoded)
      if (try? LedgerLimits(from: &decoder)) == nil {
        self.fail("ledger", "no node takes these limits", "leave out what is not needed")
      }
    }
    if let least = self.span("node.viewTimeoutMin"), let most = self.span("node.viewTimeoutMax"), least > most {
      let path = self.isGiven("node.viewTimeoutMin") ? "node.viewTimeoutMin" : "node.viewTimeoutMax"
      self.fail(
        path, "\(Quantity.describe(least)) is more than \(Quantity.describe(most))",
        "let node.viewTimeoutMin be at most node.viewTimeoutMax")
    }
    if let election = self.span("node.electionTimeoutMin"), let beat = self.span("node.heartbeatInterval"),
      election <= beat
    {
      let path = self.isGiven("node.electionTimeoutMin") ? "node.electionTimeoutMin" : "node.heartbeatInterval"
      self.fail(
        path, "members would stand for election between a leader's words",
        "let node.heartbeatInterval be shorter than node.electionTimeoutMin")
    }
  }

  private mutating func requireWorkload() {
    let kind = self.text("workload.kind") ?? "open"
    let useless: [String: [String]] = [
      "open": ["clients"], "closed": ["rate", "shape", "period"],
      "none": ["rate", "clients", "size", "from", "until", "shape", "period", "members"],
    ]
    for name in useless[kind] ?? [] where self.isGiven("workload.\(name)") {
      self.fail("workload.\(name)", "it means nothing where workload.kind is \"\(kind)\"", "leave it out")
    }
    if self.text("workload.shape") == "constant", self.isGiven("workload.period") {
      self.fail("workload.period", "a constant rate has no period", "leave it out, or give workload.shape")
    }
    guard kind != "none" else { return }
    self.requireSize()
    guard kind == "open", let duration = self.span("duration"),
      let rate = self.text("workload.rate").flatMap({ Quantity.rate($0) })
    else { return }
    let until = self.span("workload.until") ?? duration
    let seconds = (Tick.zero + until - (Tick.zero + (self.span("workload.from") ?? .zero))).inMilliseconds / 1000
    if rate * seconds > Self.transactionsMax {
      self.fail(
        "workload.rate", "\(Quantity.digits((rate * seconds).rounded())) transactions are more than a run keeps",
        "at most \(Int(Self.transactionsMax)): a lower rate or a shorter run")
    }
  }

  /// A transaction that real nodes refuse is never ordered.
  private mutating func requireSize() {
    guard let size = self.text("workload.size").flatMap({ Quantity.bytes($0) }) else { return }
    let digests = max(1, (size + 31) / 32)
    let bytes = UInt64(Transaction.headerLengthBytes) + digests * 32
    let most = UInt64(Scenario.limits(self).transactionBytesMax)
    guard bytes > most else { return }
    let room = (most - min(most, UInt64(Transaction.headerLengthBytes))) / 32 * 32
    self.fail(
      self.isGiven("workload.size") ? "workload.size" : "ledger.transactionBytesMax",
      "a transaction of \(bytes) bytes is more than ledger.transactionBytesMax, \(most): no node takes it",
      "write at most \(room) B, or a larger ledger.transactionBytesMax")
  }

  private mutating func requireNetwork() {
    let regions = (0..<self.count(of: "region")).map { self.text("region[\($0)].name") ?? "" }
    if !regions.isEmpty, self.isGiven("members.count") {
      self.fail("members.count", "regions say how many members there are", "leave it out, or the regions")
    }
    for (place, name) in regions.enumerated() where regions.firstIndex(of: name) != place {
      self.fail("region[\(place)].name", "there are two regions \"\(name)\"", "give each a name of its own")
    }
    if regions.isEmpty, self.text("network.table") != "none", self.isGiven("network.table") {
      self.fail("network.table", "a table is of latencies between regions, and there are none", "add [[region]]")
    }
    var seen: [Set<String>] = []
    for place in 0..<self.count(of: "link") {
      guard let from = self.text("link[\(place)].from"), let to = self.text("link[\(place)].to") else { continue }
      if from == to {
        self.fail("link[\(place)].to", "it is the region that it comes from", "name two; network.latency is inside one")
      } else if seen.contains([from, to]) {
        self.fail("link[\(place)]", "\(from) and \(to) have a link already", "give one; it holds in both directions")
      }
      seen.append([from, to])
    }
  }

  private mutating func requireExpectations() {
    for (least, most) in [("viewsMin", "viewsMax"), ("pauseMin", "pauseMax")] {
      func value(_ name: String) -> Double? {
        self.integer("expect.\(name)").map { Double($0) } ?? self.span("expect.\(name)")?.inMilliseconds
      }
      guard let low = value(least), let high = value(most), low > high else { continue }
      self.fail("expect.\(least)", "nothing is over it and under expect.\(most)", "let it be at most expect.\(most)")
    }
    if self.text("workload.kind") == "none" {
      for name in ["committedMin", "latencyMax", "pauseMax", "pauseMin"] where self.isGiven("expect.\(name)") {
        self.fail("expect.\(name)", "nothing is submitted where workload.kind is \"none\"", "leave it out")
      }
    }
    guard let pause = self.span("expect.pauseMin"), let duration = self.span("duration"), pause > duration else {
      return
    }
    self.fail("expect.pauseMin", "the run is shorter", "the run ends at \(Quantity.describe(duration))")
  }
}

/// Faults.
extension ScenarioFile {
  /// The keys that each kind of fault heeds, besides `kind` and `at`.
  static let faultKeys: [String: Set<String>] = [
    "crash": ["for", "every", "until", "members"], "pause": ["for", "every", "until", "members"],
    "power": ["for", "every", "until", "members"], "full-disk": ["for", "every", "until", "members"],
    "partition": ["for", "every", "until", "members", "groups"],
    "cut": ["for", "every", "until", "members", "groups"],
    "slow-link": ["for", "every", "until", "members", "groups", "factor"],
    "slow-disk": ["for", "every", "until", "members", "factor"], "loss": ["for", "every", "until", "loss"],
    "clock": ["for", "every", "until", "members", "shift"], "step-down": ["every", "until", "members"],
    "lose-disk": ["for", "every", "until", "members"], "join": [], "leave": ["members"],
  ]

  fileprivate mutating func requireFault(_ place: Int) {
    let path = "fault[\(place)]"
    guard let kind = self.text("\(path).kind"), let heeded = Self.faultKeys[kind] else { return }
    let keys = ScenarioKey.all.filter { $0.path.hasPrefix("fault.") }.map { String($0.path.dropFirst(6)) }
    for key in keys where !heeded.contains(key) && key != "kind" && key != "at" && self.values["\(path).\(key)"] != nil
    {
      let words = heeded.sorted().joined(separator: ", ")
      self.fail(
        "\(path).\(key)", "it means nothing to \"\(kind)\"",
        heeded.isEmpty ? "leave it out" : "leave it out; \"\(kind)\" heeds \(words)")
    }
    if kind == "partition", self.groups("\(path).groups") == nil, self.members("\(path).members") == nil {
      self.fail(
        path, "a partition has two sides",
        "write groups = [[1, 2], [3, 4]], or members; kind = \"cut\" without them cuts off the primary")
    }
    if self.groups("\(path).groups") != nil, self.members("\(path).members") != nil {
      self.fail("\(path).members", "the two sides are in groups already", "give members or groups")
    }
    self.requireRepetition(path)
  }

  private mutating func requireRepetition(_ path: String) {
    guard let duration = self.span("duration"), let at = self.span("\(path).at") else { return }
    if at >= duration {
      self.fail(
        "\(path).at", "\(Quantity.describe(at)) is after the end", "the run ends at \(Quantity.describe(duration))")
    }
    let until = self.span("\(path).until")
    guard let every = self.span("\(path).every") else {
      if until != nil {
        self.fail("\(path).until", "nothing is repeated", "give every, or leave it out; for says how long it lasts")
      }
      return
    }
    if let until, until < at {
      self.fail("\(path).until", "it is before it begins", "write at least \(Quantity.describe(at))")
    } else if let until, until > duration {
      self.fail(
        "\(path).until", "\(Quantity.describe(until)) is after the end",
        "the run ends at \(Quantity.describe(duration))")
    }
    if let lasts = self.span("\(path).for"), lasts >= every {
      self.fail("\(path).every", "it begins again before it is over", "let for be shorter than every")
    }
    let count = (Tick.zero + (until ?? duration) - (Tick.zero + at)).inMilliseconds / max(1e-6, every.inMilliseconds)
    if count > Self.repetitionsMax {
      self.fail(
        "\(path).every", "\(Int(count)) times are more than a run plans",
        "at most \(Int(Self.repetitionsMax)): a longer distance")
    }
  }
}

/// Members: who is named, whether it is there, and how many may be Byzantine.
extension ScenarioFile {
  fileprivate mutating func requireAttackers() {
    let count = self.count(of: "attacker")
    guard count > 0 else { return }
    if self.text("engine") == "raft" {
      self.fail(
        "attacker[0]", "Raft promises nothing where a member is Byzantine", "engine = \"pbft\", or a fault instead")
    }
    var seen: [(member: Int64, from: Span, isTwin: Bool)] = []
    for place in 0..<count {
      let path = "attacker[\(place)]"
      guard let member = self.integer("\(path).member"), let kind = self.text("\(path).kind") else { continue }
      let isTwin = kind == "twin"
      let from = self.span("\(path).from") ?? .zero
      if isTwin, self.values["\(path).from"] != nil {
        self.fail("\(path).from", "a twin is there from the beginning", "leave it out")
      } else if let duration = self.span("duration"), from >= duration {
        self.fail(
          "\(path).from", "\(Quantity.describe(from)) is after the end",
          "the run ends at \(Quantity.describe(duration))")
      }
      if isTwin, member > Int64(self.memberCount) {
        self.fail("\(path).member", "only the members of the beginning have twins", "write 1 to \(self.memberCount)")
      }
      if seen.contains(where: { $0.member == member && $0.from == from && $0.isTwin == isTwin }) {
        self.fail(path, "member \(member) misbehaves in another way at that moment", "give one, or another from")
      }
      seen.append((member, from, isTwin))
    }
    let liars = Set(seen.map(\.member)).count
    let most = (self.memberCount - 1) / 3
    guard liars > most, self.text("expect.pauseMin") == nil, self.text("engine") != "raft" else { return }
    self.fail(
      "attacker[\(count - 1)]", "\(liars) Byzantine members of \(self.memberCount) are more than f = \(most)",
      "at most \(most); or say by expect.pauseMin that it is to halt")
  }

  /// No list names a member twice, is empty, or names somebody who is not there yet.
  fileprivate mutating func requireMembers() {
    for (path, value) in self.values.sorted(by: { $0.key < $1.key }) {
      let lists: [[Int]]
      switch value {
      case .members(let members): lists = [members]
      case .groups(let groups): lists = groups
      case .integer, .text: continue
      }
      let named = lists.flatMap { $0 }
      if lists.contains(where: \.isEmpty) {
        self.fail(path, "it names nobody", "name at least one member, or leave it out")
      } else if let twice = named.enumerated().first(where: { named.firstIndex(of: $0.element) != $0.offset }) {
        self.fail(path, "it names member \(twice.element) twice", "name each once")
      }
    }
    let joins = (0..<self.count(of: "fault")).filter { self.text("fault[\($0)].kind") == "join" }
      .compactMap { self.span("fault[\($0)].at") }.sorted()
    for place in 0..<self.count(of: "fault") {
      guard let at = self.span("fault[\(place)].at"), self.text("fault[\(place)].kind") != "join" else { continue }
      let named =
        (self.members("fault[\(place)].members") ?? []) + (self.groups("fault[\(place)].groups") ?? []).joined()
      for member in named {
        let joiner = member - self.memberCount - 1
        guard joins.indices.contains(joiner), joins[joiner] > at else { continue }
        self.fail(
          "fault[\(place)].at", "member \(member) is not there yet",
          "it joins at \(Quantity.describe(joins[joiner]))")
      }
    }
  }
}
