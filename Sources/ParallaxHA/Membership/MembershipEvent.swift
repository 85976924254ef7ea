/// A change among the members of a cluster, including the node itself.
///
/// Events only make reactions prompt: ``MembershipView`` shows the same state. A subscriber that falls behind by more than its buffer loses
/// the oldest events.
public enum MembershipEvent: Sendable, Hashable {
  /// A member appeared.
  case joined(MemberRecord)

  /// A member's field is gone: the member left, or was removed after a long silence.
  case left(MemberRecord)

  /// A member has a new incarnation: the work of its `former` session must be recovered. Also sent for this node when it replaced the field
  /// of a former session.
  case restarted(MemberRecord, former: NodeSession)

  /// A member was silent for the detection window.
  case becameUnhealthy(MemberRecord)

  /// A witness has recorded the end of a member's process: the member is lost at once, without a silence. See ``MemberRecord/end``.
  case ended(MemberRecord)

  /// A silent member has written again.
  case becameHealthy(MemberRecord)

  /// This node has not written for the detection window: other nodes take over its work.
  case cutOff

  /// This node has written again after it was cut off.
  case reconnected

  /// Another process with the same node id took this node's field; the record is that process's. Final: this process writes no more, and
  /// counts as cut off.
  case twin(MemberRecord)
}
