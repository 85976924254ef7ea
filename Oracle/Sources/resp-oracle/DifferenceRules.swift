/// Distinguishes known differences from disagreements, by the token at whose last byte the decoders diverge.
struct DifferenceRules {
  let limits: RESPLimits
  let input: [UInt8]
  let token: Token

  /// The known difference that explains the divergence, or nil.
  ///
  /// The bytes that complete a late refusal are fed to the waiting decoder; hiredis cannot be used afterward.
  func explanation(ours: ParallaxReader, theirs: Hiredis) -> Explanation? {
    switch (ours.error, theirs.isRefused) {
    case (nil, true): leniency(ours: ours)
    case (let error?, false): strictness(error, theirs: theirs)
    default: nil
    }
  }

  /// The known reason for hiredis to refuse input that the decoder accepts, or nil.
  private func leniency(ours: ParallaxReader) -> Explanation? {
    if token.bytes.count == 1 {
      if Hiredis.hasVersion3 ? "!|".contains(token.type) : "_#,(!=%~>|".contains(token.type) { return .init(difference: .unsupportedType) }
      // Version 0.14 refuses an array at its first byte, the decoder at the end of its length, except for the null array.
      guard token.type == "*", token.depth == limits.depth else { return nil }
      var ours = ours
      ours.feed(Array("0\r\n".utf8)[...])
      return ours.error == .tooDeep ? .init(difference: .depth) : nil
    }
    guard token.endsWithLineEnd else { return nil }
    switch token.type {
    case ",":
      // Numbers beyond the range of a double, infinity and NaN with a plus sign, and more digits than fit the buffer of hiredis.
      let isBeyond = Double(String(decoding: token.line, as: UTF8.self))?.isInfinite == true && !token.isLine("inf", "-inf")
      return isBeyond || token.isLine("+nan") || token.line.count >= 326 ? .init(difference: .doubleSpelling) : nil
    case "(":
      return token.line.first == 0x2B ? .init(difference: .bigNumberSpelling) : nil
    default:
      guard let number = token.number, !token.isLine("\(number)") else { return nil }
      return .init(difference: .numberSpelling, rewritten: token.replacingLine(in: input, with: "\(number)"))
    }
  }

  /// The known reason for the decoder to refuse input that hiredis accepts or has not read to its end, or nil.
  private func strictness(_ error: RESPDecodingError, theirs: Hiredis) -> Explanation? {
    switch error {
    case .stringTooLong:
      return (token.number ?? 0) > limits.stringLength ? .init(difference: .limit) : nil
    case .tooManyElements:
      return theirs.announced > limits.elements ? .init(difference: .limit) : nil
    case .lineTooLong:
      return token.line.count > limits.lineLength ? .init(difference: .limit) : nil
    case .tooDeep:
      return token.depth >= limits.depth ? .init(difference: .depth) : nil
    case .misplacedPush:
      return token.type == ">" && token.depth > 0 ? .init(difference: .nestedPush) : nil
    case .invalidLength:
      return "%~>=".contains(token.type) && token.isLine("-1") ? .init(difference: .nullForm) : nil
    case .invalidBoolean:
      return token.isLine("T", "F", "\0") ? .init(difference: .booleanSpelling) : nil
    case .invalidTerminator, .invalidNumber:
      return token.hasWholeLine ? strictnessOfWhole(error) : strictnessOfPart(theirs: theirs)
    case .unknownType, .invalidVerbatimString, .replyTooLong:
      return nil
    }
  }

  private func strictnessOfWhole(_ error: RESPDecodingError) -> Explanation? {
    switch (token.type, error) {
    case ("$", .invalidTerminator), ("=", .invalidTerminator):
      guard !token.endsWithLineEnd, let length = token.number, token.bytes.count == token.line.count + Int(length) + 5 else { return nil }
      return .init(difference: .stringTerminator, rewritten: token.replacingTerminator(in: input))
    case ("+", .invalidTerminator), ("-", .invalidTerminator):
      guard !Hiredis.hasVersion3, token.line.contains(0x0D) || token.line.contains(0x0A) else { return nil }
      return .init(difference: .lineBreakInLine, rewritten: token.replacingLineBreaks(in: input))
    case (",", .invalidNumber), (",", .invalidTerminator):
      let isPlain = token.line.allSatisfy { "0123456789+-.eEinfa".utf8.contains($0) }
      return isPlain ? nil : .init(difference: .doubleSpelling)
    case ("(", .invalidNumber):
      return token.isLine("", "-") ? .init(difference: .bigNumberSpelling) : nil
    default:
      return nil
    }
  }

  /// The decoder refuses at the first invalid byte; hiredis must refuse at the end of the line.
  private func strictnessOfPart(theirs: Hiredis) -> Explanation? {
    if !Hiredis.hasVersion3, "+-".contains(token.type) {
      guard token.bytes.last == 0x0A else { return nil }
      return .init(difference: .lineBreakInLine, rewritten: token.replacingLineBreaks(in: input))
    }
    theirs.feed(Array("\r\n".utf8)[...])
    return theirs.isRefused ? .init(difference: .earlyRefusal) : nil
  }
}
