#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The machine's events and actions.
extension ElectionStateMachine {
  /// The readings of a node's two clocks.
  ///
  /// The wall clock decides only the first term over a bootstrap record.
  package struct Moment: Sendable {
    /// The time since a fixed origin, on a clock that continues while the computer sleeps; never negative.
    package var instant: Duration
    package var wall: Date

    package init(instant: Duration, wall: Date) {
      self.instant = instant
      self.wall = wall
    }
  }

  package enum Event: Sendable {
    case start
    /// The time is past ``wakeUp``.
    case timer
    case reply(UInt64, Reply)
    case hint(ElectionSnapshot)
    /// Whether a body waits for a term.
    case candidacy(Bool)
    /// Whether the node may lead: it is fit to lead, or no other node is.
    case eligibility(Bool)
    /// The node's address.
    case address(String?)
    /// The duties of the ended term have ended.
    case dutiesJoined
    /// The node gives up leadership and does not campaign again.
    case resign
  }

  /// The outcome of a call.
  package enum Reply: Sendable {
    case read(ElectionSnapshot?)
    case written(ElectionVersion)
    case conflict(ElectionSnapshot?)
    /// The stored record cannot be decoded.
    case unreadable
    /// The store answered, but did not take the write, or not as durably as required; the outcome is unknown.
    case refused(reason: String)
    /// The outcome is unknown.
    case failed
  }

  package struct Call: Sendable {
    package enum Purpose: Sendable, Hashable {
      case read, bootstrap, acquire, renew, reassert, release
    }

    package var id: UInt64
    package var purpose: Purpose
    /// The record to write; nil for a read.
    package var record: ElectionRecord?
    package var expecting: ElectionVersion?
    /// The instant of the decision, before the call is sent.
    package var sentAt: Duration
  }

  package enum Action: Sendable {
    case send(Call)
    /// The node leads: duties may begin.
    case beginTerm(FencingToken)
    /// Duties are to be cancelled and joined; ``Event/dutiesJoined`` follows.
    case endTerm(FencingToken, TermEnd)
    case notice(ElectionNotice)
    /// ``Event/resign`` has been carried out as far as the store allowed.
    case resigned
  }
}
