import Gateway
import Testing

@Suite("Tile paths (C2SP tlog-tiles)")
struct TileTests {
  @Test("An index stands in groups of three digits, all but the last after an x; .p/W asks for a part")
  func paths() {
    // The specification's own example: 1234067 is x001/x234/067.
    #expect(TransparencyLog.place(["x001", "x234", "067"]) ?? (0, 0) == (1_234_067, 256))
    #expect(TransparencyLog.place(["000"]) ?? (1, 0) == (0, 256))
    #expect(TransparencyLog.place(["x001", "234.p", "17"]) ?? (0, 0) == (1234, 17))
  }

  @Test(
    "Whatever else is asked for is no tile",
    arguments: [
      [], ["1"], ["0001"], ["x001"], ["001", "234"], ["x001", "x234"], ["x000", "001"], ["000.p"], ["000.p", "0"],
      ["000.p", "256"], ["000.p", "-1"], ["000.p", "+7"], ["..", "000"], ["+12"],
      ["x001", "x002", "x003", "x004", "x005", "x006", "007"],
    ])
  func refused(_ path: [String]) {
    #expect(TransparencyLog.place(path) == nil)
  }
}
