import ArgumentParser
import Crypto
import Foundation
import ParallaxAPI
import ParallaxText

/// The command `parallax keys`.
struct Keys: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Makes API keys, without a control plane.", subcommands: [Generate.self, Hash.self])

  /// The command `parallax keys generate`.
  struct Generate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Makes a random key, with the entry for security.authentication.apiKeys.",
      discussion: "The key is shown this once; the entry has its hash only, and is no secret.")

    @Option(help: "The name of the key's holder, for logs: letters, digits, '-', '_' or '.'.")
    var name = "operator"

    @Option(
      name: .customLong("scope"),
      help: ArgumentHelp("What the holder may do; repeat it for several: read, execute, agent, admin.", valueName: "scope"),
      transform: AccessScope.init(argument:))
    var scopes: [AccessScope] = [.execute]

    @Option(help: "The form of the output.")
    var output: OutputFormat = .table

    mutating func run() async throws {
      let generated = GeneratedKey(name: name, scopes: AccessScope.allCases.filter(scopes.contains))
      switch output {
      case .json: print(try JSON.text(generated))
      case .table:
        print("key    \(generated.key)")
        print("entry  - \(generated.entry)")
      }
    }
  }

  /// The command `parallax keys hash`.
  struct Hash: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints the hash of a key from standard input.")

    mutating func run() async throws {
      guard let key = readLine(), !key.isEmpty else {
        throw CommandFailure(.usage, "expected a key on standard input, as in: parallax keys hash < key.txt")
      }
      print(GeneratedKey.hash(of: key))
    }
  }
}

/// A new key with its hash.
struct GeneratedKey: Encodable {
  let name: String
  let key: String
  let hash: String
  let scopes: [AccessScope]

  /// Draws 32 bytes from the system's secure source.
  init(name: String, scopes: [AccessScope]) {
    var source = SystemRandomNumberGenerator()
    let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &source) }
    self.name = name
    self.scopes = scopes
    key = "plx_" + Hexadecimal.text(of: bytes)
    hash = Self.hash(of: key)
  }

  /// The entry of a configuration file.
  var entry: String {
    "{ name: \(name), hash: \"\(hash)\", scopes: [\(scopes.map(\.rawValue).joined(separator: ", "))] }"
  }

  static func hash(of key: String) -> String {
    "sha256:" + Hexadecimal.text(of: SHA256.hash(data: Data(key.utf8)))
  }
}

extension AccessScope {
  fileprivate init(argument: String) throws {
    guard let scope = AccessScope(rawValue: argument) else {
      throw ValidationError("'\(argument)' is no scope: expected one of \(AccessScope.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    self = scope
  }
}
