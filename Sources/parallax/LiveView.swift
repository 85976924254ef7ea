import ArgumentParser
import Foundation
import ParallaxAPI

/// The options of a command that can go on showing what it shows.
struct WatchOptions: ParsableArguments {
  @Flag(help: "Show it again and again, until interrupted.")
  var watch = false

  @Option(help: ArgumentHelp("The time between two looks with --watch.", valueName: "duration"), transform: duration(from:))
  var interval: Duration = .seconds(1)

  func validate() throws {
    guard interval >= .milliseconds(100) else { throw ValidationError("--interval must be at least 100ms") }
  }
}

/// A view that is drawn again and again: in place on a terminal, one text below the other elsewhere.
///
/// While no node answers, a terminal keeps the last view, under a line that says how old it is.
struct LiveView {
  private struct Shown {
    var text: String
    var at: Date
  }

  private let terminal: Terminal
  private let isInPlace: Bool
  private var shown: Shown?

  init(terminal: Terminal = .current) {
    self.terminal = terminal
    isInPlace = terminal.rows != nil
  }

  /// Shows the text that `look` makes once, or with `--watch` until the task is cancelled or a look fails for another reason than an
  /// unreachable node.
  static func show(_ options: WatchOptions, _ look: () async throws -> String) async throws {
    guard options.watch else {
      let text = try await look()
      return text.isEmpty ? () : print(text)
    }
    var view = LiveView()
    if view.isInPlace { print("\u{1b}[2J", terminator: "") }
    try await repeated(every: options.interval, clock: ContinuousClock()) {
      do {
        view.draw(try await look())
      } catch let failure as CommandFailure where failure.exitCode == .unreachable {
        view.draw(failure)
      }
    }
  }

  /// Does something again and again, with a pause in between, until it throws or the task is cancelled.
  ///
  /// - Parameters:
  ///   - pause: The time between two runs.
  ///   - clock: What the pause is measured by.
  ///   - work: What to do.
  /// - Throws: What the work throws, or `CancellationError`.
  static func repeated<C: Clock>(every pause: C.Duration, clock: C, _ work: () async throws -> Void) async throws {
    while true {
      try await work()
      try await clock.sleep(for: pause)
    }
  }

  private mutating func draw(_ text: String) {
    shown = Shown(text: text, at: Date())
    output(text)
  }

  private func draw(_ failure: CommandFailure) {
    guard isInPlace else { return Printer.note("parallax: \(failure.message)") }
    let age = shown.map { "shown is the state of \(Self.age(of: $0.at)) ago" } ?? "nothing is known yet"
    output("\(age): \(failure.message)\n\n\(shown?.text ?? "")")
  }

  private static func age(of date: Date) -> String { Duration.seconds(Int64(Date().timeIntervalSince(date).rounded())).text }

  private func output(_ text: String) {
    if isInPlace {
      print(Self.frame(text, rows: terminal.rows), terminator: "")
    } else {
      print(text + "\n")
    }
    fflush(nil)
  }

  /// The text in place of the former one, without a flash of an empty screen; lines below the last row are left out.
  static func frame(_ text: String, rows: Int?) -> String {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).prefix(rows.map { max(1, $0 - 1) } ?? .max)
    return "\u{1b}[H" + lines.map { $0 + "\u{1b}[K\n" }.joined() + "\u{1b}[J"
  }
}
