internal import Storage

/// What a person should see to though the node goes on.
extension NodeHost {
  /// Each in a sentence, with what helps.
  var notices: [String] { self.roomNotices }

  private var roomNotices: [String] {
    StoreRoom.full.sorted { $0.key < $1.key }.map { path, reason in
      "no room in \(path): \(reason): what is sent there is refused, and nothing acknowledged is lost; free disk "
        + "space, or raise map_size_max_gib where it is the map that is full; the next write that succeeds ends this"
    }
  }
}
