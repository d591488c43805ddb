import NodeCore
import Simulator

/// Keeps every third message to itself.
struct Forgetful: Adversary {
  var count = 0
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    count += 1
    return count.isMultiple(of: 3) ? [] : [Utterance(message)]
  }
}

let cluster = Cluster(count: 4, seed: 1)
let recorder = Recorder(slots: 4)
cluster.recorder = recorder
cluster.corrupt(0, with: Forgetful())
for number in 0..<100 as Range<UInt64> {
  cluster.submit([cluster.digestTransaction(number, for: 1)], to: 1)
  cluster.run(for: .milliseconds(100))
}
cluster.run(for: .milliseconds(10_000))
print("\(cluster.receipts(at: 1).count) of 100 transactions, \(recorder.misbehaviours[0]) messages kept back")
print(cluster.checkAgreement() ?? "one history", cluster.watch.breach ?? "no promise broken", separator: ", ")
