/// A change among the members of a cluster, the node itself included.
///
/// Events only make reactions prompt: ``MembershipView`` shows the same. A subscriber that falls behind by more than its buffer loses the
/// oldest.
public enum MembershipEvent: Sendable, Hashable {
  /// A member appeared.
  case joined(MemberRecord)

  /// A member's field is gone: it left on purpose, or was removed after a long silence.
  case left(MemberRecord)

  /// A member has a new incarnation: what its `former` life owned is to be recovered. Also sent for this node, when it took over the field
  /// of a former life.
  case restarted(MemberRecord, former: NodeSession)

  /// A member gave no sign of life for the detection window.
  case becameUnhealthy(MemberRecord)

  /// A member that had been silent gave a sign of life.
  case becameHealthy(MemberRecord)

  /// This node could not write for the detection window: other nodes take over its work.
  case cutOff

  /// This node could write again after it was cut off.
  case reconnected

  /// Another process under the same node id took this node's field; the record is that process's. Final: this process writes no more, and
  /// counts as cut off.
  case twin(MemberRecord)
}
