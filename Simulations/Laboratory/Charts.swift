internal import Foundation

/// Pictures as SVG text, drawn for screen and paper: no script, no outside resource.
enum Charts {
  /// A line with its name.
  struct Line {
    let name: String
    let points: [(x: Double, y: Double)]
    /// 0 to 7: the colour; −1 for grey and dashed.
    let colour: Int
    var isStepped = false
    var isDashed = false
    /// Points by themselves, not joined.
    var isDotted = false
  }

  /// A mark on the time axis.
  struct Mark {
    let x: Double
    let text: String
  }

  private static let (width, height) = (760.0, 280.0)
  private static let (left, right, top, bottom) = (64.0, 28.0, 14.0, 44.0)

  static func escape(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }

  private static func segment(_ kind: String, _ from: (x: Double, y: Double), _ to: (x: Double, y: Double)) -> String {
    "<line class=\"\(kind)\" x1=\"\(place(from.x))\" y1=\"\(place(from.y))\" "
      + "x2=\"\(place(to.x))\" y2=\"\(place(to.y))\"/>"
  }

  private static func label(
    _ kind: String, _ text: String, _ at: (x: Double, y: Double), anchor: String = "middle"
  ) -> String {
    "<text class=\"\(kind)\" text-anchor=\"\(anchor)\" x=\"\(place(at.x))\" y=\"\(place(at.y))\">"
      + "\(escape(text))</text>"
  }

  private static func place(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

  /// Round numbers that divide a range in about five.
  private static func ticks(_ low: Double, _ high: Double) -> [Double] {
    guard high > low else { return [low] }
    var step = 1.0
    let rough = (high - low) / 5
    while step * 10 <= rough { step *= 10 }
    while step > rough { step /= 10 }
    for factor in [1.0, 2, 5, 10] where step * factor >= rough {
      step *= factor
      break
    }
    var out: [Double] = []
    var value = (low / step).rounded(.up) * step
    while value <= high + step / 1e6 {
      out.append(value)
      value += step
    }
    return out
  }

  /// Lines over a plane, with marks (faults) as vertical lines.
  static func lines(
    _ lines: [Line], x: String, y: String, marks: [Mark] = [], xMax: Double? = nil, yMax: Double? = nil,
    isLogarithmic: Bool = false
  ) -> String {
    let all = lines.flatMap(\.points)
    let high = (x: max(xMax ?? all.map(\.x).max() ?? 1, 1e-9), y: max(yMax ?? (all.map(\.y).max() ?? 1) * 1.05, 1e-9))
    let decades = Self.decades(all.map(\.x), high.x)
    func px(_ value: Double) -> Double {
      guard isLogarithmic else { return left + value / high.x * (width - left - right) }
      let part = (log10(max(value, 1e-12)) - decades.low) / (decades.high - decades.low)
      return left + max(0, part) * (width - left - right)
    }
    func py(_ value: Double) -> Double { height - bottom - value / high.y * (height - top - bottom) }
    var svg =
      "<svg viewBox=\"0 0 \(Int(width)) \(Int(height))\" role=\"img\" aria-label=\"\(escape("\(y) over \(x)"))\">"
    for tick in ticks(0, high.y) {
      svg += segment("grid", (left, py(tick)), (width - right, py(tick)))
      svg += label("tick", Quantity.digits(tick), (left - 6, py(tick) + 4), anchor: "end")
    }
    let across =
      isLogarithmic ? stride(from: decades.low, through: decades.high, by: 1).map { pow(10, $0) } : ticks(0, high.x)
    for tick in across { svg += label("tick", Quantity.digits(tick), (px(tick), height - bottom + 16)) }
    for (number, mark) in marks.enumerated() {
      svg += segment("mark", (px(mark.x), top), (px(mark.x), height - bottom))
      guard marks.count <= 16 else { continue }
      let above = top + 10 + Double(number % 4) * 11
      svg += label("marktext", mark.text, (min(px(mark.x) + 3, width - 150), above), anchor: "start")
    }
    for line in lines where !line.points.isEmpty { svg += path(line, px, py) }
    svg += label("axis", x, ((left + width - right) / 2, height - 6))
    svg += "<g transform=\"rotate(-90 14 \(height / 2))\">\(label("axis", y, (14, height / 2)))</g>"
    return svg + "</svg>" + legend(lines)
  }

  /// The powers of ten around positive values.
  private static func decades(_ values: [Double], _ high: Double) -> (low: Double, high: Double) {
    let low = values.filter { $0 > 0 }.min() ?? 0.1
    let (floor, ceiling) = (log10(low).rounded(.down), log10(max(high, low)).rounded(.up))
    return (floor, max(ceiling, floor + 1))
  }

  private static func path(_ line: Line, _ px: (Double) -> Double, _ py: (Double) -> Double) -> String {
    var data = ""
    var previous: (x: Double, y: Double)?
    for point in line.points {
      if point.y < 0 {
        previous = nil
        continue
      }
      if let previous, line.isStepped { data += "L\(place(px(point.x))) \(place(py(previous.y)))" }
      data += "\(previous == nil ? "M" : "L")\(place(px(point.x))) \(place(py(point.y)))"
      previous = point
    }
    if line.isDotted {
      return line.points.filter { $0.y >= 0 }.map { point in
        "<circle class=\"f\(line.colour % 8)\" cx=\"\(place(px(point.x)))\" cy=\"\(place(py(point.y)))\" r=\"2.5\"/>"
      }.joined()
    }
    let style = line.colour < 0 ? "class=\"line dashed\"" : "class=\"line c\(line.colour % 8)\""
    return "<path \(style)\(line.isDashed ? " stroke-dasharray=\"5 3\"" : "") d=\"\(data)\"/>"
  }

  private static func legend(_ lines: [Line]) -> String {
    guard lines.count > 1, lines.count <= 16 else { return "" }
    let items = lines.map { line in
      "<span><i class=\"\(line.colour < 0 ? "dashed" : "b\(line.colour % 8)")\"></i>\(escape(line.name))</span>"
    }
    return "<div class=\"legend\">\(items.joined())</div>"
  }

  /// Horizontal bars, longest first as given.
  static func bars(_ bars: [(name: String, value: Double, text: String)]) -> String {
    let most = max(bars.map(\.value).max() ?? 1, 1e-9)
    let (row, label) = (22.0, 150.0)
    let tall = Double(bars.count) * row + 8
    var svg = "<svg viewBox=\"0 0 \(Int(width)) \(Int(tall))\" role=\"img\">"
    for (place, bar) in bars.enumerated() {
      let y = Double(place) * row + 4
      let wide = bar.value / most * (width - label - 150)
      svg += "<text class=\"tick\" text-anchor=\"end\" x=\"\(label - 8)\" y=\"\(y + 14)\">\(escape(bar.name))</text>"
      svg +=
        "<rect class=\"f0\" x=\"\(label)\" y=\"\(y)\" width=\"\(Self.place(max(1, wide)))\" height=\"\(row - 6)\"/>"
      svg += "<text class=\"tick\" x=\"\(Self.place(label + wide + 6))\" y=\"\(y + 14)\">\(escape(bar.text))</text>"
    }
    return svg + "</svg>"
  }

  /// Members on a circle, region by region, with their connections.
  static func graph(names: [String], regions: [String], links: [[Int]]) -> String {
    let (wide, tall) = (760.0, 420.0)
    let kinds = Array(Set(regions)).sorted()
    func angle(_ place: Int) -> Double { 2 * 3.141592653589793 * Double(place) / Double(max(1, names.count)) }
    func at(_ place: Int) -> (x: Double, y: Double) {
      (wide / 2 + 170 * cosine(angle(place)), tall / 2 + 170 * cosine(angle(place) - 1.5707963267948966))
    }
    var svg = "<svg viewBox=\"0 0 \(Int(wide)) \(Int(tall))\" role=\"img\" aria-label=\"connections\">"
    for link in links where link.count == 2 {
      let (a, b) = (at(link[0]), at(link[1]))
      svg += segment("edge", a, b)
    }
    for (number, name) in names.enumerated() {
      let point = at(number)
      let colour = kinds.firstIndex(of: regions[number]) ?? 0
      let radius = names.count > 40 ? 5 : 11
      svg += "<circle class=\"f\(colour % 8)\" cx=\"\(place(point.x))\" cy=\"\(place(point.y))\" r=\"\(radius)\"/>"
      if names.count <= 40 {
        svg += label("node", name, (point.x, point.y + 4))
      }
    }
    let legend = kinds.filter { !$0.isEmpty }.enumerated().map {
      "<span><i class=\"b\($0.offset % 8)\"></i>\(escape($0.element))</span>"
    }
    return svg + "</svg>" + (legend.isEmpty ? "" : "<div class=\"legend\">\(legend.joined())</div>")
  }

  /// The cosine by its series: pictures need no more.
  private static func cosine(_ angle: Double) -> Double {
    var x = angle
    while x > 3.141592653589793 { x -= 6.283185307179586 }
    while x < -3.141592653589793 { x += 6.283185307179586 }
    var (term, sum) = (1.0, 1.0)
    for k in 1...12 {
      term *= -x * x / Double((2 * k - 1) * 2 * k)
      sum += term
    }
    return sum
  }

  /// A table of regions, darker where it takes longer.
  static func heat(rows: [String], columns: [String], value: (String, String) -> Double?) -> String {
    var most = 1e-9
    for row in rows { for column in columns { most = max(most, value(row, column) ?? 0) } }
    var html = "<table class=\"heat\"><tr><th>from \\ to</th>"
    html += columns.map { "<th>\(escape($0))</th>" }.joined() + "</tr>"
    for row in rows {
      html += "<tr><th>\(escape(row))</th>"
      for column in columns {
        guard let number = value(row, column) else {
          html += "<td></td>"
          continue
        }
        html += "<td style=\"--part:\(Int(number / most * 60))%\">\(Quantity.digits(number))</td>"
      }
      html += "</tr>"
    }
    return html + "</table>"
  }
}
