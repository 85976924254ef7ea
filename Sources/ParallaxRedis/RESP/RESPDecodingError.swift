/// Why bytes are not an acceptable reply.
///
/// The connection they came from is of no further use.
enum RESPDecodingError: Error, Hashable {
  case unknownType(UInt8)
  case invalidLength
  case invalidNumber
  case invalidBoolean
  case invalidTerminator
  case invalidVerbatimString
  case misplacedPush
  case lineTooLong
  case stringTooLong
  case tooManyElements
  case tooDeep
  case replyTooLong
}

/// What a decoder accepts at most, so that a peer can neither overflow the stack nor fill the memory.
struct RESPLimits: Sendable {
  /// Aggregates inside one another.
  var depth = 32
  /// Bytes of a status, error, number or length line.
  var lineLength = 64 << 10
  /// Bytes of a string.
  var stringLength = 512 << 20
  /// Elements of all aggregates of one reply together, a map's keys and values counted each.
  ///
  /// An element takes some twenty times its bytes on the wire when it is an array of one element, so bytes alone are too wide a bound.
  var elements = 1 << 24
  /// Bytes of one reply on the wire.
  var replyLength = 1 << 30

  /// The longest string that a buffer can hold, whatever is asked for, with what was received together with it.
  static let longestString = 2 << 30
}
