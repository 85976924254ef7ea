/// A scripted run of an election: a text of commands, each followed by its effects.
///
/// ```
/// # A leader that is cut off stops by its deadline.
/// node a
/// node b
/// run 20s
/// ----
/// 0.020 the store takes the bootstrap of a …
///
/// lose a all
/// run 11s
/// ----
/// …
/// ```
///
/// Commands precede a line of dashes; the effects follow it, up to an empty line. Every message takes ten milliseconds, and the wall clocks
/// begin at zero, so terms are small. ``ScenarioCommand`` lists the commands.
package struct ElectionScenario {
  private enum Part {
    case text(String)
    case commands([(number: Int, line: String)])
  }

  /// A mistake in a script.
  package struct Mistake: Error, CustomStringConvertible {
    package var description: String
  }

  private let parts: [Part]

  /// Reads a script.
  ///
  /// - Parameter script: The text, with or without the expected effects.
  package init(_ script: String) {
    var parts: [Part] = []
    var commands: [(Int, String)] = []
    var isExpectation = false
    for (index, line) in script.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.allSatisfy(\.isWhitespace) {
        if !commands.isEmpty {
          parts.append(.commands(commands))
          commands = []
        } else if !isExpectation {
          parts.append(.text(""))
        }
        isExpectation = false
      } else if isExpectation {
        continue
      } else if line.hasPrefix("#") {
        parts.append(.text(String(line)))
      } else if line.hasPrefix("----") {
        parts.append(.commands(commands))
        commands = []
        isExpectation = true
      } else {
        commands.append((index + 1, String(line)))
      }
    }
    if !commands.isEmpty { parts.append(.commands(commands)) }
    self.parts = parts
  }

  /// Runs the script.
  ///
  /// - Parameter defect: Returns the defect of a name that the script uses after `defect`; nil for an unknown name.
  /// - Returns: The script with the actual effects.
  /// - Throws: ``Mistake`` with the faulty line.
  package func run(defect: @escaping (String) -> (any ElectionDefect)? = { _ in nil }) throws(Mistake) -> String {
    var stage = ScenarioStage(defect: defect)
    var lines: [String] = []
    for part in parts {
      switch part {
      case .text(let line): lines.append(line)
      case .commands(let commands):
        for (number, line) in commands {
          do throws(Mistake) {
            try stage.perform(ScenarioCommand(line))
          } catch {
            throw Mistake(description: "line \(number), \"\(line)\": \(error.description)")
          }
          lines.append(line)
        }
        lines.append("----")
        lines += stage.takeLines()
        lines.append("")
      }
    }
    while lines.last == "" { lines.removeLast() }
    return lines.joined(separator: "\n") + "\n"
  }
}

/// One line of a script: a word, further words, and options.
///
/// | command | effect |
/// |---|---|
/// | `defect NAME` | nodes, store or resource go wrong in one way |
/// | `timings lease=15s deadline=10s retry=2s …` | sets the timings of later nodes; `unchecked` allows invalid ones |
/// | `node NAME …` | starts a node: `id=`, `cluster=`, `priority=`, `lease=`, `bootstrap=`, `rate=`, `wall=`, `watch`, `reclaim`, `alone` |
/// | `kill`, `start`, `pause`, `continue`, `resign`, `fit`, `unfit` `NAME` | changes the state of a node |
/// | `stick`, `unstick` `NAME` | makes the duties of a node ignore or obey their cancellation |
/// | `lose`, `hold`, `fail`, `open` `NAME` `requests`, `writes`, `replies`, `hints` or `all` | loses, delays, fails or delivers messages |
/// | `deliver NAME` | delivers held messages |
/// | `run 5s`, `run to 20s` | lets time pass |
/// | `wipe`, `failover N`, `garbage`, `record …` | the store loses its data, its last writes, holds nonsense, holds a record |
/// | `asynchronous` | lets the store lose acknowledged writes, so that only fencing is checked |
/// | `ask stepdown [ID]`, `elect`, `force`, `pause` or `resume` | an operator writes a request |
/// | `write NAME` | a node writes to a resource with the fencing token of its last term |
/// | `leaders`, `record`, `status NAME` | shows something |
/// | `verbose`, `terse` | whether renewals, reads and lost messages are shown |
package struct ScenarioCommand: Sendable {
  let word: String
  let arguments: [String]
  private let options: [String: String]

  init(_ line: String) throws(ElectionScenario.Mistake) {
    let words = line.split(separator: " ").map(String.init)
    guard let first = words.first else { throw ElectionScenario.Mistake(description: "there is no command") }
    word = first
    arguments = words.dropFirst().filter { !$0.contains("=") }
    options = Dictionary(
      words.dropFirst().filter { $0.contains("=") }.map { option in
        let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), String(parts[1]))
      }, uniquingKeysWith: { $1 })
  }

  func has(_ flag: String) -> Bool { arguments.contains(flag) }

  func text(_ option: String) -> String? { options[option] }

  func argument(_ index: Int) throws(ElectionScenario.Mistake) -> String {
    guard arguments.indices.contains(index) else { throw ElectionScenario.Mistake(description: "something is missing after \(word)") }
    return arguments[index]
  }

  func number(_ option: String) throws(ElectionScenario.Mistake) -> Double? {
    guard let text = options[option] else { return nil }
    guard let number = Double(text) else { throw ElectionScenario.Mistake(description: "\(option)=\(text) is no number") }
    return number
  }

  func duration(_ option: String) throws(ElectionScenario.Mistake) -> Duration? {
    guard let text = options[option] else { return nil }
    return try Self.duration(text)
  }

  static func duration(_ text: String) throws(ElectionScenario.Mistake) -> Duration {
    for (unit, factor) in [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3_600)] where text.hasSuffix(unit) {
      if let number = Double(text.dropLast(unit.count)) { return .seconds(number * factor) }
    }
    throw ElectionScenario.Mistake(description: "\"\(text)\" is no duration, as 250ms, 15s or 1h are")
  }
}
