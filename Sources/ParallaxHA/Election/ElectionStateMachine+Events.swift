#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// What goes into the machine and what comes out.
extension ElectionStateMachine {
  /// The readings of a node's two clocks.
  ///
  /// The wall clock serves people and the first term over a bootstrap record, nothing else.
  package struct Moment: Sendable {
    /// Since some origin, on a clock that goes on while the machine sleeps; never negative.
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
    /// Whether there is anything to lead for.
    case candidacy(Bool)
    /// Whether the node is fit to lead, or knows nobody fitter.
    case eligibility(Bool)
    /// Where the node is reached.
    case address(String?)
    /// The duties of the term that ended have ended too.
    case dutiesJoined
    /// The node is to give up leadership and not to campaign again.
    case resign
  }

  /// What became of a call.
  package enum Reply: Sendable {
    case read(ElectionSnapshot?)
    case written(ElectionVersion)
    case conflict(ElectionSnapshot?)
    /// What is stored cannot be decoded.
    case unreadable
    /// The outcome is unknown.
    case failed
  }

  package struct Call: Sendable {
    package enum Purpose: Sendable, Hashable {
      case read, bootstrap, acquire, renew, reassert, release
    }

    package var id: UInt64
    package var purpose: Purpose
    /// What to write; nil for a read.
    package var record: ElectionRecord?
    package var expecting: ElectionVersion?
    /// When it was decided, which is before it is sent.
    package var sentAt: Duration
  }

  package enum Action: Sendable {
    case send(Call)
    /// The node leads: duties may begin.
    case beginTerm(FencingToken)
    /// Duties are to be cancelled and joined; ``Event/dutiesJoined`` says that they were.
    case endTerm(FencingToken, TermEnd)
    case notice(ElectionNotice)
    /// ``Event/resign`` has been carried out as far as the store allowed.
    case resigned
  }
}
