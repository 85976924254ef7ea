import ArgumentParser
import Foundation
import NIOSSL
import ParallaxAgent

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

  @Option(
    name: .customLong("ca"),
    help: ArgumentHelp(
      "The PEM file of the authorities that sign nodes' certificates. Default: PARALLAX_CA, else the system's.", valueName: "file"))
  var authority: String?

  @Option(help: ArgumentHelp("The PEM file of a client certificate. Default: PARALLAX_CERTIFICATE.", valueName: "file"))
  var certificate: String?

  @Option(help: ArgumentHelp("The PEM file of the client certificate's key. Default: PARALLAX_PRIVATE_KEY.", valueName: "file"))
  var privateKey: String?

  @Option(help: "The form of the output.")
  var output: OutputFormat = .table

  /// The files of TLS for an agent.
  func agentTLS(environment: [String: String] = ProcessInfo.processInfo.environment) -> AgentConfiguration.TLS {
    func file(_ given: String?, _ variable: String) -> String? { (given ?? environment[variable]).flatMap { $0.isEmpty ? nil : $0 } }
    return AgentConfiguration.TLS(
      authorities: file(authority, "PARALLAX_CA"), certificate: file(certificate, "PARALLAX_CERTIFICATE"),
      privateKey: file(privateKey, "PARALLAX_PRIVATE_KEY"))
  }

  /// The settings of TLS; nil for those of the system.
  func tls(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> TLSConfiguration? {
    let files = agentTLS(environment: environment)
    let (ca, certificate, key) = (files.authorities, files.certificate, files.privateKey)
    guard ca != nil || certificate != nil || key != nil else { return nil }
    guard (certificate == nil) == (key == nil) else {
      throw CommandFailure(.usage, "a certificate and its key go together: set both --certificate and --private-key, or none")
    }
    var settings = TLSConfiguration.makeClientConfiguration()
    do {
      if let ca { settings.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(ca)) }
      if let certificate, let key {
        settings.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
        settings.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
      }
    } catch {
      throw CommandFailure(.usage, "the files of --ca, --certificate and --private-key must be readable and in PEM form: \(error)")
    }
    return settings
  }

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
    // A user and a password are no credentials of a node, and must not reach messages and reports.
    let shown = url.user == nil && url.password == nil ? full : DebugCollection.withoutCredentials(full)
    return shown.hasSuffix("/") ? String(shown.dropLast()) : shown
  }
}

/// The form of the output.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case table, json
}
