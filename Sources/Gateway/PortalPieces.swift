internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Primitives
internal import Signing

/// What the pages are made of: the folder's style and scripts, as browsers get them.
///
/// A browser keeps what it has and asks whether that is still so: it is told by a hash of the content, and nothing is
/// sent twice. What is sent goes compressed where the browser takes that.
struct PortalPieces: Sendable {
  /// One file: its content, compressed and not, and the hash by which a browser knows what it has.
  struct Piece: Sendable {
    let type: String
    let bytes: [UInt8]
    let packed: [UInt8]?
    let tag: String

    init(_ bytes: [UInt8], type: String) {
      (self.bytes, self.type) = (bytes, type)
      self.packed = Gzip.compress(bytes).flatMap { $0.count < bytes.count ? $0 : nil }
      self.tag = "\"\(Hash.blake2b("consilium/page/v1", bytes).description.prefix(32))\""
    }
  }

  private let pieces: [String: Piece]
  private let document: String

  /// The folder in the bundle, read once.
  static let shared = PortalPieces()

  private init() {
    let types = ["css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"]
    let page = Bundle.module.url(forResource: "page.html", withExtension: nil, subdirectory: "Portal")
    let folder = page?.deletingLastPathComponent()
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder?.path ?? "")) ?? []
    self.pieces = names.reduce(into: [:]) { pieces, name in
      guard let type = types[URL(fileURLWithPath: name).pathExtension],
        let bytes = folder.flatMap({ try? Data(contentsOf: $0.appending(path: name)) })
      else { return }
      pieces[name] = Piece(Array(bytes), type: type)
    }
    self.document = page.flatMap { try? String(contentsOf: $0, encoding: .utf8) } ?? ""
  }

  /// A style or a script by its name; nil where there is none.
  func piece(_ name: String) -> Piece? { self.pieces[name] }

  /// A page: they differ in their title and in the script that fills them. All scripts that it needs first are named in
  /// it, so that a browser asks for them at once and not one after another.
  func page(_ title: String, script: String) -> Piece {
    let links = self.modules(of: script).map { "<link rel=\"modulepreload\" href=\"\($0)\">" }
    let text = self.document.replacing("{title}", with: title).replacing("{script}", with: script)
      .replacing("{modules}", with: links.joined(separator: "\n  "))
    return Piece(Array(text.utf8), type: "text/html; charset=utf-8")
  }

  /// The scripts that one imports, and those that they import, in the order of their names.
  func modules(of script: String) -> [String] {
    var (found, waiting): (Set<String>, [String]) = ([], [script])
    while let name = waiting.popLast() {
      guard let piece = self.pieces[name] else { continue }
      for match in String(decoding: piece.bytes, as: UTF8.self).matches(of: /from "\.\/([a-z-]+\.js)"/) {
        let imported = String(match.output.1)
        if found.insert(imported).inserted { waiting.append(imported) }
      }
    }
    return found.sorted()
  }
}

extension PortalPieces.Piece {
  /// What a browser is answered that asked for it.
  func response(to request: Request) -> Response {
    let hasIt =
      request.headers[.ifNoneMatch]?.split(separator: ",")
      .contains { $0.trimmingCharacters(in: .whitespaces) == self.tag } ?? false
    var headers: HTTPFields = [.cacheControl: "no-cache", .eTag: self.tag, .vary: "accept-encoding"]
    guard !hasIt else { return Response(status: .notModified, headers: headers) }
    headers[.contentType] = self.type
    guard FHIRServer.takesGzip(request), let packed = self.packed else {
      return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: self.bytes)))
    }
    headers[.contentEncoding] = "gzip"
    return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: packed)))
  }
}
