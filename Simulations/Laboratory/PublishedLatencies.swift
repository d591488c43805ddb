/// One-way latencies between regions that others measured and published.
struct PublishedLatencies: Sendable {
  /// The regions, in the order of the rows.
  let regions: [String]
  /// One-way, in milliseconds; row from, column to.
  let milliseconds: [[Double]]

  /// The table of that name; nil for "none".
  static func named(_ name: String) -> PublishedLatencies? {
    switch name {
    case "aws": self.aws
    case "simblock-2019": self.simBlock
    default: nil
    }
  }

  /// Half of the round trips between regions of Amazon Web Services; the diagonal is 0.
  private static let aws = PublishedLatencies(
    regions: [
      "N_Virginia", "Canada", "N_California", "London", "Oregon", "Ireland", "Frankfurt", "S_Paulo", "Tokyo", "Mumbai",
      "Sydney", "Seoul", "Singapore",
    ],
    milliseconds: [
      [0, 7, 30, 38, 39, 33, 44, 58, 73, 93, 98, 87, 105],
      [7, 0, 38, 39, 29, 35, 46, 63, 70, 94, 97, 85, 103],
      [30, 39, 0, 68, 10, 68, 75, 88, 54, 116, 69, 67, 86],
      [38, 39, 68, 0, 63, 5, 8, 94, 104, 56, 131, 118, 82],
      [39, 29, 10, 63, 0, 59, 68, 88, 49, 109, 69, 63, 84],
      [33, 35, 68, 5, 59, 0, 13, 88, 100, 61, 127, 114, 90],
      [44, 46, 75, 8, 68, 13, 0, 101, 111, 60, 143, 109, 77],
      [58, 63, 88, 94, 88, 89, 101, 0, 128, 151, 155, 142, 161],
      [73, 70, 54, 104, 49, 100, 111, 128, 0, 60, 57, 16, 39],
      [93, 94, 116, 56, 109, 61, 60, 151, 60, 0, 76, 57, 27],
      [98, 97, 69, 131, 69, 127, 143, 155, 57, 76, 0, 69, 45],
      [87, 84, 67, 118, 63, 114, 109, 142, 17, 57, 69, 0, 36],
      [105, 103, 86, 82, 81, 90, 77, 161, 39, 27, 45, 36, 0],
    ])

  /// Mean latencies of the SimBlock simulator for 2019 (dsg-titech/simblock, NetworkConfiguration; Apache-2.0).
  private static let simBlock = PublishedLatencies(
    regions: ["north-america", "europe", "south-america", "asia-pacific", "japan", "australia"],
    milliseconds: [
      [32, 124, 184, 198, 151, 189], [124, 11, 227, 237, 252, 294], [184, 227, 88, 325, 301, 322],
      [198, 237, 325, 85, 58, 198], [151, 252, 301, 58, 12, 126], [189, 294, 322, 198, 126, 16],
    ])
}
