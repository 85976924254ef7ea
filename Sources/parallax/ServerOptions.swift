import ArgumentParser
import Foundation

/// The options of every command: the control plane's address, the key and the form of the output.
struct ServerOptions: ParsableArguments {
  @Option(
    name: .customLong("server"),
    help: ArgumentHelp(
      "A node's address; several, repeated or separated by commas, are tried in turn. Default: PARALLAX_SERVER, else http://127.0.0.1:8080.",
      valueName: "url"))
  var servers: [String] = []

  @Option(help: ArgumentHelp("The API key. Default: PARALLAX_API_KEY, which other users of this machine cannot see.", valueName: "key"))
  var apiKey: String?

  @Option(help: "The form of the output.")
  var output: OutputFormat = .table

  /// The nodes in the order of the requests.
  static func addresses(_ servers: [String], environment: [String: String] = ProcessInfo.processInfo.environment) throws -> [String] {
    let given = servers.isEmpty ? [environment["PARALLAX_SERVER"] ?? ""] : servers
    let texts = given.flatMap { $0.split(separator: ",") }.map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    return try (texts.isEmpty ? ["http://127.0.0.1:8080"] : texts).map(Self.address)
  }

  /// The key; nil if none is set.
  static func key(_ given: String?, environment: [String: String] = ProcessInfo.processInfo.environment) -> String? {
    (given ?? environment["PARALLAX_API_KEY"]).flatMap { $0.isEmpty ? nil : $0 }
  }

  private static func address(_ text: String) throws -> String {
    let full = text.contains("://") ? text : "http://" + text
    guard let url = URL(string: full), let scheme = url.scheme, ["http", "https"].contains(scheme), url.host != nil else {
      throw CommandFailure(.usage, "'\(text)' is not the address of a server: expected one such as http://127.0.0.1:8080")
    }
    return full.hasSuffix("/") ? String(full.dropLast()) : full
  }
}

/// The form of the output.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case table, json
}
