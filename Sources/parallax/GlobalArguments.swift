import ArgumentParser

/// Options of the server in front of the sub-command, as in `parallax --server HOST agents list`.
enum GlobalArguments {
  private static let valued: Set<String> = ["--server", "--api-key", "--ca", "--certificate", "--private-key", "--output"]

  /// The arguments with the leading options behind the names of the commands, where the parser expects them.
  static func reordered(_ arguments: [String]) -> [String] {
    var rest = arguments[...]
    var options: [String] = []
    while let first = rest.first, valued.contains(String(first.prefix { $0 != "=" })) {
      rest.removeFirst()
      options.append(first)
      if !first.contains("="), let value = rest.popFirst() { options.append(value) }
    }
    let names = rest.prefix { !$0.hasPrefix("-") }
    return names + options + rest.dropFirst(names.count)
  }
}
