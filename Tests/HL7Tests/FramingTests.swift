// Goal: messages come out of a connection whole and in order, however it is cut into pieces, and what is no frame ends
// it. Method: every way to cut two frames in two, and frames that are wrong.
import HL7
import Testing

@Suite("MLLP")
struct FramingTests {
  @Test("However two messages are cut, they come out whole and in order")
  func pieces() throws {
    let (one, other) = (Array("MSH|1".utf8), Array("MSH|22".utf8))
    let bytes = Framing.framed(one) + [0x0D, 0x0A] + Framing.framed(other)
    for place in 0...bytes.count {
      var framing = Framing()
      let found = try framing.take(bytes[..<place]) + framing.take(bytes[place...])
      #expect(found == [one, other])
      #expect(framing.pendingBytes == nil)
    }
    var framing = Framing()
    #expect(try bytes.flatMap { try framing.take([$0]) } == [one, other])
  }

  @Test("What is no frame is refused")
  func wrong() {
    func fault(_ bytes: [UInt8], bytesMax: Int = 8) -> Framing.Fault? {
      var framing = Framing(bytesMax: bytesMax)
      do throws(Framing.Fault) {
        _ = try framing.take(bytes)
        return nil
      } catch { return error }
    }
    #expect(fault(Array("GET / HTTP/1.1".utf8)) == .between(byte: UInt8(ascii: "G")))
    #expect(fault([0x0B, 0x41, 0x0B]) == .nested)
    #expect(fault([0x0B, 0x41, 0x1C, 0x41]) == .unended(byte: 0x41))
    #expect(fault([0x0B] + [UInt8](repeating: 0x41, count: 9)) == .tooLong(max: 8))
    #expect(fault([0x0B] + [UInt8](repeating: 0x41, count: 8) + [0x1C, 0x0D]) == nil)
    #expect(fault([0x0B, 0x1C, 0x0D]) == nil)
  }
}
