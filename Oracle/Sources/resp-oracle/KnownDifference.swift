/// Where the two decoders are meant to differ; `Oracle/README.md` says why for each.
enum KnownDifference: String, CaseIterable {
  case numberSpelling = "number spelling"
  case earlyRefusal = "early refusal"
  case stringTerminator = "string terminator"
  case lineBreakInLine = "line break within a line"
  case limit
  case depth
  case unsupportedType = "type that hiredis does not know"
  case nullForm = "null form"
  case nestedPush = "nested push"
  case booleanSpelling = "boolean spelling"
  case doubleSpelling = "double spelling"
  case bigNumberSpelling = "big number spelling"
}

/// A known difference that two decoders have come upon.
struct Explanation {
  let difference: KnownDifference
  /// The input without the difference.
  var rewritten: [UInt8]?
}
