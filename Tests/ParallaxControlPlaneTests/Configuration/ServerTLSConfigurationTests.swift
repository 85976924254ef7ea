import Foundation
import Logging
import ParallaxAPI
import ParallaxConcurrency
import ParallaxServer
import Synchronization
import TestSupport
import Testing

@testable import ParallaxControlPlane

@Suite struct ServerTLSConfigurationTests {
  @Test func `The keys of TLS and of clients' certificates are read`() throws {
    let configuration = try load(
      """
      server: { tls: { certificate: c, privateKey: k } }
      security:
        mtls: { enabled: true, clientCA: ca, clientAuth: request, identities: [{ name: "spiffe://a/b", scopes: [read, agent] }] }
      """)
    #expect(configuration.server.tls == NodeConfiguration.TLS(certificate: "c", privateKey: "k"))
    #expect(configuration.security.mtls.clientAuth == .request && configuration.security.mtls.clientCA == "ca")
    #expect(configuration.security.mtls.identities == [ClientIdentity(name: "spiffe://a/b", scopes: [.read, .agent])])
    #expect(try load(configuration.render(secretsHidden: false)) == configuration)
    #expect(configuration.accessSummary == "certificates: spiffe://a/b")
  }

  private static let mtls = "security.mtls"

  @Test(
    arguments: [
      ("server: { tls: { certificate: c } }", "server.tls.certificate", "a certificate and its key go together"),
      ("security: { mtls: { serverKey: k } }", "\(mtls).serverKey", "a certificate and its key go together"),
      (
        "server: { tls: { certificate: c, privateKey: k } }\nsecurity: { mtls: { serverCert: c, serverKey: k } }", "\(mtls).serverCert",
        "the server's certificate is set twice"
      ),
      ("security: { mtls: { enabled: true, serverCert: c, serverKey: k } }", "\(mtls).enabled", "set security.mtls.clientCA"),
      ("security: { mtls: { enabled: true, clientCA: a } }", "\(mtls).enabled", "set security.mtls.serverCert"),
      (
        "security: { mtls: { enabled: true, clientCA: a, serverCert: c, serverKey: k } }", "\(mtls).enabled",
        "no certificate has scopes; set security.mtls.identities"
      ),
      ("security: { mtls: { identities: [{ name: \"a b\", scopes: [read] }] } }", "\(mtls).identities[0].name", "expected a DNS name"),
      ("security: { mtls: { identities: [{ name: a }] } }", "\(mtls).identities[0]", "scopes is missing"),
      ("security: { mtls: { identities: [{ name: a, key: b, scopes: [read] }] } }", "\(mtls).identities[0].key", "unknown key"),
      ("security: { mtls: { identities: a } }", "\(mtls).identities", "expected a list of sections with name and scopes"),
      (
        "security: { allowUnauthenticated: true, mtls: { enabled: true, clientCA: a, serverCert: c, serverKey: k, "
          + "identities: [{ name: a, scopes: [read] }] } }", "security.allowUnauthenticated", "remove security.allowUnauthenticated"
      ),
    ])
  func `What does not go together is refused`(yaml: String, key: String, part: String) {
    let found = faults(yaml)
    #expect(found.count == 1 && found[0].contains(": \(key): ") && found[0].contains(part), "\(found)")
  }

  @Test func `Changed files are used, and unusable ones complained about once`() async throws {
    let certificates = try await TestCertificates()
    let folder = FileManager.default.temporaryDirectory.appending(path: "reloaded-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (certificate, key) = (folder.appending(path: "c"), folder.appending(path: "k"))
    func write(_ identity: TestCertificates.Identity) throws {
      try Data(contentsOf: URL(filePath: identity.certificate)).write(to: certificate)
      try Data(contentsOf: URL(filePath: identity.key)).write(to: key)
    }
    try write(certificates.server)
    var configuration = NodeConfiguration(nodeID: "node-1")
    configuration.server.tls = NodeConfiguration.TLS(certificate: certificate.path, privateKey: key.path)
    let files = try #require(ServerCertificates(configuration))
    let recorder = Recorder<String>()
    let reloader = CertificateReloader(
      certificates: files, tls: try #require(try configuration.makeServerTLS()), clock: MonotonicClock(ContinuousClock()),
      logger: Logger(label: "test") { _ in RecordingHandler(recorder: recorder) })
    reloader.look()
    #expect(recorder.all.isEmpty, "nothing has changed")
    try Data(contentsOf: URL(filePath: certificates.client.certificate)).write(to: certificate)
    for _ in 0..<2 { reloader.look() }
    #expect(recorder.all == ["the changed certificates cannot be used; those in force stay"], "its key is not there yet")
    try write(certificates.client)
    for _ in 0..<2 { reloader.look() }
    #expect(recorder.all.dropFirst() == ["certificates reloaded"])
    try FileManager.default.removeItem(at: certificate)
    for _ in 0..<2 { reloader.look() }
    #expect(recorder.all.dropFirst(2) == ["the changed certificates cannot be used; those in force stay"])
  }

  private struct RecordingHandler: LogHandler {
    let recorder: Recorder<String>
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { recorder.add("\(event.message)") }
  }
}
