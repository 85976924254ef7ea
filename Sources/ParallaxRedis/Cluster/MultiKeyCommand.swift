/// A command over keys of several slots, divided into one command per slot with the same overall effect.
///
/// Only reads and removals of independent keys can be divided: DEL, UNLINK, EXISTS, TOUCH and MGET. The divided command is atomic per slot
/// only. A command that must be atomic as a whole, such as MSET, is sent undivided, and the server refuses it.
struct MultiKeyCommand {
  /// One command for each slot, in the order in which the slots first occur.
  let parts: [RedisCommand]
  /// The places of each part's keys in the command.
  private let places: [[Int]]
  private let keys: Int
  private let isRead: Bool

  /// Divides a command; `nil` if it cannot be divided, or all its keys are in one slot.
  init?(_ command: RedisCommand) {
    keys = command.arguments.count
    // Nearly all commands return here.
    guard keys > 1, command.name.utf8.count < 7 else { return nil }
    switch command.name {
    case "DEL", "UNLINK", "EXISTS", "TOUCH": isRead = false
    case "MGET": isRead = true
    default: return nil
    }
    var slots: [Int: Int] = [:]
    var places: [[Int]] = []
    for (place, key) in command.arguments.enumerated() {
      let part = slots[key.slot] ?? places.count
      if part == places.count {
        slots[key.slot] = part
        places.append([])
      }
      places[part].append(place)
    }
    guard places.count > 1 else { return nil }
    self.places = places
    parts = places.map { places in
      var part = command
      part.arguments = places.map { command.arguments[$0] }
      return part
    }
  }

  /// Combines the replies.
  ///
  /// - Parameter replies: The replies to the parts.
  /// - Returns: The sum of the counts, or the values in the order of the keys.
  /// - Throws: The first error, with ``RedisError/mayHaveExecuted`` set if another part was executed.
  func reply(_ replies: [Result<RESPValue, RedisError>]) throws(RedisError) -> RESPValue {
    let name = parts[0].name
    if let error = replies.lazy.compactMap({ if case .failure(let error) = $0 { error } else { nil } }).first {
      let isPartial = !isRead && replies.contains { if case .success = $0 { true } else { false } }
      throw RedisError(
        error.code, command: name,
        message: isPartial ? "\(error.message) The command was executed for keys of other slots." : error.message,
        serverMessage: error.serverMessage, mayHaveExecuted: error.mayHaveExecuted || isPartial, cause: error.cause)
    }
    let values = replies.compactMap { try? $0.get() }
    if !isRead { return .integer(try sum(values)) }
    var all = [RESPValue](repeating: .null, count: keys)
    for (value, places) in zip(values, places) {
      guard let elements = value.array, elements.count == places.count else {
        throw RedisError(.unexpectedReply, command: name, message: "The reply does not have one element per key.")
      }
      for (element, place) in zip(elements, places) { all[place] = element }
    }
    return .array(all)
  }

  private func sum(_ counts: [RESPValue]) throws(RedisError) -> Int64 {
    var sum: Int64 = 0
    for count in counts {
      guard let number = count.int, case (let next, false) = sum.addingReportingOverflow(Int64(number)) else {
        throw RedisError(.unexpectedReply, command: parts[0].name, message: "The replies are not counts.")
      }
      sum = next
    }
    return sum
  }
}
