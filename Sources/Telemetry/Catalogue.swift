/// How much an event matters to the operator.
public enum EventLevel: Int, Sendable, Comparable, CaseIterable {
  /// Every message.
  case trace
  /// Every decision.
  case debug
  /// The story of the node, a few lines a minute.
  case info
  /// A use of a private key.
  case audit
  /// A person should look.
  case warn
  /// A person must act.
  case error

  /// By weight.
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  /// The level's word in lines and options.
  public var name: String { "\(self)" }
  /// The level of a word.
  public init?(name: String) {
    guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = level
  }
}

/// An event's declaration: its name for ever, its level, what it means, what to do. Everything logged is one of these.
public struct EventKind: Sendable, Hashable {
  /// The stable name.
  public let name: String
  /// The level.
  public let level: EventLevel
  /// One line for people.
  public let message: String
  /// What it means.
  public let meaning: String
  /// What to do, or that nothing needs to be done.
  public let remedy: String
  /// The names of its fields, with units.
  public let fields: [String]

  init(
    _ name: String, _ level: EventLevel, _ message: String, meaning: String, remedy: String = "Nothing.",
    fields: [String] = []
  ) {
    (self.name, self.level, self.message) = (name, level, message)
    (self.meaning, self.remedy, self.fields) = (meaning, remedy, fields)
  }

  /// All events, in alphabetical order.
  public static let catalogue: [EventKind] = [
    .nodeStarted, .nodeStopping, .nodeFailed, .peerConnected, .peerDisconnected, .peerRefused, .peerFaulted,
    .peerRepeats,
    .dialFailed, .lookupFailed, .viewChangeStarted, .viewEntered, .equivocation, .laneForked, .ownLaneForked,
    .diverged, .progress, .rulesUnknown,
    .checkpointStable, .unheard, .executionFailed, .keyUsed, .doorsOpened, .certificateTaken, .certificateEnding,
    .certificateUnfit, .certificateRefused, .sealBehind, .logDropped, .recordSealed, .keyReleased,
    .releaseRefused, .crashFaultOnly, .custodyReady, .custodyRetired, .custodyLeft, .custodyUnkept, .custodyLost,
    .openedInPartition, .vaultFailed, .vaultRepaired, .vaultKeysLost,
    .keyShared, .ownKeyShared,
    .fhirRefused, .fhirEmpty, .storeMarked, .storeFull, .storeRoom,
    .vaultShareFull, .vaultForeign,
    .vaultUnproven,
    .configured,
    .observing,
    .snapshotMade, .snapshotAdopted, .snapshotFailed, .transferBegan, .transferRefused, .historyWhole,
    .clockRefused, .clockDisowned, .clockApart, .notVoting, .handshakesFull, .requestsRefused,
    .storeRotten, .storeChecked,
  ].sorted { $0.name < $1.name }

  /// The event of that name; else those with these words in their line or their name; all for no words.
  public static func matching(_ words: String) -> [EventKind] {
    if let exact = self.catalogue.first(where: { $0.name == words }) { return [exact] }
    let wanted = words.lowercased()
    let same = self.catalogue.filter { $0.message.lowercased() == wanted }
    guard same.isEmpty, !wanted.isEmpty else { return same.isEmpty ? self.catalogue : same }
    return self.catalogue.filter { $0.message.lowercased().contains(wanted) || $0.name.contains(wanted) }
  }

  /// The node runs.
  public static let nodeStarted = EventKind(
    "node.started", .info, "the node runs",
    meaning: "The store is open, the ledger is where it was, and peers are being dialled.",
    fields: ["member", "network", "version", "view", "height", "log_size", "start_ms"])
  /// The node stops in order.
  public static let nodeStopping = EventKind(
    "node.stopping", .info, "the node stops", meaning: "It was asked to stop; what is under way is written first.")
  /// The node cannot go on.
  public static let nodeFailed = EventKind(
    "node.failed", .error, "the node cannot go on and stops",
    meaning: "A durable write failed, or what is stored is damaged. What the ledger committed is not lost.",
    remedy: "Do what the reason says; where it names disk space or permissions, see to them and start the node again.",
    fields: ["reason"])
  /// A member's session opened.
  public static let peerConnected = EventKind(
    "peer.connected", .info, "a member is connected", meaning: "The session's identity is proved.",
    fields: ["member", "address", "direction"])
  /// A member's session closed.
  public static let peerDisconnected = EventKind(
    "peer.disconnected", .info, "a member is disconnected",
    meaning: "The connection ended; it is dialled again with a back-off.", fields: ["member", "reason"])
  /// Somebody was not let in.
  public static let peerRefused = EventKind(
    "peer.refused", .warn, "a connection was refused",
    meaning: "It belongs to another network, speaks another version, or its key is no member's. Others of the same "
      + "address for the same reason are counted for ten minutes: repeats says how many there were before.",
    remedy: "If it should be a member, compare genesis files and keys; if not, look who dials you. A hospital that was "
      + "removed dials until its operator stops it.",
    fields: ["address", "reason", "repeats"])
  /// A member sent what no honest member sends.
  public static let peerFaulted = EventKind(
    "peer.faulted", .warn, "a peer sent what no honest one sends",
    meaning: "A signature is wrong, the bytes are no message, it answers what nobody asked, says what is another's "
      + "part to say, pings without end, or does not take what it is sent. A member's wrong message is dropped, and "
      + "where it goes on its connection is closed; a node that does not vote is disconnected at once, "
      + "and let in again after 10 seconds.",
    remedy: "If it repeats, ask that hospital whether its node was changed or its disk is failing.",
    fields: ["member", "reason"])
  /// A member sends again what is here already.
  public static let peerRepeats = EventKind(
    "peer.repeats", .info, "a member sends again what is here already",
    meaning: "More than four copies of one message came within 10 seconds, and those beyond are dropped. On a loaded "
      + "machine or a slow way that is no fault: members send again what was not confirmed in time. Over 32 in a "
      + "minute end the session, which is dialled again.",
    remedy:
      "Nothing, while machines are under load. Where one member is named for hours and no machine is busy, ask that "
      + "hospital whether its node was changed.",
    fields: ["member", "reason"])
  /// A member could not be dialled.
  public static let dialFailed = EventKind(
    "peer.dial-failed", .debug, "a member could not be dialled",
    meaning: "Its node is down or the way to it is; the next attempt follows.", fields: ["member", "reason"])
  /// A member's key is used twice.
  public static let keyShared = EventKind(
    "peer.key-shared", .warn, "two processes dial with one member's key",
    meaning: "A process proved that member's key while another had a session with it, several times within a minute: "
      + "a copy of its folder runs, or its network breaks again and again without a word. Once both have written a "
      + "block, its lane is frozen for good.",
    remedy: "Tell that hospital both addresses at once: it must find the copy and stop it.",
    fields: ["member", "address", "other_address"])
  /// This node's key seems to be used twice.
  public static let ownKeyShared = EventKind(
    "node.key-shared", .warn, "another process seems to dial with this node's key",
    meaning: "Several members end this node's sessions right after they open, again and again, as they do where a copy "
      + "of its folder runs beside it. Once both have written a block, this hospital's lane is frozen for good.",
    remedy: "Look for the other process, on this machine too, and stop it: peer.key-shared in those hospitals' logs "
      + "has its address. If there is none, ask them why they hang up.",
    fields: ["members"])
  /// The name of a member could not be looked up.
  public static let lookupFailed = EventKind(
    "peer.lookup-failed", .warn, "a member's name could not be looked up",
    meaning:
      "The address that it published is a name, and this machine's resolver gives no address for it. It is looked "
      + "up again at each attempt.",
    remedy: "Try getent hosts NAME on this machine; if it gives nothing, repair the resolver or tell that hospital.",
    fields: ["member", "name", "reason"])
  /// This replica leaves its view.
  public static let viewChangeStarted = EventKind(
    "consensus.view-change.started", .warn, "this replica asks for another primary",
    meaning: "Something orderable was not executed in time, or others left the view.",
    remedy: "One is no cause for worry. If views go on changing, see which member is down or slow.",
    fields: ["view", "reason"])
  /// A leader's clock and this one's are apart.
  public static let clockRefused = EventKind(
    "consensus.clock.refused", .warn, "a cut was refused: its time is too far ahead of this clock",
    meaning: "The clock of the member that leads, or this one's, is wrong by more than the ledger allows "
      + "(clockDriftMilliseconds in the genesis). offset_ms is how far the cut is ahead of this clock.",
    remedy: "Compare this clock with the time (timedatectl, chronyc tracking). If it is right, tell that hospital.",
    fields: ["member", "offset_ms"])
  /// This leader's clock is not the others'.
  public static let clockDisowned = EventKind(
    "consensus.clock.disowned", .warn, "this node leads no more: its clock is not that of the others",
    meaning: "Its clock is offset_ms ahead of theirs; behind where it is negative. Another member leads. Nothing was "
      + "ordered with a time ahead; what was ordered with one behind stays, and the ledger's time catches up.",
    remedy: "Set this machine's clock right (timedatectl, chronyc tracking).", fields: ["offset_ms"])
  /// A member's clock and this one's are apart.
  public static let clockApart = EventKind(
    "peer.clock-apart", .warn, "a member's clock and this one's are far apart",
    meaning: "offset_ms is how far the member's clock is ahead of this one; behind where it is negative. Where they "
      + "are apart by more than clockDriftMilliseconds in the genesis, neither takes what the other proposes.",
    remedy: "Where most members are apart by the same, set this machine's clock right; else tell that hospital. "
      + "consilium peers shows all offsets.",
    fields: ["member", "offset_ms"])
  /// The others vote in a view that this replica left.
  public static let notVoting = EventKind(
    "consensus.not-voting", .warn, "this replica does not vote: the others go on in another view",
    meaning: "It was cut off and asked for another primary alone. It executes what is decided, and votes again as "
      + "soon as the others change the view, which they do for its sake within seconds; where it is cut off again and "
      + "again, later each time, up to ten minutes.",
    remedy: "Nothing, unless it lasts for minutes: then see consilium peers for connections that do not come.",
    fields: ["view", "others_view"])
  /// Strangers hold the places for handshakes.
  public static let handshakesFull = EventKind(
    "peer.handshakes-full", .warn, "too many connections wait for their handshake: the oldest gives way",
    meaning: "Somebody opens connections and says nothing. Places are kept for the addresses of members.",
    remedy: "If it lasts, block the addresses in the firewall.", fields: ["address"])
  /// A peer asks for too much.
  public static let requestsRefused = EventKind(
    "peer.requests-refused", .warn, "a peer asks for more than it is given",
    meaning: "It sends more requests than may wait; what is too much is dropped, and it is served slowly.",
    remedy: "If it repeats, ask the people who run that node, or take its key from the observers.", fields: ["member"])
  /// A view opened.
  public static let viewEntered = EventKind(
    "consensus.view.entered", .info, "a view is open", meaning: "Its primary proposes from now on.",
    fields: ["view", "primary"])
  /// Somebody contradicted itself.
  public static let equivocation = EventKind(
    "consensus.equivocation", .error, "a member signed two things that contradict",
    meaning: "That member's node is faulty or its key is used twice. At most f such members do no harm. Both messages "
      + "are kept.",
    remedy: "consilium audit evidence shows the proof. Tell the other hospitals; that member must find out why, and be "
      + "re-keyed.", fields: ["member", "what"])
  /// A lane forked.
  public static let laneForked = EventKind(
    "lane.forked", .error, "a hospital signed two blocks that contradict",
    meaning:
      "Two at one position, or one that leaves positions out. The evidence goes on the ledger; that lane is frozen.",
    remedy: "That hospital must find out why (a restored backup, a copied key) and be re-keyed.",
    fields: ["member", "position"])
  /// This hospital's own lane is frozen.
  public static let ownLaneForked = EventKind(
    "lane.frozen", .error, "this hospital's lane is frozen",
    meaning:
      "The ledger holds proof that two nodes signed with this hospital's key. Nothing that it writes is ordered.",
    remedy:
      "Find the other node or copy and stop it; then get new keys: consilium init, consilium member propose replace.",
    fields: ["height"])
  /// Histories differ.
  public static let diverged = EventKind(
    "ledger.diverged", .error, "a member signed another history",
    meaning: "After the same cuts, that member's log or state is not this one's.",
    remedy: "Compare with the other members: whichever stands alone must stop and be restored.",
    fields: ["member", "height"])
  /// Rules that are not known here were adopted.
  public static let rulesUnknown = EventKind(
    "ledger.rules-unknown", .error, "the ledger goes on under rules that this program does not know",
    meaning:
      "Members adopted a newer version of the rules. This node executes nothing above the height, and takes no part in "
      + "ordering; what it has is right, and old.",
    remedy: "Install the newest program and start it: it goes on from there by itself.",
    fields: ["version", "newest", "height"])
  /// Cuts were executed.
  public static let progress = EventKind(
    "ledger.progress", .info, "the ledger went on",
    meaning: "Summed up since the last such line, which comes every ten seconds at most.",
    fields: ["height", "transactions", "log_size", "state_digest"])
  /// A tree head is stable.
  public static let checkpointStable = EventKind(
    "checkpoint.stable", .debug, "a tree head is signed by a quorum",
    meaning: "Third parties can verify everything up to it.", fields: ["height", "log_size"])
  /// An own message reached nobody.
  public static let unheard = EventKind(
    "gossip.unheard", .warn, "a message of this node reached nobody",
    meaning: "No member is connected. It is sent again when one is.",
    remedy: "If it lasts, check this machine's network and firewall.")
  /// A decided block cannot be executed.
  public static let executionFailed = EventKind(
    "ledger.execution-failed", .error, "a decided block cannot be read",
    meaning: "The store is damaged.", remedy: "Restore this member from a backup.", fields: ["height"])
  /// A private key was unlocked.
  public static let keyUsed = EventKind(
    "key.unlocked", .audit, "a private key was unlocked", meaning: "The node's keys are in memory from now on.",
    fields: ["purpose"])
  /// How much the listeners take.
  public static let doorsOpened = EventKind(
    "node.doors", .info, "the listeners' limits follow from how many descriptors there may be",
    meaning: "connections is what each of the API's socket, the portal and the FHIR interface takes at most; the rest "
      + "is for the ledger and its peers.",
    remedy: "Where it is too few for the people here, raise the hard limit of open files, as LimitNOFILE.",
    fields: ["descriptors", "connections"])
  /// The interfaces speak TLS.
  public static let certificateTaken = EventKind(
    "tls.taken", .info, "the interfaces show a certificate",
    meaning: "days is how long it is good. Files that replace it are taken with the next connection.", fields: ["days"])
  /// Soon nobody can connect.
  public static let certificateEnding = EventKind(
    "tls.ending", .warn, "the certificate of the interfaces ends soon, or is over",
    meaning: "days is how long it is good. After that EHRs and browsers refuse to connect.",
    remedy: "Replace tls_certificate and tls_key; the node takes them while it runs.", fields: ["days"])
  /// Nothing can be shown, and nobody is let in.
  public static let certificateUnfit = EventKind(
    "tls.closed", .error, "the FHIR interface and the pages are closed: the certificate or its key cannot be used",
    meaning: "Nothing listens at their ports, for nothing goes out without TLS. The node orders and votes as before.",
    remedy: "Correct the files that tls_certificate and tls_key name: they are looked at each second, and the doors "
      + "open without a restart.", fields: ["reason"])
  /// What replaced the certificate is not used.
  public static let certificateRefused = EventKind(
    "tls.refused", .warn, "the new certificate or its key cannot be used",
    meaning: "What was shown before still is. The two files are looked at again when one of them changes.",
    remedy: "Correct the files that tls_certificate and tls_key name.", fields: ["reason"])
  /// The seal does not follow.
  public static let sealBehind = EventKind(
    "seal.behind", .warn, "the seal beside the keys cannot be written",
    meaning:
      "It tells how far the hospital's own stores were written; a copy of them that is put back later may pass for "
      + "the last one.", remedy: "Free the disk that holds the keys, or correct its permissions.", fields: ["reason"])
  /// Lines were lost.
  public static let logDropped = EventKind(
    "log.dropped", .warn, "log lines were dropped",
    meaning: "The program that reads the log was too slow, or its disk is full.",
    remedy: "Free the disk, or read faster; the node itself goes on.", fields: ["count"])
  /// A record was stored and anchored.
  public static let recordSealed = EventKind(
    "record.sealed", .debug, "records were sealed, stored and anchored",
    meaning: "Their ciphertext is in the vault, their hash-locks are on the ledger.", fields: ["count", "bytes"])
  /// A key was released.
  public static let keyReleased = EventKind(
    "custody.released", .audit, "a record's key was released",
    meaning: "A granted request stands in the ledger; the key was sealed to it.", fields: ["request", "hospital"])
  /// A release was refused.
  public static let releaseRefused = EventKind(
    "custody.refused", .info, "a release was refused", meaning: "The ledger holds no open grant for it.",
    fields: ["reason", "hospital"])
  /// The members changed.
  public static let configured = EventKind(
    "members.changed", .audit, "another configuration of members is in force",
    meaning: "A change that a quorum's registrars approved has begun; views are counted from 0 again.",
    remedy: "Compare with consilium member list, and tell those who verify the ledger from outside.",
    fields: ["configuration", "members", "votes"])
  /// A snapshot was made.
  public static let snapshotMade = EventKind(
    "snapshot.made", .info, "a snapshot of the ledger was made",
    meaning: "A member that joins, or was away for long, can go on from it once f + 1 members made the same.",
    fields: ["height", "chunks"])
  /// A snapshot became the ledger.
  public static let snapshotAdopted = EventKind(
    "snapshot.adopted", .audit, "the ledger goes on from a snapshot of other members",
    meaning: "The node was far behind; f + 1 members vouched for the snapshot. What is below comes in the background.",
    fields: ["height", "log_size", "chunks"])
  /// The history is whole.
  public static let historyWhole = EventKind(
    "history.whole", .info, "the ledger is here from the genesis on",
    meaning: "What lay below the snapshot that it began with came from other members, each entry checked.")
  /// A snapshot failed.
  public static let snapshotFailed = EventKind(
    "snapshot.failed", .error, "a snapshot could not be made, read or gone on from",
    meaning: "The ledger is as it was.", remedy: "Free the disk; look at what the reason names.", fields: ["reason"])
  /// A part of the history is not what was written.
  public static let storeRotten = EventKind(
    "store.rotten", .error, "a part of the stored history is damaged",
    meaning: "A block, a decision or an execution does not hash to what was signed. It is not given to anybody, and is "
      + "fetched from the other members again.",
    remedy: "Look at the disk (smartctl, dmesg). If it repeats, move this member to another: consilium member propose.",
    fields: ["height", "reason"])
  /// What is stored was compared.
  public static let storeChecked = EventKind(
    "store.checked", .info, "what is stored was read through",
    meaning: "Each row is what was written, none is missing, and the history hashes to the log.",
    fields: ["rows", "heights", "milliseconds"])
  /// A snapshot is being fetched.
  public static let transferBegan = EventKind(
    "snapshot.fetching", .info, "a snapshot of the ledger is being fetched",
    meaning: "The node is far behind; f + 1 members vouch for the snapshot.",
    remedy: "Nothing; consilium status tells how much is left.", fields: ["height", "chunks"])
  /// A peer sent a wrong part of a snapshot.
  public static let transferRefused = EventKind(
    "snapshot.refused", .warn, "a member sent a part of a snapshot that is not what f + 1 members vouch for",
    meaning: "The part is asked for elsewhere.", remedy: "Tell that member: its disk or its software is damaged.",
    fields: ["member"])
  /// The node does not vote.
  public static let observing = EventKind(
    "node.observing", .warn, "the node follows the ledger and does not vote",
    meaning: "Its key is no member's: the hospital has not joined yet, has left, or goes on under a new key soon.",
    remedy: "If it should vote, have its member.json approved (consilium member propose).", fields: ["key"])
  /// A custody key is in use.
  public static let custodyReady = EventKind(
    "custody.ready", .audit, "the consortium's custody key is in use",
    meaning:
      "Keys of records written from now on open only with the shares of a number of custodians (threshold), after a "
      + "granted request.",
    fields: ["generation", "epoch", "threshold", "custodians", "culprits"])
  /// A custody key is out of use.
  public static let custodyRetired = EventKind(
    "custody.retired", .info, "a custody key is out of use: no live record is sealed to it",
    meaning: "The consortium went over to another one. Each hospital destroys its share of the old key and signs that.",
    remedy: "Nothing. consilium custody show says who has signed.", fields: ["generation"])
  /// Records cannot be sealed to the new custody key.
  public static let custodyLeft = EventKind(
    "custody.left", .warn, "records of this hospital cannot be sealed to the new custody key",
    meaning: "Their keys do not open with this hospital's secret, for instance because it goes on under new keys. The "
      + "old custody key stays in use for them.",
    remedy: "Replace and remove no member before you have looked at consilium custody show: shares of the old key are "
      + "dealt to nobody again, and with fewer than it needs these records open for no other hospital. Patients still "
      + "open them.", fields: ["count", "reason"])
  /// A custodian's secrets cannot be written.
  public static let custodyUnkept = EventKind(
    "custody.unkept", .warn, "this hospital's secrets of custody cannot be written",
    meaning: "It registers no key for new shares until they can be.",
    remedy: "See to the disk and the folder of the member's key file; what is lost is dealt again with the next epoch.",
    fields: ["reason"])
  /// The share of a custodian cannot be read.
  public static let custodyLost = EventKind(
    "custody.lost", .warn, "this hospital's share of the custody key cannot be read",
    meaning: "The ledger names it as a custodian, and the secrets beside its key file (node.key.custody) are gone, or "
      + "older than its share. It helps to open no record. Where too few others can, none is opened.",
    remedy: "Bring the file back if you have it, and start the node again. Else have the shares dealt again: consilium "
      + "custody refresh. consilium custody show says where that stands.", fields: ["epoch", "generation"])
  /// A record was opened while nothing was ordered.
  public static let openedInPartition = EventKind(
    "access.opened_in_partition", .audit, "own records were opened in an emergency, because nothing is ordered",
    meaning: "A practitioner broke the glass and too few members were connected to order it. A durable block of this "
      + "hospital's lane says so; the patient's history shows it as soon as members are connected again.",
    remedy: "See consilium peers; the privacy officer reviews it like every broken glass.",
    fields: ["request", "records"])
  /// The vault could not write.
  public static let vaultFailed = EventKind(
    "vault.failed", .error, "the vault could not store, read or erase a record",
    meaning: "Its disk is full or fails, or its object store is out of reach or refuses; records are refused until "
      + "that is put right, none is lost; reading goes on from the other vaults.",
    remedy: "As the reason says: free the disk, or try the store with consilium vault check.", fields: ["reason"])
  /// The vault was mended.
  public static let vaultRepaired = EventKind(
    "vault.repaired", .info, "the vault was brought in line with the ledger",
    meaning: "Copies that were missing or rotten came from other vaults; what was erased or never anchored is gone.",
    fields: ["fetched", "erased", "missing", "mended"])
  /// Keys of the vault's records are gone.
  public static let vaultKeysLost = EventKind(
    "vault.keys-lost", .warn, "keys of records in this vault are gone",
    meaning:
      "The file keys in the vault's folder is gone, or older than data.mdb. Records under the keys that it lacks "
      + "cannot be read here; copies of them are fetched from other vaults.",
    remedy: "See to the disk. vault.repaired says when the copies are back.", fields: ["count"])
  /// The EHR's store is not as it was.
  public static let fhirRefused = EventKind(
    "fhir.refused", .error, "the FHIR interface is refused; the ledger goes on",
    meaning: "What the EHR wrote here, or who read it, is gone, older than what was acknowledged, or damaged. "
      + "Clients are answered 503 with the reason, and never that there is nothing. Nothing is stored.",
    remedy: "Stop the node, bring the folder that the reason names back, and start again. To go on without what is "
      + "lost: consilium fhir accept-loss.",
    fields: ["reason"])
  /// The EHR's store is empty, and perhaps should not be.
  public static let fhirEmpty = EventKind(
    "fhir.empty", .warn, "the FHIR store is empty, and the ledger has records of this hospital's own system",
    meaning: "The EHR wrote them through this interface, and then its store is gone; or they were all given by command "
      + "or as documents. The ledger does not tell these apart, so the interface serves.",
    remedy: "If the EHR wrote here before: stop the node, bring the folder fhir back, and start again. Else nothing; "
      + "it is not said any more once the EHR has written.")
  /// A store of this hospital alone is remembered from now on.
  public static let storeMarked = EventKind(
    "store.marked", .warn, "from now on this node remembers how far a store of its own was written",
    meaning: "A program of before there were marks wrote the store. Nobody can tell whether anything was lost before.",
    remedy: "Nothing after an update. Else see that the store is the right one.", fields: ["store", "rows"])
  /// A store has no room.
  public static let storeFull = EventKind(
    "store.full", .warn, "a store takes nothing for want of room",
    meaning: "The disk, or the store's map, is full. What is sent to it is refused, and nothing that was acknowledged "
      + "is lost. Where it is the EHR's, the readings' or the vault, the ledger goes on; where it is the ledger's, "
      + "node.failed follows, and the node ends.",
    remedy: "Free disk space now; where it is the map that is full, raise map_size_max_gib and start the node again. "
      + "consilium status shows it until a write succeeds.",
    fields: ["store", "reason"])
  /// A store has room again.
  public static let storeRoom = EventKind(
    "store.room", .info, "a store has room again",
    meaning: "A write succeeded after some were refused for want of room.", fields: ["store"])
  /// A member's records take all their room.
  public static let vaultShareFull = EventKind(
    "vault.share-full", .warn, "this vault takes no more copies of a member's records for now",
    meaning: "They take the share that vault_share_gib gives each member, or too many of them wait for their anchors. "
      + "That hospital asks other vaults; where too few take copies, it cannot anchor records.",
    remedy: "Raise vault_share_gib, or ask that hospital what it writes; consilium peers shows what each takes here.",
    fields: ["member", "kept_bytes", "waiting_bytes"])
  /// A member offered records that are not its own.
  public static let vaultForeign = EventKind(
    "vault.foreign", .warn, "a member offered records that it did not make, and this vault did not take them",
    meaning: "What it offered does not make their identifiers with that hospital: it would have kept the hospital that "
      + "made them from storing copies here. A hospital that just goes over to the second rules may do it once.",
    remedy: "Tell that hospital where it goes on: its node does not run this program as it is.", fields: ["member"])
  /// Another vault did not give what it should keep.
  public static let vaultUnproven = EventKind(
    "vault.unproven", .warn, "a member's vault did not prove that it has records that it should keep",
    meaning: "Twice in a row it had no proof, or 16 times in a row it did not answer though it was connected. It lost "
      + "them and has not fetched them again, or it never kept them; others have copies. A vault that was entrusted "
      + "with its records by a change of members is asked only a day of the ledger's time later.",
    remedy: "Tell that hospital; consilium peers shows how often each vault proved what it keeps, and the ledger who "
      + "reported it: consilium vault reports.",
    fields: ["member", "record"])
  /// Raft tolerates crashes only.
  public static let crashFaultOnly = EventKind(
    "consensus.crash-faults-only", .warn, "this engine tolerates crashes, not lies",
    meaning: "The consortium chose Raft: members trust one another's software.",
    remedy: "For hospitals under different administrations choose pbft in the genesis.")
}
