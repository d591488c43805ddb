#if CANARIES
  internal import Synchronization
#endif

/// A bug that can be planted to see whether the swarm finds it: mostly the absence of a rule that closes an attack.
///
/// Only a build with the condition `CANARIES` (`Scripts/canaries`) contains them; in every other one `planted` is the
/// constant false, and the compiler takes the branch out.
public enum Canary: String, CaseIterable, Sendable {
  // Ordering (LEDGER §1, §3).
  case quorumOffByOne, outOfOrder, commitBeforePredecessor, certificateNotDurable, proposalNotDurable, viewNotDurable
  case newViewNotDurable, voteAfterLeaving, sentBeforeDurable, statusUnanswered, oldTimeRefused, proposalDropped
  case forgottenReproposal, runawayView, secondProposalTaken, newViewUnjudged, newViewFromFew
  case omissionTolerated, votesForAnyDigest, windowUnbounded, newViewBeyondWindow, cutUnbounded, decisionsNotAsked
  case unsignedVotes, viewChangeForgets
  case timeRunsAhead, idleCutTaken, aloneLeftAlone, aloneUnsigned, slowTolerated, floodServedFirst
  // Configurations (LEDGER §8).
  case membershipReplayed, membershipUnapproved, copyUnnoticed
  // Snapshots (LEDGER §7).
  case chunksUnchecked, snapshotUnvouched, snapshotForgetsIdentifiers, snapshotBehind, offerNumberTrusted
  case historyUnsigned, historyOutsideLog
  // Ordering with Raft (LEDGER §4).
  case raftVotesTwice, raftVoteNotDurable, raftStaleLogLeads, raftEntryNotDurable, raftOldTermCommits
  case raftBlocksUnheld, raftTailKept, raftLeadsUnheld, raftTimeRunsAhead
  // Lanes (LEDGER §2).
  case blockNotDurable, laneRestartsBehind, ancestorNotPulled, unsignedBlocks, frozenLaneGrows, forkUnnoticed
  // Lanes against those who write them wrongly (LEDGER §11).
  case positionsUnchecked, detachedKept, wishesByPosition, emptyStoreUnheard, unheardForgotten
  // Work that others make (LEDGER §11.10, §11.11).
  case repeatsChecked, answersUnasked, farVotesTaken, everybodyAnswers, arrivalsKept
  // Execution and checkpoints (LEDGER §5, §6).
  case staleReader, executedTwice, expiredExecuted, tooFarExecuted, identifiersForgotten, tilesForgotten
  case cosignaturesUnchecked
  // Gossip (OVERLAY §2).
  case wantsUnanswered, seenForgotten, meshUnbounded, meshThin, retransmittedForEver, backoffIgnored
  // Sessions (OVERLAY §1).
  case frameReplayed, strangerAdmitted, identityUnproven, pingsUncounted
  // Access (RECORDS §4, §5).
  case revokedConsentCounts, consentNeverEnds, denialLoses, usesUncounted, purposeIgnored, scopeIgnored
  case proxyOutlivesPower, proxyUnbounded, teamIgnored, recoveryAtOnce, retentionIgnored
  case foreignOpened, openingExpires, sessionNeverEnds, possessionUnproven
  case grantTakesAway, pastConsentsCount, consentsCountedTogether, deniedUnlimited, lentKeyOpens, openingUntimely
  case guardianShutOut, guardianAtOnce, youngBreakGlass, emergencyUnlimited, erasureUndelayed, strangerErases
  case authorUntold, rulesUnapproved
  case erasedRecordRead, breakGlassUnlimited, releaseWithoutGrant, releaseNeverEnds
  case releaseToSuspended
  // Releases (RECORDS §5).
  case releaseUnjudged, staleRelease, othersShareTaken, settledAsked, wrongShareTaken
  case answerOfOthers, answerTwice, questionsCounted, sharesRemade, keyQuestionsUnbounded
  // Vaults (RECORDS §3, §4).
  case copiesTooFew, refusalCounts, anchoredOverwritten, erasedServed, erasedKept, erasedBroughtBack, rotUnread
  case identifierCaptured
  // Custody (RECORDS §5).
  case custodyFromFew, capsuleUnjudged, complaintUnjudged, otherShareDealt, transportKeyKept
  case resealedByOthers, retiredTooEarly, oldDealingsForgotten, absentKeepTheirKey, resealedAgain
  case lastShareTaken, recordsLeftBehind

  /// Whether it is planted in Raft, so that only runs with that engine can find it.
  public var isInRaft: Bool { self.rawValue.hasPrefix("raft") }

  /// Whether this build contains canaries.
  public static var isCompiledIn: Bool {
    #if CANARIES
      true
    #else
      false
    #endif
  }

  #if CANARIES
    private static let number = Atomic<Int>(-1)
    /// The planted one; nil for none.
    public static var current: Canary? {
      get {
        let number = Self.number.load(ordering: .relaxed)
        return number < 0 ? nil : Self.allCases[number]
      }
      set { Self.number.store(newValue.flatMap { Self.allCases.firstIndex(of: $0) } ?? -1, ordering: .relaxed) }
    }
    static let numbers = Dictionary(uniqueKeysWithValues: Self.allCases.enumerated().map { ($1, $0) })
    /// Whether this is the planted one.
    @inline(never) public var isPlanted: Bool {
      Self.number.load(ordering: .relaxed) == Self.numbers[self]
    }
  #endif
}

/// Whether a bug is planted here.
@inlinable @inline(__always)
public func planted(_ canary: Canary) -> Bool {
  #if CANARIES
    canary.isPlanted
  #else
    false
  #endif
}
