/// Sorted sets: changes and single members.
extension RedisTypedCommand<Int> {
  /// Adds a member or changes its score; returns how many are new, or changed with `.countingChanges`.
  public static func zadd(
    _ key: String, _ member: some RedisArgumentConvertible, score: Double, options: RedisZAddOptions = []
  ) -> Self {
    zadd(key, [RedisScored(member.redisArgument, score: score)], options: options)
  }

  /// Adds members, at least one, or changes their scores; returns how many are new, or changed with `.countingChanges`.
  public static func zadd<Member: RedisArgumentConvertible>(
    _ key: String, _ members: [RedisScored<Member>], options: RedisZAddOptions = []
  ) -> Self {
    var command = RedisCommand("ZADD", key)
    command.append(options.arguments)
    for member in members { command.append([member.score.redisArgument, member.member.redisArgument]) }
    return Self(command)
  }

  /// Removes members, at least one; returns how many existed.
  public static func zrem<Member: RedisArgumentConvertible>(_ key: String, _ members: Member...) -> Self { zrem(key, members) }

  /// Removes members, at least one; returns how many existed.
  public static func zrem(_ key: String, _ members: some Sequence<some RedisArgumentConvertible>) -> Self {
    Self(RedisCommand("ZREM", key, list: members))
  }

  /// Removes the members with scores within bounds; returns how many existed.
  public static func zremrangebyscore(_ key: String, min: RedisScoreBound, max: RedisScoreBound) -> Self {
    Self(RedisCommand("ZREMRANGEBYSCORE", key, min.argument, max.argument))
  }

  /// The number of members; 0 for a missing key.
  public static func zcard(_ key: String) -> Self { Self(RedisCommand("ZCARD", key).idempotent) }

  /// The number of members with scores within bounds.
  public static func zcount(_ key: String, min: RedisScoreBound, max: RedisScoreBound) -> Self {
    Self(RedisCommand("ZCOUNT", key, min.argument, max.argument).idempotent)
  }
}

extension RedisTypedCommand<Int?> {
  /// The rank of a member, 0 for the lowest; `nil` for a value that is no member.
  public static func zrank(_ key: String, _ member: some RedisArgumentConvertible) -> Self {
    Self(RedisCommand("ZRANK", key, member).idempotent)
  }
}

extension RedisTypedCommand<Double?> {
  /// The score of a member; `nil` for a value that is no member.
  public static func zscore(_ key: String, _ member: some RedisArgumentConvertible) -> Self {
    Self(RedisCommand("ZSCORE", key, member).idempotent)
  }
}

extension RedisTypedCommand<Double> {
  /// Adds to the score of a member, which is 0 for a new one; returns the sum.
  public static func zincrby(_ key: String, _ member: some RedisArgumentConvertible, _ increment: Double) -> Self {
    Self(RedisCommand("ZINCRBY", key, increment, member))
  }
}

/// A member of a sorted set with its score.
public struct RedisScored<Member: Sendable>: Sendable {
  /// The member.
  public var member: Member
  /// Its score.
  public var score: Double

  /// Makes a member with a score.
  ///
  /// - Parameters:
  ///   - member: The member.
  ///   - score: The member's score.
  public init(_ member: Member, score: Double) {
    self.member = member
    self.score = score
  }
}

extension RedisScored: Equatable where Member: Equatable {}
extension RedisScored: Hashable where Member: Hashable {}

/// The options of ZADD; the server refuses contradictory ones.
public struct RedisZAddOptions: OptionSet, Sendable, Hashable {
  /// One bit per option.
  public let rawValue: Int

  /// Creates a set of options of its bits.
  public init(rawValue: Int) { self.rawValue = rawValue }

  /// Only adds members: `NX`.
  public static let onlyNew = RedisZAddOptions(rawValue: 1)
  /// Only changes members: `XX`.
  public static let onlyExisting = RedisZAddOptions(rawValue: 2)
  /// Only raises the scores of members: `GT`.
  ///
  /// Redis 6.2 or later.
  public static let onlyGreater = RedisZAddOptions(rawValue: 4)
  /// Only lowers the scores of members: `LT`.
  ///
  /// Redis 6.2 or later.
  public static let onlyLess = RedisZAddOptions(rawValue: 8)
  /// Counts changed members too: `CH`.
  public static let countingChanges = RedisZAddOptions(rawValue: 16)

  private static let words: [(option: RedisZAddOptions, word: String)] = [
    (.onlyNew, "NX"), (.onlyExisting, "XX"), (.onlyGreater, "GT"), (.onlyLess, "LT"), (.countingChanges, "CH"),
  ]

  fileprivate var arguments: [RedisArgument] {
    isEmpty ? [] : Self.words.filter { contains($0.option) }.map { RedisArgument($0.word) }
  }
}

/// A bound of a range of scores: a number, which is inclusive, or one of the functions and constants.
public struct RedisScoreBound: Sendable, Hashable, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral {
  let argument: RedisArgument

  private init(_ argument: RedisArgument) { self.argument = argument }

  /// An inclusive bound.
  public static func including(_ score: Double) -> RedisScoreBound { RedisScoreBound(score.redisArgument) }

  /// An exclusive bound.
  public static func excluding(_ score: Double) -> RedisScoreBound { RedisScoreBound(RedisArgument("(\(score)")) }

  /// The bound below all scores.
  public static let lowest = RedisScoreBound("-inf")

  /// The bound above all scores.
  public static let highest = RedisScoreBound("+inf")

  /// Creates an inclusive bound.
  public init(floatLiteral value: Double) { self = .including(value) }

  /// Creates an inclusive bound.
  public init(integerLiteral value: Int64) { argument = RedisArgument(value) }
}
