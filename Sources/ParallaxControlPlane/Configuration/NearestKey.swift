/// Finds the key that somebody probably meant.
enum NearestKey {
  /// The candidate with the fewest typing errors from `key`, unless even that one is a different word.
  static func of(_ key: String, among candidates: some Sequence<String>) -> String? {
    // Far longer keys are no typing errors, and comparing them would take time that a sender chooses.
    guard key.utf8.count <= 128 else { return nil }
    let word = Array(key.lowercased().utf8)
    let nearest =
      candidates
      .map { (candidate: $0, distance: distance(word, Array($0.lowercased().utf8))) }
      .min { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) }
    guard let nearest, nearest.distance <= max(2, word.count / 3), nearest.distance < word.count else { return nil }
    return nearest.candidate
  }

  /// How many insertions, deletions, replacements and swaps of peers lie between two words.
  static func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...second.count)
    for row in 0..<first.count {
      var current = [row + 1]
      for column in 0..<second.count {
        let isSame = first[row] == second[column]
        var best = min(last[column] + (isSame ? 0 : 1), last[column + 1] + 1, current[column] + 1)
        if row > 0, column > 0, first[row] == second[column - 1], first[row - 1] == second[column] {
          best = min(best, beforeLast[column - 1] + 1)
        }
        current.append(best)
      }
      beforeLast = last
      last = current
    }
    return last[second.count]
  }
}
