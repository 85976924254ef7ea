/// The fault of bytes that are no acceptable reply.
///
/// Their connection must be closed.
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

/// The limits of a decoder, so that a peer can neither overflow the stack nor fill the memory.
struct RESPLimits: Sendable {
  /// Nested aggregates.
  var depth = 32
  /// The bytes of a status, error, number or length line.
  var lineLength = 64 << 10
  /// The bytes of a string.
  var stringLength = 512 << 20
  /// The elements of all aggregates of one reply together; a map's keys and values count separately.
  ///
  /// An array of one element needs some twenty times its bytes on the wire, so a limit of bytes alone does not suffice.
  var elements = 1 << 24
  /// The bytes of one reply on the wire.
  var replyLength = 1 << 30

  /// The longest string that a buffer can hold together with the bytes around it; a greater limit has no effect.
  static let longestString = 2 << 30
}
