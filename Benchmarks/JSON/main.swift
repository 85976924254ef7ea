// Reads JSON texts that grow in depth, in size and in members, with the product's reader and with Foundation's, and prints microseconds for
// each as tab-separated lines: series, size, bytes, reader, microseconds. Benchmarks/json-reader.py runs it and puts Python's reader beside
// it.
import Foundation

struct Series {
  let name: String
  let sizes: [Int]
  let text: (Int) -> String
}

let series = [
  Series(name: "depth of arrays", sizes: [8, 16, 32, 64, 128, 256, 500]) {
    String(repeating: "[", count: $0) + String(repeating: "]", count: $0)
  },
  Series(name: "depth of objects", sizes: [8, 16, 32, 64, 128, 256, 500]) {
    String(repeating: "{\"a\":", count: $0) + "1" + String(repeating: "}", count: $0)
  },
  Series(name: "bytes of one string", sizes: [1_000, 10_000, 100_000, 1_000_000]) { "\"" + String(repeating: "x", count: $0) + "\"" },
  Series(name: "numbers", sizes: [1_000, 10_000, 100_000]) { count in
    "[" + (0..<count).map { "\($0).5" }.joined(separator: ",") + "]"
  },
  Series(name: "members", sizes: [1_000, 10_000, 100_000]) { count in
    "{" + (0..<count).map { "\"member\($0)\":\($0)" }.joined(separator: ",") + "}"
  },
  Series(name: "heartbeats", sizes: [1, 10, 100]) { count in
    let heartbeat = #"{"type":"heartbeat","id":"m1","payload":{"status":"idle","activeTasks":[],"metrics":{"cpu":0.25,"memory":1048576}}}"#
    return "[" + Array(repeating: heartbeat, count: count).joined(separator: ",") + "]"
  },
]

/// The median of several rounds, each long enough to be timed.
func microseconds(_ work: () -> Void) -> Double {
  let clock = ContinuousClock()
  let once = clock.measure(work)
  let repeats = max(1, min(10_000, Int(Duration.milliseconds(20) / max(once, .nanoseconds(100)))))
  let rounds = once > .seconds(1) ? 1 : 5
  let times = (0..<rounds).map { _ in clock.measure { for _ in 0..<repeats { work() } } / repeats }.sorted()
  return times[rounds / 2] / .microseconds(1)
}

for series in series {
  for size in series.sizes {
    let bytes = Array(series.text(size).utf8)
    let data = Data(bytes)
    let own = microseconds { _ = try? JSON.value(from: bytes, depthLimit: 10_000) }
    print("\(series.name)\t\(size)\t\(bytes.count)\tParallax\t\(own)")
    let refused = microseconds { _ = try? JSON.value(from: bytes) }
    print("\(series.name)\t\(size)\t\(bytes.count)\tParallax, limit 64\t\(refused)")
    let foundation = microseconds { _ = try? JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed) }
    print("\(series.name)\t\(size)\t\(bytes.count)\tJSONSerialization\t\(foundation)")
  }
}
