/// Finds the most likely correction of a misspelled key.
enum NearestKey {
  /// The candidate at the smallest edit distance from `key`; nil if even that one is a different word.
  static func of(_ key: String, among candidates: some Sequence<String>) -> String? {
    // A sender must not choose the time that a comparison takes; a key of this length is not a typing error.
    guard key.utf8.count <= 128 else { return nil }
    let word = Array(key.lowercased().utf8)
    let nearest =
      candidates
      .map { (candidate: $0, distance: distance(word, Array($0.lowercased().utf8))) }
      .min { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) }
    guard let nearest, nearest.distance <= max(2, word.count / 3), nearest.distance < word.count else { return nil }
    return nearest.candidate
  }

  /// The number of insertions, deletions, replacements and swaps of adjacent bytes between two words.
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
