/// A sentinel's announcement of a failover, as far as it concerns a client.
enum SentinelAnnouncement: Equatable {
  /// A replica has been chosen and is about to be promoted, within about a tenth of a second.
  ///
  /// The former master accepts writes until it is reconfigured, seconds later, and then discards them.
  case begins
  /// The failover was aborted.
  case aborted
  /// Another server is the master.
  case switched

  /// The channels of the announcements.
  static let channels = [
    "+failover-state-send-slaveof-noone", "-failover-abort-slave-timeout", "-failover-abort-no-good-slave", "-failover-abort-not-elected",
    "+promoted-slave", "+switch-master",
  ]

  /// Reads a message.
  ///
  /// - Parameters:
  ///   - channel: The channel.
  ///   - message: For `+switch-master` the name of the master and addresses; else `master name host port`, or
  ///     `slave name host port @ name-of-master host port`.
  ///   - masterName: The master of the client: announcements of others give `nil`.
  init?(channel: String, message: String, of masterName: String) {
    let words = message.split(separator: " ").map(String.init)
    let name: String? =
      if channel == "+switch-master" {
        words.first
      } else if let at = words.firstIndex(of: "@") {
        words.dropFirst(at + 1).first
      } else {
        words.first == "master" ? words.dropFirst().first : nil
      }
    guard name == masterName else { return nil }
    switch channel {
    case "+failover-state-send-slaveof-noone": self = .begins
    case "+promoted-slave", "+switch-master": self = .switched
    case let other where other.hasPrefix("-failover-abort"): self = .aborted
    default: return nil
    }
  }
}
