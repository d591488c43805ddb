internal import FHIR
internal import Primitives
internal import Signing

/// Where a practitioner is in the EHR while an app is launched from there.
struct SMARTLaunch: Sendable, Hashable {
  /// The app's `client_id`.
  let client: String
  /// The practitioner's account.
  let practitioner: Digest
  /// The Patient here whose chart is open, by its id.
  let patient: String
  /// The Encounter of that patient, by its id; nil where none is named.
  let encounter: String?
}

/// What the hospital's EHR announced, until the practitioner lets the app in (SMART App Launch 2.1, "EHR launch").
/// ⚑ The word for it says nothing of whom it is about, and is good once, for one app and one practitioner.
struct SMARTLaunches {
  private struct Held {
    let launch: SMARTLaunch
    let until: UInt64
    let number: UInt64
  }

  /// How long one is good for, in milliseconds.
  static let milliseconds: UInt64 = 300_000
  /// The most that wait, of all and of one practitioner, whose oldest goes.
  static let launchesMax = 4096
  static let launchesPerPractitionerMax = 16

  private var held: [Digest: Held] = [:]
  private var count: UInt64 = 0

  /// A word for a launch; nil where too many wait.
  mutating func add(_ launch: SMARTLaunch, at time: UInt64) -> String? {
    if self.held.count >= Self.launchesMax { self.held = self.held.filter { $0.value.until >= time } }
    let own = self.held.filter { $0.value.launch.practitioner == launch.practitioner }
    if own.count >= Self.launchesPerPractitionerMax,
      let oldest = own.min(by: { $0.value.number < $1.value.number })?.key
    {
      self.held[oldest] = nil
    }
    guard self.held.count < Self.launchesMax else { return nil }
    let word = Hex.encode(SecureRandom.bytes(32))
    self.count += 1
    self.held[Self.place(word)] = Held(launch: launch, until: time + Self.milliseconds, number: self.count)
    return word
  }

  /// What a word stands for, for an app; nil where it is over, used, or another app's.
  func launch(_ word: String, of client: String, at time: UInt64) -> SMARTLaunch? {
    guard let held = self.held[Self.place(word)], held.until >= time, held.launch.client == client else { return nil }
    return held.launch
  }

  /// The same, once, for the app and the practitioner whom it names. ⚑ Where another tries, nobody has it any more.
  mutating func take(_ word: String, of client: String, by practitioner: Digest, at time: UInt64) -> SMARTLaunch? {
    let found = self.launch(word, of: client, at: time)
    self.held[Self.place(word)] = nil
    return found?.practitioner == practitioner ? found : nil
  }

  private static func place(_ word: String) -> Digest { Hash.sha256(Array(word.utf8)) }
}
