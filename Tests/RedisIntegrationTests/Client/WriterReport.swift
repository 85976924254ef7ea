import ParallaxRedis
import TestSupport

/// The replies of a ``WriterLoad``, and whether they are consistent.
struct WriterReport {
  let histories: [WriterLoad.History]
  let acknowledged: Int
  /// The longest time without an acknowledged write.
  let longestPause: Duration

  /// The counter of one writer, according to its replies.
  struct Count {
    /// The last value before the counter fell back; `nil` if it never did.
    var peak: Int?
    /// The acknowledged increments that the fall has undone.
    var lost = 0
    /// The last acknowledged value.
    var last: Int
    /// The increments since then, or before the fall, that may have been executed too.
    var unknown = 0
    var unknownAtPeak = 0
    var wrong: [String] = []
  }

  var failures: [RedisError] {
    histories.flatMap { $0.counter + $0.marks }.compactMap { if case .failed(let error) = $0 { error } else { nil } }
  }

  /// The lost acknowledged increments: a replaced server accepted them and never replicated them.
  var lost: Int { counts.reduce(0) { $0 + $1.lost } }

  var counts: [Count] {
    histories.indices.map { count($0) }
  }

  private func count(_ writer: Int) -> Count {
    var count = Count(last: WriterLoad.firstValue(writer))
    for answer in histories[writer].counter {
      switch answer {
      case .failed(let error): if error.mayHaveExecuted { count.unknown += 1 }
      case .acknowledged(let value):
        if value <= WriterLoad.firstValue(writer) || value > count.last + 1 + count.unknown {
          count.wrong.append("counter \(writer): \(value) after \(count.last) and \(count.unknown) unknown")
        }
        if value <= count.last {
          if count.peak != nil { count.wrong.append("counter \(writer): \(value) after \(count.last), the second fall") }
          count.peak = count.last
          count.unknownAtPeak = count.unknown
          count.lost = count.last + 1 - value
        }
        count.last = value
        count.unknown = 0
      }
    }
    return count
  }

  /// The inconsistencies of the replies with the final state of the server of the last writes; empty if there are none.
  func complaints(_ server: RedisServer) throws -> [String] {
    try server.withConnection { connection in
      try histories.indices.flatMap { writer in
        let count = count(writer)
        var complaints = count.wrong
        let counter = try connection.command("GET", WriterLoad.counterKey(writer)).number ?? -1
        if !(count.last...count.last + count.unknown).contains(counter) {
          complaints.append("counter \(writer) is \(counter), not \(count.last) or up to \(count.unknown) more")
        }
        let marks = histories[writer].marks
        let sure = marks.lastIndex { if case .acknowledged = $0 { true } else { false } }.map { $0 + 1 } ?? 0
        let mark = try connection.command("GET", WriterLoad.markKey(writer)).number ?? -1
        if !(sure...marks.count).contains(mark) { complaints.append("mark \(writer) is \(mark), not from \(sure) to \(marks.count)") }
        for (index, answer) in marks.enumerated() {
          if case .acknowledged(let round) = answer, round != index + 1 { complaints.append("mark \(writer): no OK in round \(index + 1)") }
        }
        return complaints
      }
    }
  }

  var summary: String {
    "\(acknowledged) writes acknowledged, \(failures.count) failed, \(lost) lost by replication, longest pause \(longestPause)"
  }
}
