// Goal: what comes from outside into a label breaks no line and makes no series without end. Method: hostile values.
import Testing

@testable import Telemetry

@Suite("Exposition")
struct ExpositionTests {
  @Test("A label's value is escaped, and series are bounded")
  func labels() {
    var out = Exposition()
    out.add(.dispositions, 3, ["ignored", "a \"quoted\" \\ and\na line"])
    #expect(
      out.text.contains(
        #"consilium_dispositions_total{disposition="ignored",reason="a \"quoted\" \\ and\na line"} 3"#))
    for number in 0..<2000 { out.add(.peerConnected, true, ["\(number)"]) }
    let lines = out.text.split(separator: "\n")
    #expect(lines.count { $0.hasPrefix("consilium_peer_connected{") } == Exposition.seriesMax)
  }

  @Test("A histogram counts each value below all bounds that are not smaller; whole numbers have no point")
  func histogram() {
    var times = Histogram(bounds: [0.5, 1])
    for seconds in [0.25, 0.5, 0.75, 4] { times.observe(seconds: seconds) }
    var out = Exposition()
    out.add(.commits, times)
    out.add(.ledgerTime, 1_700_000_000.5)
    out.add(.height, UInt64(12))
    for line in [
      #"consilium_commit_seconds_bucket{le="0.5"} 2"#, #"consilium_commit_seconds_bucket{le="1.0"} 3"#,
      #"consilium_commit_seconds_bucket{le="+Inf"} 4"#, "consilium_commit_seconds_sum 5.5",
      "consilium_commit_seconds_count 4", "consilium_ledger_time_seconds 1700000000.5", "consilium_height 12",
    ] { #expect(out.text.contains("\n\(line)\n"), "\(line)") }
  }
}
