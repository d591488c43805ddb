/// Pictures as SVG text, drawn for screen and paper: no script, no outside resource.
enum Charts {
  /// A line with its name.
  struct Line {
    let name: String
    let points: [(x: Double, y: Double)]
    /// 0 to 7: the colour; −1 for grey and dashed.
    let colour: Int
    var isStepped = false
  }

  /// A mark on the time axis.
  struct Mark {
    let x: Double
    let text: String
  }

  private static let (width, height) = (760.0, 280.0)
  private static let (left, right, top, bottom) = (64.0, 16.0, 14.0, 44.0)

  static func escape(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
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
    _ lines: [Line], x: String, y: String, marks: [Mark] = [], xMax: Double? = nil, yMax: Double? = nil
  ) -> String {
    let all = lines.flatMap(\.points)
    let high = (x: max(xMax ?? all.map(\.x).max() ?? 1, 1e-9), y: max(yMax ?? (all.map(\.y).max() ?? 1) * 1.05, 1e-9))
    func px(_ value: Double) -> Double { left + value / high.x * (width - left - right) }
    func py(_ value: Double) -> Double { height - bottom - value / high.y * (height - top - bottom) }
    var svg = "<svg viewBox=\"0 0 \(Int(width)) \(Int(height))\" role=\"img\" aria-label=\"\(escape("\(y) over \(x)"))\">"
    for tick in ticks(0, high.y) {
      svg += "<line class=\"grid\" x1=\"\(left)\" x2=\"\(width - right)\" y1=\"\(place(py(tick)))\" y2=\"\(place(py(tick)))\"/>"
      svg += "<text class=\"tick\" text-anchor=\"end\" x=\"\(left - 6)\" y=\"\(place(py(tick) + 4))\">\(Quantity.digits(tick))</text>"
    }
    for tick in ticks(0, high.x) {
      svg += "<text class=\"tick\" text-anchor=\"middle\" x=\"\(place(px(tick)))\" y=\"\(height - bottom + 16)\">\(Quantity.digits(tick))</text>"
    }
    for (number, mark) in marks.prefix(60).enumerated() {
      svg += "<line class=\"mark\" x1=\"\(place(px(mark.x)))\" x2=\"\(place(px(mark.x)))\" y1=\"\(top)\" y2=\"\(height - bottom)\"/>"
      if marks.count <= 16 {
        let above = top + 10 + Double(number % 4) * 11
        svg += "<text class=\"marktext\" x=\"\(place(min(px(mark.x) + 3, width - 150)))\" y=\"\(place(above))\">\(escape(mark.text))</text>"
      }
    }
    for line in lines where !line.points.isEmpty { svg += path(line, px, py) }
    svg += "<text class=\"axis\" text-anchor=\"middle\" x=\"\((left + width - right) / 2)\" y=\"\(height - 6)\">\(escape(x))</text>"
    svg += "<text class=\"axis\" transform=\"rotate(-90 14 \(height / 2))\" text-anchor=\"middle\" x=\"14\" y=\"\(height / 2)\">\(escape(y))</text>"
    return svg + "</svg>" + legend(lines)
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
    let style = line.colour < 0 ? "class=\"line dashed\"" : "class=\"line c\(line.colour % 8)\""
    return "<path \(style) d=\"\(data)\"/>"
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
      svg += "<rect class=\"f0\" x=\"\(label)\" y=\"\(y)\" width=\"\(Self.place(max(1, wide)))\" height=\"\(row - 6)\"/>"
      svg += "<text class=\"tick\" x=\"\(Self.place(label + wide + 6))\" y=\"\(y + 14)\">\(escape(bar.text))</text>"
    }
    return svg + "</svg>"
  }

  /// Members on a circle, region by region, with their connections.
  static func graph(names: [String], regions: [String], links: [[Int]]) -> String {
    let (wide, tall) = (760.0, 420.0)
    let names2 = Array(Set(regions)).sorted()
    func angle(_ place: Int) -> Double { 2 * 3.141592653589793 * Double(place) / Double(max(1, names.count)) }
    func at(_ place: Int) -> (x: Double, y: Double) {
      (wide / 2 + 170 * cosine(angle(place)), tall / 2 + 170 * cosine(angle(place) - 1.5707963267948966))
    }
    var svg = "<svg viewBox=\"0 0 \(Int(wide)) \(Int(tall))\" role=\"img\" aria-label=\"connections\">"
    for link in links where link.count == 2 {
      let (a, b) = (at(link[0]), at(link[1]))
      svg += "<line class=\"edge\" x1=\"\(place(a.x))\" y1=\"\(place(a.y))\" x2=\"\(place(b.x))\" y2=\"\(place(b.y))\"/>"
    }
    for (number, name) in names.enumerated() {
      let point = at(number)
      let colour = names2.firstIndex(of: regions[number]) ?? 0
      let radius = names.count > 40 ? 5 : 11
      svg += "<circle class=\"f\(colour % 8)\" cx=\"\(place(point.x))\" cy=\"\(place(point.y))\" r=\"\(radius)\"/>"
      if names.count <= 40 {
        svg += "<text class=\"node\" text-anchor=\"middle\" x=\"\(place(point.x))\" y=\"\(place(point.y + 4))\">\(escape(name))</text>"
      }
    }
    let legend = names2.filter { !$0.isEmpty }.enumerated().map { "<span><i class=\"b\($0.offset % 8)\"></i>\(escape($0.element))</span>" }
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
