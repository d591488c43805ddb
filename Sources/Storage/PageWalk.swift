internal import Foundation

/// Walks an LMDB file's pages before anything of it is believed (LEDGER §11.13).
///
/// LMDB follows what its pages say without a check: a wrong offset is read from, or written to, wherever it leads. So
/// each page that can be reached is held against the format first: its kind, its number, its nodes' places, the order
/// of its keys, the counts in its tree's record; and no page may be in use twice, nor free and in use.
///
/// Source: `mdb.c` of LMDB 0.9, data version 1.
struct PageWalk {
  /// A tree's record (`MDB_db`).
  private struct Tree {
    static let lengthBytes = 48
    let flags: UInt16
    let depth: Int
    let branches, leaves, overflows, entries, root: UInt64

    init(_ bytes: ArraySlice<UInt8>) {
      self.flags = bytes.u16(4)
      self.depth = Int(bytes.u16(6))
      self.branches = bytes.u64(8)
      self.leaves = bytes.u64(16)
      self.overflows = bytes.u64(24)
      self.entries = bytes.u64(32)
      self.root = bytes.u64(40)
    }
  }

  /// A meta page: where the trees of one transaction begin.
  private struct Meta {
    let pageSize: Int
    let free, main: Tree
    let last, transaction: UInt64

    init?(_ page: ArraySlice<UInt8>) {
      let body = page.dropFirst(PageWalk.headerBytes)
      guard page.u16(10) == Flag.meta, body.u32(0) == 0xBEEF_C0DE, body.u32(4) == 1 else { return nil }
      self.pageSize = Int(body.u32(24))
      self.free = Tree(body.dropFirst(24))
      self.main = Tree(body.dropFirst(24 + Tree.lengthBytes))
      self.last = body.u64(120)
      self.transaction = body.u64(128)
    }
  }

  /// What a page is.
  private enum Flag {
    static let branch: UInt16 = 1
    static let leaf: UInt16 = 2
    static let overflow: UInt16 = 4
    static let meta: UInt16 = 8
  }

  /// Which tree is walked.
  private enum Kind {
    /// Lists of free pages under the number of the transaction that freed them.
    case free
    /// The tables' records under their names.
    case main
    /// Rows.
    case table
  }

  /// A node of a page: a key and what stands under it.
  private struct Node {
    /// Where its key is in the page.
    let key: Range<Int>
    /// Where its value is in the page; of a branch and of a long value there is none.
    let value: Range<Int>
    /// A branch's child, or a long value's first page.
    let page: UInt64
    /// A value's length.
    let length: Int
    let flags: UInt16
  }

  /// What a walk counts, for the comparison with the tree's record.
  private struct Counts: Equatable {
    var branches: UInt64 = 0
    var leaves: UInt64 = 0
    var overflows: UInt64 = 0
    var entries: UInt64 = 0
  }

  private static let headerBytes = 16
  private static let nodeBytes = 8
  private static let keyBytesMax = 511
  /// As deep as LMDB's cursors go.
  private static let depthMax = 32
  private static let pageSizes = 512...65536

  /// What a transaction took and gave back before it was written may be behind the file's end, so many pages at most.
  private static let unwrittenMax: UInt64 = 1 << 20

  private let path: String
  private let file: Int32
  private let meta: Meta
  /// How many pages the file has.
  private let pages: UInt64
  private var used: PageSet
  private var counts = Counts()
  private var tables: [(name: String, tree: Tree)] = []
  /// Where lists of free pages are in the file.
  private var lists: [Range<UInt64>] = []

  /// Checks what LMDB reads when it opens a folder's file; a file that is not there yet, or is empty, is a new one.
  static func checkMeta(_ path: String) throws(StorageFailure) {
    guard let file = try self.open(path) else { return }
    defer { close(file) }
    _ = try self.metas(path, file)
  }

  /// Checks all pages of a transaction that a reader holds; nil where a later one took the meta page's place.
  static func check(_ path: String, transaction: UInt64) throws(StorageFailure) -> Bool? {
    guard let file = try self.open(path) else { return false }
    defer { close(file) }
    guard let meta = try self.metas(path, file).first(where: { $0.transaction == transaction }) else { return nil }
    var walk = PageWalk(path: path, file: file, meta: meta)
    try walk.run()
    return true
  }

  private init(path: String, file: Int32, meta: Meta) {
    (self.path, self.file, self.meta) = (path, file, meta)
    self.pages = Self.length(of: file) / UInt64(meta.pageSize)
    self.used = PageSet(count: self.pages)
  }

  private static func length(of file: Int32) -> UInt64 { UInt64(max(0, lseek(file, 0, SEEK_END))) }

  private static func open(_ path: String) throws(StorageFailure) -> Int32? {
    let name = path + "/data.mdb"
    let file = unsafe Foundation.open(name, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      guard errno != ENOENT else { return nil }
      throw .folder(path: path, reason: unsafe String(cString: strerror(errno)))
    }
    guard self.length(of: file) > 0 else {
      close(file)
      return nil
    }
    return file
  }

  /// Both meta pages. Each transaction writes the one that its number is even or odd to, so their numbers are
  /// neighbours.
  private static func metas(_ path: String, _ file: Int32) throws(StorageFailure) -> [Meta] {
    func damaged(_ reason: String) -> StorageFailure { .damaged(path: path, reason: "data.mdb: \(reason)") }
    let head = try self.read(path, file, at: 0, count: 4096)
    guard let first = Meta(head[...]), self.pageSizes.contains(first.pageSize), first.pageSize.nonzeroBitCount == 1
    else { throw damaged("its first page is no meta page") }
    let next = try self.read(path, file, at: UInt64(first.pageSize), count: 4096)
    guard let second = Meta(next[...]), second.pageSize == first.pageSize else {
      throw damaged("its second page is no meta page")
    }
    let pair = [first, second]
    let pages = self.length(of: file) / UInt64(first.pageSize)
    for (number, meta) in pair.enumerated() {
      guard meta.transaction == 0 || meta.transaction % 2 == UInt64(number) else {
        throw damaged("meta page \(number) is of transaction \(meta.transaction), which writes the other one")
      }
      // Of the free list's tree these are the file's own flags: its keys are integers.
      guard meta.free.flags == 8, meta.main.flags == 0 else { throw damaged("meta page \(number) has unknown flags") }
      guard meta.last >= 1, meta.last < pages + self.unwrittenMax else {
        throw damaged("its last page, by meta page \(number), is \(meta.last); it has \(pages) pages")
      }
    }
    guard max(first.transaction, second.transaction) - min(first.transaction, second.transaction) <= 1 else {
      throw damaged("its meta pages are of transactions \(first.transaction) and \(second.transaction)")
    }
    return pair
  }

  private static func read(
    _ path: String, _ file: Int32, at offset: UInt64, count: Int
  ) throws(StorageFailure) -> [UInt8] {
    var (bytes, done) = ([UInt8](repeating: 0, count: count), 0)
    while done < count {
      let got = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe pread(
          file, buffer.baseAddress.map { unsafe $0 + done }, count - done, off_t(offset) + off_t(done))
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else {
        throw .damaged(
          path: path, reason: "data.mdb cannot be read at byte \(offset): \(unsafe String(cString: strerror(errno)))")
      }
      guard got > 0 else { throw .damaged(path: path, reason: "data.mdb ends before byte \(offset + UInt64(count))") }
      done += got
    }
    return bytes
  }

  private func damaged(_ page: UInt64, _ reason: String) -> StorageFailure {
    .damaged(path: self.path, reason: "page \(page) of data.mdb: \(reason)")
  }

  // MARK: Trees

  private mutating func run() throws(StorageFailure) {
    _ = self.used.insert(0)
    _ = self.used.insert(1)
    try self.walk(self.meta.main, .main)
    for (_, tree) in self.tables { try self.walk(tree, .table) }
    try self.walk(self.meta.free, .free)
    try self.checkLists()
  }

  private mutating func walk(_ tree: Tree, _ kind: Kind) throws(StorageFailure) {
    self.counts = Counts()
    if tree.root == .max {
      guard tree.depth == 0 else { throw self.damaged(0, "an empty tree is \(tree.depth) pages deep") }
    } else {
      guard 1...Self.depthMax ~= tree.depth else { throw self.damaged(tree.root, "a tree is \(tree.depth) pages deep") }
      try self.descend(tree.root, depth: tree.depth, kind, from: nil, to: nil)
    }
    let recorded = Counts(
      branches: tree.branches, leaves: tree.leaves, overflows: tree.overflows, entries: tree.entries)
    guard self.counts == recorded else {
      throw self.damaged(tree.root == .max ? 0 : tree.root, "its tree is not as large as its record says")
    }
  }

  /// Checks a page and all below it; its keys are at or after `start` and before `end`.
  private mutating func descend(
    _ number: UInt64, depth: Int, _ kind: Kind, from start: [UInt8]?, to end: [UInt8]?
  ) throws(StorageFailure) {
    try self.claim(number)
    let page = try Self.read(
      self.path, self.file, at: number * UInt64(self.meta.pageSize), count: self.meta.pageSize)
    guard page[...].u64(0) == number else { throw self.damaged(number, "it is marked as page \(page[...].u64(0))") }
    let isLeaf = depth == 1
    guard page[...].u16(10) == (isLeaf ? Flag.leaf : Flag.branch) else {
      throw self.damaged(number, "it is no \(isLeaf ? "leaf" : "branch")")
    }
    let nodes = try self.nodes(of: page, number, isLeaf: isLeaf, kind)
    // The first key of a branch is never looked at.
    var previous = start
    for (index, node) in nodes.enumerated() where isLeaf || index > 0 {
      let key = Array(page[node.key])
      let isAfter = previous.map { before in
        index == (isLeaf ? 0 : 1) ? !Self.precedes(key, before, kind) : Self.precedes(before, key, kind)
      }
      guard isAfter ?? true, end.map({ Self.precedes(key, $0, kind) }) ?? true else {
        throw self.damaged(number, "its keys are not in order")
      }
      previous = key
    }
    if isLeaf {
      self.counts.leaves += 1
      self.counts.entries += UInt64(nodes.count)
      for node in nodes { try self.checkValue(node, in: page, number, kind) }
    } else {
      self.counts.branches += 1
      for (index, node) in nodes.enumerated() {
        let low = index == 0 ? start : Array(page[node.key])
        let high = index + 1 < nodes.count ? Array(page[nodes[index + 1].key]) : end
        try self.descend(node.page, depth: depth - 1, kind, from: low, to: high)
      }
    }
  }

  private static func precedes(_ a: [UInt8], _ b: [UInt8], _ kind: Kind) -> Bool {
    if case .free = kind { return a[...].u64(0) < b[...].u64(0) }
    return a.lexicographicallyPrecedes(b)
  }

  /// Notes that a page is in use, or free; only what is free may be behind the file's end.
  private mutating func claim(_ number: UInt64, isFree: Bool = false) throws(StorageFailure) {
    guard number <= self.meta.last, isFree || number < self.pages else {
      throw self.damaged(number, "it is behind the last, \(min(self.meta.last, self.pages - 1))")
    }
    guard self.used.insert(number) else { throw self.damaged(number, "it is in use twice") }
  }

  /// The nodes of a page: each lies within it, none over another.
  private func nodes(
    of page: [UInt8], _ number: UInt64, isLeaf: Bool, _ kind: Kind
  ) throws(StorageFailure) -> [Node] {
    let (lower, upper) = (Int(page[...].u16(12)), Int(page[...].u16(14)))
    guard lower > Self.headerBytes, lower.isMultiple(of: 2), lower <= upper, upper <= page.count else {
      throw self.damaged(number, "its free room is from \(lower) to \(upper)")
    }
    let count = (lower - Self.headerBytes) / 2
    // A branch of the free list may be left with one child.
    var isFree = false
    if case .free = kind { isFree = true }
    guard isLeaf || isFree || count > 1 else { throw self.damaged(number, "it is a branch with one child") }
    var (out, places): ([Node], [Range<Int>]) = ([], [])
    for index in 0..<count {
      let place = Int(page[...].u16(Self.headerBytes + 2 * index))
      guard place >= upper, place.isMultiple(of: 2), place + Self.nodeBytes <= page.count else {
        throw self.damaged(number, "node \(index) is at \(place)")
      }
      let head = page[place...]
      let low = Int(head.u16(0)) | Int(head.u16(2)) << 16
      let (flags, keyLength) = (head.u16(4), Int(head.u16(6)))
      let key = (place + Self.nodeBytes)..<(place + Self.nodeBytes + keyLength)
      let isLong = isLeaf && flags == 1
      let valueLength = isLeaf ? (isLong ? 8 : low) : 0
      guard keyLength <= Self.keyBytesMax, key.upperBound + valueLength <= page.count else {
        throw self.damaged(number, "node \(index) ends beyond the page")
      }
      guard keyLength > 0 || !isLeaf && index == 0, !isFree || !isLeaf && index == 0 || keyLength == 8 else {
        throw self.damaged(number, "node \(index) has a key of \(keyLength) bytes")
      }
      let value = key.upperBound..<(key.upperBound + (isLong ? 0 : valueLength))
      let child = isLong ? page[key.upperBound...].u64(0) : UInt64(low) | UInt64(flags) << 32
      out.append(Node(key: key, value: value, page: child, length: low, flags: isLeaf ? flags : 0))
      let size = Self.nodeBytes + keyLength + valueLength
      places.append(place..<(place + size + size % 2))
    }
    places.sort { $0.lowerBound < $1.lowerBound }
    var end = upper
    for place in places {
      guard place.lowerBound == end else { throw self.damaged(number, "its nodes lie over each other, or apart") }
      end = place.upperBound
    }
    guard end == page.count else { throw self.damaged(number, "its last node does not end where it ends") }
    return out
  }

  private mutating func checkValue(
    _ node: Node, in page: [UInt8], _ number: UInt64, _ kind: Kind
  ) throws(StorageFailure) {
    switch (kind, node.flags) {
    case (.main, 2):
      guard node.length == Tree.lengthBytes else {
        throw self.damaged(number, "a table's record is \(node.length) bytes")
      }
      let tree = Tree(page[node.value])
      guard tree.flags == 0 else { throw self.damaged(number, "a table has unknown flags") }
      self.tables.append((String(decoding: page[node.key], as: UTF8.self), tree))
    case (.table, 0), (.free, 0), (.table, 1), (.free, 1):
      var start = number * UInt64(self.meta.pageSize) + UInt64(node.value.lowerBound)
      if node.flags == 1 {
        try self.claimOverflow(node)
        start = node.page * UInt64(self.meta.pageSize) + UInt64(Self.headerBytes)
      }
      guard case .free = kind else { return }
      guard page[node.key].u64(0) <= self.meta.transaction else {
        throw self.damaged(number, "pages were freed by a transaction that was not yet")
      }
      self.lists.append(start..<(start + UInt64(node.length)))
    default: throw self.damaged(number, "a value has unknown flags")
    }
  }

  /// A long value's pages, of which only the first says what it is.
  private mutating func claimOverflow(_ node: Node) throws(StorageFailure) {
    let size = self.meta.pageSize
    try self.claim(node.page)
    let head = try Self.read(self.path, self.file, at: node.page * UInt64(size), count: Self.headerBytes)[...]
    let count = UInt64(head.u32(12))
    guard head.u64(0) == node.page, head.u16(10) == Flag.overflow else {
      throw self.damaged(node.page, "it is not the first of a long value")
    }
    guard count >= UInt64((Self.headerBytes - 1 + node.length) / size + 1) else {
      throw self.damaged(node.page, "a value of \(node.length) bytes has \(count) pages")
    }
    for page in (node.page + 1)..<(node.page + count) { try self.claim(page) }
    self.counts.overflows += count
  }

  /// A page that is free may be written over: none of them may be in use.
  private mutating func checkLists() throws(StorageFailure) {
    for list in self.lists {
      let number = list.lowerBound / UInt64(self.meta.pageSize)
      guard list.count >= 8, list.count.isMultiple(of: 8) else {
        throw self.damaged(number, "a list of free pages has \(list.count) bytes")
      }
      let bytes = try Self.read(self.path, self.file, at: list.lowerBound, count: list.count)
      let count = bytes[...].u64(0)
      guard count < UInt64(bytes.count / 8) else { throw self.damaged(number, "a list of free pages is too short") }
      var before = UInt64.max
      for index in 0..<Int(count) {
        let page = bytes[...].u64(8 + 8 * index)
        guard page < before else { throw self.damaged(number, "free pages are not in order") }
        try self.claim(page, isFree: true)
        before = page
      }
    }
  }
}

/// Which pages were met.
private struct PageSet {
  private var words: [UInt64]
  /// Those that the file has not.
  private var others: Set<UInt64> = []

  init(count: UInt64) { self.words = [UInt64](repeating: 0, count: Int(count / 64) + 1) }

  /// Adds a page; false where it is in the set.
  mutating func insert(_ page: UInt64) -> Bool {
    guard page / 64 < UInt64(self.words.count) else { return self.others.insert(page).inserted }
    let bit = UInt64(1) << (page % 64)
    guard self.words[Int(page / 64)] & bit == 0 else { return false }
    self.words[Int(page / 64)] |= bit
    return true
  }
}

extension ArraySlice<UInt8> {
  /// Integers in the machine's order, as LMDB has them, at a distance from the start.
  fileprivate func u16(_ offset: Int) -> UInt16 {
    UInt16(self[self.startIndex + offset]) | UInt16(self[self.startIndex + offset + 1]) << 8
  }
  fileprivate func u32(_ offset: Int) -> UInt32 { UInt32(self.u16(offset)) | UInt32(self.u16(offset + 2)) << 16 }
  fileprivate func u64(_ offset: Int) -> UInt64 { UInt64(self.u32(offset)) | UInt64(self.u32(offset + 4)) << 32 }
}
