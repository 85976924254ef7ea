import Foundation

/// The terminal behind standard output.
struct Terminal {
  /// The number of columns; nil where nothing is to be cut: in a pipe, a file, or a terminal of unknown width.
  var columns: Int?
  /// The number of rows; nil if it is unknown.
  var rows: Int?
  var isColored: Bool

  /// The terminal of this process.
  static var current: Terminal {
    let environment = ProcessInfo.processInfo.environment
    let isTerminal = isatty(STDOUT_FILENO) == 1
    var size = winsize()
    let isKnown = isTerminal && ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0
    return Terminal(
      columns: isKnown && size.ws_col > 0 ? Int(size.ws_col) : nil, rows: isKnown && size.ws_row > 0 ? Int(size.ws_row) : nil,
      isColored: isColored(isTerminal: isTerminal, environment: environment))
  }

  /// Color is for terminals that support it and users who have not disabled it (https://no-color.org).
  static func isColored(isTerminal: Bool, environment: [String: String]) -> Bool {
    isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
  }
}
