extension RedisCommand {
  /// A command of a name, leading arguments and a list.
  init(_ name: String, _ first: String..., list: some Sequence<some RedisArgumentConvertible>) {
    self.init(name, arguments: first.map { RedisArgument($0) } + list.map(\.redisArgument))
  }

  /// Appends arguments.
  mutating func append(_ list: [RedisArgument]) {
    arguments.append(contentsOf: list)
  }
}

extension Duration {
  /// The whole milliseconds, rounded up so that a positive wait or lifetime never becomes zero; limited to the range that Redis accepts.
  var redisMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, isTooLong) = seconds.multipliedReportingOverflow(by: 1_000)
    if isTooLong { return seconds < 0 ? .min : .max }
    let perMillisecond: Int64 = 1_000_000_000_000_000
    let rest = attoseconds / perMillisecond + (attoseconds % perMillisecond > 0 ? 1 : 0)
    let (sum, overflows) = product.addingReportingOverflow(rest)
    return overflows ? (seconds < 0 ? .min : .max) : sum
  }
}
