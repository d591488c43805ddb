internal import Dispatch
public import FHIR
public import Primitives
internal import Signing
internal import Synchronization
internal import Wire

/// Who was shown what of the hospital's own store, encrypted, in an LMDB environment of its own. Writes that come while
/// one is under way go to the disk together.
public final class ReadingStore: ReadingLog {
  /// A quarter of an hour: what is the same within it is one line.
  public let intervalMilliseconds: UInt64 = 900_000
  private static let format: UInt64 = 2
  /// The one before: the same without sums.
  private static let formatBefore: UInt64 = 1
  /// The most lines that are remembered as written; one that is forgotten is written again.
  private static let knownMax = 100_000

  private struct Pending {
    let readings: [LocalReading]
    let done: CheckedContinuation<Result<Void, StorageFailure>, Never>
  }

  private struct State {
    var waiting: [Pending] = []
    var isWriting = false
    var interval: UInt64 = 0
    /// The types that lines of this interval have on the disk.
    var known: [[UInt8]: Set<String>] = [:]
  }

  private let environment: Environment
  /// Bytes of the file that hold data, and bytes of the file.
  public var sizes: (used: Int, file: Int) { self.environment.sizes }
  private let table: CountedTable
  private let account: StoreAccount
  private let key: [UInt8]
  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "readings")

  /// Opens or makes the store in a folder, for a node whose keys give `key`; `mark` is what it remembers of the store
  /// outside that folder. Where a loss is accepted, what is there counts from now on; `lossToldAt`, where anything may
  /// be missing, is when every patient is told that it was.
  ///
  /// - Throws: `StorageFailure.lost` or `damaged` where anything is missing of what was written.
  public init(
    path: String, mapSizeMax: Int, key: Digest, mark: StoreMark? = nil, isLossAccepted: Bool = false,
    lossToldAt: Timestamp? = nil
  ) throws(StorageFailure) {
    if !isLossAccepted { try StoreAccount.requireData(in: path, mark: mark) }
    self.environment = try Environment(path: path, mapSizeMax: mapSizeMax)
    let opened = try self.environment.open(["readings", "meta"])
    self.table = CountedTable(handle: opened[0], number: 0, name: "readings")
    // ⚑ Nothing is written into a store that is not the right one.
    let checked = try StoreAccount.check(
      self.environment, meta: opened[1], tables: [self.table], older: Self.formatBefore, mark: mark,
      isLossAccepted: isLossAccepted)
    try self.environment.requireFormat(Self.format, after: Self.formatBefore, in: opened[1], of: [opened[0]])
    self.key = Hash.blake2b("consilium/readings/v1", try HospitalKey.read(path, own: key).bytes).bytes
    self.account = StoreAccount(checked)
    let (table, sealing) = (self.table, self.key)
    try self.environment.requireKey(self.key, in: opened[1]) { snapshot in
      var opens: Bool?
      snapshot.scan(table.handle, from: []) { place, value in
        opens = KeySlots.unseal(value, key: sealing, place: place) != nil
        return false
      }
      return opens
    }
    let loss = lossToldAt.map { Self.loss(at: $0, toldTo: Self.everybody) }
    let row = loss.map { line -> (table: CountedTable, key: [UInt8], value: [UInt8]) in
      let place = self.place(of: line)
      return (table: table, key: place, value: KeySlots.seal(Self.encoded(line), key: sealing, place: place))
    }
    try self.account.settle(checked, format: Self.format, isLossAccepted: isLossAccepted, telling: row)
  }

  /// How it was found.
  public var opening: StoreOpening { self.account.opening }

  /// Counts that a node begins with it; `left` is what that kept the last time, and what is returned it keeps now.
  ///
  /// - Throws: `StorageFailure.lost` where it is another store than that, or an older copy.
  public func begin(after left: StoreAge?) throws(StorageFailure) -> StoreAge { try self.account.begin(after: left) }

  /// How far it is written, durably.
  ///
  /// - Throws: `StorageFailure` where it cannot be read.
  public func age() throws(StorageFailure) -> StoreAge { try self.account.age() }

  /// The latest interval first: its number from the other end.
  private func place(of reading: LocalReading) -> [UInt8] {
    let interval = reading.time.milliseconds / self.intervalMilliseconds
    let who = Hash.blake2b(
      "consilium/reading/v1", (reading.reader ?? .zero).bytes, [reading.interaction.rawValue],
      Array((reading.client ?? "").utf8))
    return reading.patient.bytes + Key.number(.max - interval) + who.bytes.prefix(16)
  }

  /// Notes readings; when it returns, they are on the disk.
  public func note(_ readings: [LocalReading]) async throws {
    let fresh = self.state.withLock { state in
      readings.filter { reading in
        let interval = reading.time.milliseconds / self.intervalMilliseconds
        guard interval == state.interval, let known = state.known[self.place(of: reading)] else { return true }
        return !known.isSuperset(of: reading.types)
      }
    }
    guard !fresh.isEmpty else { return }
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Void, StorageFailure>, Never>) in
      let mustStart = self.state.withLock { state in
        state.waiting.append(Pending(readings: fresh, done: continuation))
        defer { state.isWriting = true }
        return !state.isWriting
      }
      if mustStart { self.queue.async { self.drain() } }
    }
    try result.get()
  }

  private func drain() {
    while true {
      let batch = self.state.withLock { state in
        let batch = state.waiting
        state.waiting = []
        state.isWriting = !batch.isEmpty
        return batch
      }
      guard !batch.isEmpty else { return }
      let result: Result<Void, StorageFailure>
      do throws(StorageFailure) {
        try self.write(batch.flatMap(\.readings))
        result = .success(())
      } catch { result = .failure(error) }
      for one in batch { one.done.resume(returning: result) }
    }
  }

  private func write(_ readings: [LocalReading]) throws(StorageFailure) {
    var written: [[UInt8]: Set<String>] = [:]
    try self.account.change { transaction throws(StorageFailure) in
      for reading in readings {
        let place = self.place(of: reading)
        var line = reading
        if let held = transaction.get(self.table.handle, place) {
          let known = try self.open(held, at: place)
          line = known
          line.types = Set(known.types).union(reading.types).sorted()
          if line.types == known.types {
            written[place] = Set(line.types)
            continue
          }
        }
        try transaction.put(self.table, place, KeySlots.seal(Self.encoded(line), key: self.key, place: place))
        written[place] = Set(line.types)
      }
    }
    let interval = readings.map { $0.time.milliseconds / self.intervalMilliseconds }.max() ?? 0
    let done = written
    self.state.withLock { state in
      if interval > state.interval || state.known.count + done.count > Self.knownMax { state.known = [:] }
      state.interval = max(interval, state.interval)
      state.known.merge(done) { $0.union($1) }
    }
  }

  private static func encoded(_ reading: LocalReading) -> [UInt8] {
    var encoder = Encoder()
    encoder.digest(reading.patient)
    encoder.digest(reading.reader ?? .zero)
    encoder.text(reading.client ?? "")
    encoder.u8(reading.interaction.rawValue)
    encoder.item(reading.time)
    encoder.text(reading.request)
    for type in reading.types { encoder.text(type) }
    return encoder.bytes
  }

  private func open(_ value: [UInt8], at place: [UInt8]) throws(StorageFailure) -> LocalReading {
    func damaged(_ reason: String) -> StorageFailure { .damaged(path: self.environment.path, reason: reason) }
    guard let bytes = KeySlots.unseal(value, key: self.key, place: place) else {
      throw damaged("a line was not sealed with this hospital's key, or was changed")
    }
    do {
      var decoder = Decoder(bytes)
      let (patient, reader) = (try decoder.digest(), try decoder.digest())
      let client = try decoder.text(max: 256, "client")
      guard let interaction = LocalReading.Interaction(rawValue: try decoder.u8()) else {
        throw damaged("a line of no known interaction")
      }
      let time = try Timestamp(from: &decoder)
      let request = try decoder.text(max: Self.requestBytesMax, "request")
      var types: [String] = []
      while decoder.remaining > 0 { types.append(try decoder.text(max: 256, "type")) }
      return LocalReading(
        patient: patient, reader: reader == .zero ? nil : reader, client: client.isEmpty ? nil : client,
        interaction: interaction, types: types, request: request, time: time)
    } catch { throw error as? StorageFailure ?? damaged("\(error)") }
  }

  /// The longest request of a line: before they were cut by bytes, they could be as long as a request's head.
  private static let requestBytesMax = 1 << 20

  /// What is shown of a line that cannot be read: when it was, and that there is one.
  private func unreadable(at key: [UInt8], of patient: Digest) -> LocalReading {
    let (start, overflow) = Self.interval(of: key).multipliedReportingOverflow(by: self.intervalMilliseconds)
    return LocalReading(
      patient: patient, reader: nil, client: nil, interaction: .unreadable, types: [], request: "",
      time: overflow ? .zero : Timestamp(milliseconds: start))
  }

  /// Stands for every patient: no account is that number.
  private static let everybody = Digest.zero

  private static func loss(at time: Timestamp, toldTo patient: Digest) -> LocalReading {
    LocalReading(patient: patient, reader: nil, client: nil, interaction: .lost, types: [], request: "", time: time)
  }

  /// What was lost, as each patient is told, in the table's order: from a place in it on, and not before an interval.
  private func losses(
    toldTo patient: Digest, from start: [UInt8], since first: UInt64, in snapshot: Snapshot
  ) -> [(place: [UInt8], line: LocalReading)] {
    var losses: [(place: [UInt8], line: LocalReading)] = []
    guard patient != Self.everybody else { return losses }
    snapshot.scan(self.table.handle, from: Self.everybody.bytes + start) { key, value in
      guard key.starts(with: Self.everybody.bytes), Self.interval(of: key) >= first, losses.count < Self.lossesMax
      else { return false }
      let line: LocalReading
      // ⚑ That there was a loss its place tells, whatever became of the line.
      do throws(StorageFailure) { line = try self.open(value, at: key) } catch {
        line = self.unreadable(at: key, of: patient)
      }
      losses.append((place: Array(key.dropFirst(32)), line: Self.loss(at: line.time, toldTo: patient)))
      return true
    }
    return losses
  }

  /// The most losses that are told of: the latest.
  private static let lossesMax = 1000
  /// The most lines that are looked through for one page: few may be by whom it is asked for.
  private static let lookedMax = 10_000
  /// How many bytes of a key come after the patient's.
  private static let placeBytes = 24

  private static func interval(of key: [UInt8]) -> UInt64 {
    .max - Key.number(from: key.dropFirst(32).prefix(8))
  }

  /// A page of a patient's readings, the latest intervals first. ⚑ What is left out of it is in a later one.
  public func readings(of patient: Digest, _ question: ReadingQuestion) async throws -> ReadingPage {
    let (first, latest) = (
      question.from.milliseconds / self.intervalMilliseconds, question.until.milliseconds / self.intervalMilliseconds
    )
    var start = Key.number(.max - latest)
    if let after = question.after, after.count == Self.placeBytes {
      let next = after + [0]
      if start.lexicographicallyPrecedes(next) { start = next }
    }
    let snapshot = try self.environment.snapshot()
    var losses = self.losses(toldTo: patient, from: start, since: first, in: snapshot)[...]
    var page = ReadingPage(lines: [], next: nil)
    var (looked, last, isFull): (Int, [UInt8]?, Bool) = (0, nil, false)
    func take(_ line: LocalReading, at place: [UInt8]) {
      guard page.lines.count < question.countMax, looked < Self.lookedMax else {
        (page.next, isFull) = (last, true)
        return
      }
      if question.names(line) { page.lines.append(line) }
      (looked, last) = (looked + 1, place)
    }
    snapshot.scan(self.table.handle, from: patient.bytes + start) { key, value in
      guard key.starts(with: patient.bytes), Self.interval(of: key) >= first else { return false }
      let place = Array(key.dropFirst(32))
      while !isFull, let loss = losses.first, loss.place.lexicographicallyPrecedes(place) {
        take(loss.line, at: loss.place)
        losses.removeFirst()
      }
      guard !isFull else { return false }
      // ⚑ One that is damaged hides no other.
      let line: LocalReading
      do throws(StorageFailure) { line = try self.open(value, at: key) } catch {
        line = self.unreadable(at: key, of: patient)
      }
      take(line, at: place)
      return !isFull
    }
    for loss in losses where !isFull { take(loss.line, at: loss.place) }
    page.lines.sort { $0.time > $1.time }
    return page
  }

  /// How many lines a patient has in each interval that has any, the latest first.
  public func counts(of patient: Digest) async throws -> [(interval: UInt64, count: Int)] {
    var counts: [(interval: UInt64, count: Int)] = []
    let snapshot = try self.environment.snapshot()
    snapshot.scan(self.table.handle, from: patient.bytes) { key, _ in
      guard key.starts(with: patient.bytes) else { return false }
      let interval = Self.interval(of: key)
      if counts.last?.interval == interval {
        counts[counts.count - 1].count += 1
      } else {
        counts.append((interval, 1))
      }
      return true
    }
    for loss in self.losses(toldTo: patient, from: [], since: 0, in: snapshot) {
      let interval = UInt64.max - Key.number(from: loss.place.prefix(8))
      let place = counts.firstIndex { $0.interval <= interval } ?? counts.endIndex
      if place < counts.endIndex, counts[place].interval == interval {
        counts[place].count += 1
      } else {
        counts.insert((interval: interval, count: 1), at: place)
      }
    }
    return counts
  }
}
