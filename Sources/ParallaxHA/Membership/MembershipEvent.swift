/// What a node noticed about the members of its cluster, itself included.
///
/// Events hurry what a look at ``MembershipView`` would find anyway; a subscriber that falls behind by more than its buffer loses the
/// oldest.
public enum MembershipEvent: Sendable, Hashable {
  /// A member that was not known is there.
  case joined(MemberRecord)

  /// A member's field is gone: it left on purpose, or was removed after a long silence.
  case left(MemberRecord)

  /// A member has another incarnation: what its `former` life owned is to be recovered. Also of this node itself, when it took over its
  /// own field from a former life.
  case restarted(MemberRecord, former: NodeSession)

  /// A member gave no sign of life for the detection window.
  case becameUnhealthy(MemberRecord)

  /// A member that had been silent gave a sign of life.
  case becameHealthy(MemberRecord)

  /// This node could not write for the detection window: its work is being given away.
  case cutOff

  /// This node, which was cut off, could write again.
  case reconnected

  /// This node's field was taken by another process under the same node id, whose record this is. Final for this process: it writes no
  /// more, and counts as cut off.
  case twin(MemberRecord)
}
