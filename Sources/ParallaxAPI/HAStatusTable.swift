extension HAStatusDocument {
  /// The output of `parallax ha status`, without a trailing line feed.
  ///
  /// The header and the columns are a contract. Notes about several leaders, a pause or a stale view follow the table.
  package var table: String {
    let leader = leaders.isEmpty ? "none" : leaders.joined(separator: ", ")
    let header = ["Cluster: \(clusterId)", "Members: \(members.count)", "Leader: \(leader)"]
    let titles = ["Node", "Status", "Role", "Last Seen"]
    let rows = [titles] + members.map { [$0.id, $0.status.rawValue, $0.role.rawValue, Self.age($0.lastSeen)] }
    let widths = titles.indices.map { column in
      max(Self.narrowest[column], rows.map { $0[column].count }.max() ?? 0)
    }
    let lines = rows.map { row in
      row.indices.map { column in
        let padding = column == row.count - 1 ? 0 : widths[column] + 2 - row[column].count
        return row[column] + String(repeating: " ", count: padding)
      }.joined()
    }
    let notes = notes
    return (header + [""] + lines + (notes.isEmpty ? [] : [""] + notes)).joined(separator: "\n").withoutControlCharacters
  }

  /// The minimum widths of the columns, which keep `Status` and `Role` in place for all usual values.
  private static let narrowest = [0, 8, 8, 0]

  private var notes: [String] {
    var notes: [String] = []
    if leaders.count > 1 {
      let claims = leaders.map { id in members.first { $0.id == id }?.term.map { "\(id) (term \($0))" } ?? id }
      notes.append(
        "Split brain: \(leaders.count) nodes hold valid claims to lead: \(claims.joined(separator: ", ")). "
          + "Check the network and the store, then run: parallax ha elect --force")
    }
    if paused { notes.append("Paused: elections are suspended until: parallax ha resume") }
    if stale {
      let since = staleSince.map { " since \($0)" } ?? ""
      notes.append("Stale: the store has not answered\(since); this is the last known state.")
    }
    return notes
  }

  private static func age(_ lastSeen: WireDuration?) -> String {
    guard let lastSeen else { return "-" }
    return "\(Duration.seconds(lastSeen.duration.components.seconds).text) ago"
  }
}

extension String {
  /// The text with every control character but the line feed replaced, so that a node's id cannot control the terminal.
  fileprivate var withoutControlCharacters: String {
    String(
      String.UnicodeScalarView(unicodeScalars.map { $0 != "\n" && $0.properties.generalCategory == .control ? "\u{fffd}" : $0 }))
  }
}
