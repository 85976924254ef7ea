import ArgumentParser
import Foundation
import NIOCore

/// The decoder and hiredis's decoder.
@main
struct RESPBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resp-bench",
    abstract: "Nanoseconds that a reply costs to decode and to release, by the client and by hiredis.",
    discussion: """
      Each decoder gets the bytes of one read, as many replies as fit into 16 KiB, and gives up each reply before it reads the next. \
      hiredis builds its own reply objects, and by its callbacks the same Swift values that the client builds.
      """)

  @Option(help: "Rounds, in each of which every decoder reads every shape.")
  var rounds = 5

  @Option(help: "Milliseconds of one measurement.")
  var milliseconds = 100

  func validate() throws {
    guard rounds > 0, milliseconds > 0 else { throw ValidationError("--rounds and --milliseconds start at 1") }
  }

  func run() throws {
    let hiredis = HiredisDecoder()
    var measurements = ReplyShape.all.map { Measurements(shape: $0) }
    for _ in 0..<rounds {
      for index in measurements.indices { try measurements[index].measure(hiredis, for: .milliseconds(milliseconds)) }
    }
    print("", "Nanoseconds per reply, medians of \(rounds) rounds:", "", separator: "\n")
    print("| reply | ParallaxRedis | hiredis, own objects | ratio | hiredis, Swift values | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for measurement in measurements { print(measurement.line) }
  }
}

/// The rounds of one shape.
struct Measurements {
  private let shape: ReplyShape
  private let chunk: ByteBuffer
  private let chunk2: [UInt8]
  private let replies: Int
  private var client: [Double] = []
  private var objects: [Double] = []
  private var values: [Double] = []

  init(shape: ReplyShape) {
    self.shape = shape
    replies = max(1, (16 << 10) / shape.reply.utf8.count)
    chunk = ByteBuffer(string: String(repeating: shape.reply, count: replies))
    chunk2 = Array(String(repeating: shape.reply2, count: replies).utf8)
  }

  mutating func measure(_ hiredis: HiredisDecoder, for duration: Duration) throws {
    var decoder = RESPDecoder()
    client.append(
      try nanoseconds(for: duration) {
        decoder.feed(chunk)
        var count = 0
        try decoder.forEachReply { _ in
          count += 1
          return true
        }
        return count
      })
    objects.append(try nanoseconds(for: duration) { chunk2.withUnsafeBytes { hiredis.readObjects($0) } })
    values.append(try nanoseconds(for: duration) { chunk2.withUnsafeBytes { hiredis.readValues($0) } })
  }

  private func nanoseconds(for duration: Duration, _ read: () throws -> Int) throws -> Double {
    let start = ContinuousClock.now
    var chunks = 0
    var elapsed = Duration.zero
    repeat {
      for _ in 0..<10 where try read() != replies { throw ValidationError("The replies of \(shape.name) were not read.") }
      chunks += 10
      elapsed = ContinuousClock.now - start
    } while elapsed < duration
    return elapsed / .nanoseconds(1) / Double(chunks * replies)
  }

  var line: String {
    let (client, objects, values) = (Self.median(client), Self.median(objects), Self.median(values))
    let cells = [
      shape.name, Self.decimal(client, 1), Self.decimal(objects, 1), Self.decimal(objects / client, 2), Self.decimal(values, 1),
      Self.decimal(values / client, 2),
    ]
    return "| " + cells.joined(separator: " | ") + " |"
  }

  private static func median(_ numbers: [Double]) -> Double {
    let sorted = numbers.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  private static func decimal(_ value: Double, _ digits: Int) -> String {
    value.formatted(.number.precision(.fractionLength(digits)).locale(Locale(identifier: "en_US")))
  }
}
