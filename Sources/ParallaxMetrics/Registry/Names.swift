/// The rules for the names of metrics.
enum MetricName {
  static let counterSuffix = "_total"
  static let infoSuffix = "_info"

  /// Suffixes that distinguish the samples of one family in the formats; a family's own name must not end in one.
  private static let reservedSuffixes = ["_total", "_created", "_bucket", "_count", "_sum", "_info"]

  static func isValid(_ name: String) -> Bool {
    guard let first = name.utf8.first, !first.isDigit else { return false }
    return name.utf8.allSatisfy { $0.isWordByte || $0 == UInt8(ascii: ":") }
  }

  static func reservedSuffix(of name: String) -> String? {
    reservedSuffixes.first { name.hasSuffix($0) }
  }

  /// A valid base name for any label of a library: snake case, without reserved suffixes and those in `dropping`.
  static func sanitized(_ label: String, dropping suffixes: [String] = []) -> String {
    var name = snakeCase(label, keeping: [UInt8(ascii: ":")])
    if name.utf8.first?.isDigit ?? true { name = "_" + name }
    while let suffix = reservedSuffix(of: name) ?? suffixes.first(where: { name.hasSuffix($0) }), suffix.count < name.count {
      name.removeLast(suffix.count)
    }
    // The rest may be a suffix only, which is a valid name without its underscore.
    return reservedSuffix(of: name) == nil ? name : String(name.drop { $0 == "_" })
  }
}

/// The rules for the names of labels.
enum LabelName {
  static func isValid(_ name: String) -> Bool {
    guard let first = name.utf8.first, !first.isDigit, !name.hasPrefix("__") else { return false }
    return name.utf8.allSatisfy(\.isWordByte)
  }

  /// A valid label name for any dimension of a library; the labels of histograms and summaries are renamed.
  static func sanitized(_ dimension: String) -> String {
    let bare = snakeCase(dimension, keeping: []).drop { $0 == "_" }
    guard let first = bare.utf8.first else { return "label" }
    if first.isDigit { return "_" + bare }
    return bare == "le" || bare == "quantile" ? "label_" + bare : String(bare)
  }
}

/// Converts to snake case: lower case with `_` at word borders, and `_` for every byte that neither a word nor `keeping` allows.
///
/// A name in snake case is unchanged.
private func snakeCase(_ text: String, keeping: [UInt8]) -> String {
  var result: [UInt8] = []
  var previous: UInt8 = 0
  for byte in text.utf8 {
    if byte.isUpper {
      if previous.isLower { result.append(UInt8(ascii: "_")) }
      result.append(byte + 32)
    } else {
      result.append(byte.isWordByte || keeping.contains(byte) ? byte : UInt8(ascii: "_"))
    }
    previous = byte
  }
  return String(decoding: result, as: UTF8.self)
}

extension UInt8 {
  fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
  fileprivate var isLower: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) }
  fileprivate var isUpper: Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) }
  fileprivate var isWordByte: Bool { isDigit || isLower || isUpper || self == UInt8(ascii: "_") }
}
