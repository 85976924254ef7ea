/// What no known difference explains.
struct Disagreement: Error {
  let message: String
}

/// Holds the decoder against hiredis for one input.
struct Comparison {
  let limits: RESPLimits

  /// Compares byte by byte, so that the state after every prefix counts, then each decoder with itself in larger chunks.
  ///
  /// An input on which the decoders are meant to differ is compared up to there; then on with the bytes there put right, where that is
  /// possible.
  ///
  /// - Returns: The known differences that were met.
  func run(_ original: [UInt8], using random: inout SeededRandom) throws -> [KnownDifference] {
    var input = original
    var known: [KnownDifference] = []
    while let explanation = try compareByBytes(input) {
      known.append(explanation.difference)
      guard let next = explanation.rewritten else { break }
      if explanation.difference == .numberSpelling, outcome(of: input, chunk: { 1 }) != outcome(of: next, chunk: { 1 }) {
        throw Disagreement(message: "a number means something else in another spelling")
      }
      if known.count > original.count + 8 { throw Disagreement(message: "there is no end of differences") }
      input = next
    }
    try compareChunks(original, using: &random)
    return known
  }

  // MARK: Bytes

  private func compareByBytes(_ input: [UInt8]) throws -> Explanation? {
    var ours = ParallaxReader(limits: limits)
    let theirs = Hiredis()
    for index in input.indices {
      let start = index - theirs.pending
      let depth = theirs.depth
      let replies = theirs.replies
      ours.feed(input[index...index])
      theirs.feed(input[index...index])
      if ours.isRefused == theirs.isRefused, ours.replies == theirs.replies {
        if theirs.replies > replies, ours.transcript != theirs.transcript {
          throw disagreement("other values", at: index, ours: ours, theirs: theirs)
        }
        if ours.isRefused { return nil }
        continue
      }
      let rules = DifferenceRules(limits: limits, input: input, token: Token(bytes: input[start...index], depth: depth))
      guard let explanation = rules.explanation(ours: ours, theirs: theirs) else {
        throw disagreement("no known difference", at: index, ours: ours, theirs: theirs)
      }
      return explanation
    }
    return nil
  }

  private func disagreement(_ what: String, at index: Int, ours: ParallaxReader, theirs: Hiredis) -> Disagreement {
    Disagreement(
      message: """
        \(what) at byte \(index)
          ours:   \(ours.replies) replies \(quoted(ours.transcript)), refused: \(ours.error.map { "\($0)" } ?? "nothing")
          theirs: \(theirs.replies) replies \(quoted(theirs.transcript)), refused: \(theirs.error)
        """)
  }

  // MARK: Chunks

  private func compareChunks(_ input: [UInt8], using random: inout SeededRandom) throws {
    let ours = outcome(of: input) { 1 }
    let theirs = outcome(of: input, reader: Hiredis()) { 1 }
    var chunks = SeededRandom(seed: random.next())
    for (name, chunk) in [("whole", { input.count }), ("in chunks", { chunks.element(of: [1, 2, 3, 5, 8, 13, 64, 700]) })] {
      if outcome(of: input, chunk: chunk) != ours {
        throw Disagreement(message: "the decoder sees something else \(name) than byte by byte")
      }
      if outcome(of: input, reader: Hiredis(), chunk: chunk) != theirs {
        throw Disagreement(message: "hiredis sees something else \(name) than byte by byte")
      }
    }
  }

  private func outcome(of input: [UInt8], chunk: () -> Int) -> [UInt8] {
    outcome(of: input, reader: ParallaxReader(limits: limits), chunk: chunk)
  }

  private func outcome(of input: [UInt8], reader: some Reader, chunk: () -> Int) -> [UInt8] {
    var reader = reader
    var start = 0
    while start < input.count {
      let end = min(input.count, start + chunk())
      reader.feed(input[start..<end])
      start = end
    }
    return reader.outcome
  }
}

/// Bytes as they would stand in a string literal, cut where they get long.
func quoted(_ bytes: some Collection<UInt8>) -> String {
  let text = bytes.prefix(2_000).map { byte in
    switch byte {
    case 0x0D: "\\r"
    case 0x0A: "\\n"
    case 0x5C: "\\\\"
    case 0x20...0x7E: String(Unicode.Scalar(byte))
    default: "\\u{\(String(byte, radix: 16))}"
    }
  }
  return "\"\(text.joined())\"\(bytes.count > 2_000 ? " …" : "")"
}
