import Foundation
import ParallaxAPI
import TestSupport
import Testing

@testable import parallax

extension SystemTests {
  /// `parallax debug` against real nodes.
  @Suite(.serialized, .timeLimit(.minutes(3)))
  struct DebugRuns {
    /// What a run left behind.
    private struct Run {
      var exit: ChildProcess.Exit
      var output: String
      var errorOutput: String
      /// The files of the archive, by their paths behind its folder, as tar reads them; nil without an archive.
      var files: [String: String]?
      /// The archive itself.
      var bytes: Data
      var permissions: Int?

      func text(_ name: String) throws -> String { try #require(files?[name], "no \(name): \(errorOutput)") }
    }

    private func debug(_ arguments: [String], environment: [String: String] = [:]) async throws -> Run {
      let folder = FileManager.default.temporaryDirectory.appending(path: "debug-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let archive = folder.appending(path: "report.tar")
      let (exit, output, errorOutput) = try await run(
        ProjectLayout.executable("parallax"), ["debug", "--file", archive.path] + arguments, environment: environment)
      guard let bytes = try? Data(contentsOf: archive) else {
        return Run(exit: exit, output: output, errorOutput: errorOutput, bytes: Data())
      }
      let attributes = try FileManager.default.attributesOfItem(atPath: archive.path)
      let unpacked = try await run(ProjectLayout.program("tar"), ["-C", folder.path, "--strip-components=1", "-xf", archive.path])
      #expect(unpacked.exit == .code(0) && unpacked.errorOutput.isEmpty, "\(unpacked.errorOutput)")
      var files: [String: String] = [:]
      for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where name != "report.tar" {
        if let data = try? Data(contentsOf: folder.appending(path: name)) { files[name] = String(decoding: data, as: UTF8.self) }
      }
      return Run(
        exit: exit, output: output, errorOutput: errorOutput, files: files, bytes: bytes,
        permissions: attributes[.posixPermissions] as? Int)
    }

    /// Every form in which a secret could be in an archive.
    private static func forms(of secret: String) -> [String] {
      [secret, PercentEncodingOfTests.encode(secret), Data(secret.utf8).base64EncodedString()]
    }

    /// The characters that a URL's user information needs as escapes.
    private enum PercentEncodingOfTests {
      static func encode(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(CharacterSet(charactersIn: "-._~"))) ?? text
      }
    }

    private static func expectNoSecret(_ secrets: [String: String], in run: Run) {
      for (what, secret) in secrets {
        for form in forms(of: secret) {
          #expect(run.bytes.range(of: Data(form.utf8)) == nil, "the archive has the \(what)")
          #expect(!run.output.contains(form) && !run.errorOutput.contains(form), "the output has the \(what)")
        }
      }
    }

    // MARK: The contents

    @Test func `gathers everything of a node, and none of the secrets that its configuration and its callers have`() async throws {
      let (user, password, key, other) = ("worker", "pa/ss-word@1", "key-of-the-operator-0123456789", "key-of-the-reader-0123456789")
      let hashed = try await CommandLineTool(server: nil)("keys", "hash", input: other)
      let hash = try #require(hashed.output.firstMatch(of: /sha256:[0-9a-f]{64}/)).output
      let certificates = try await TestCertificates()
      let publicKey = try await run(ProjectLayout.program("openssl"), ["ec", "-in", certificates.client.key, "-pubout"]).output
      let privateKey = try String(contentsOfFile: certificates.server.key, encoding: .utf8).split(separator: "\n")[1]
      let (token, session, userInfo) = ("eyJhbGciOiJFUzI1NiJ9.c2VjcmV0LWNsYWltcw.c2lnbmF0dXJl", "key-in-a-cookie-0123456789", "s3rver-pw")
      let redisUser = "\(user) on >\(password) ~* &* +@all"
      try await RedisServer.with(.init(password: "default-pw-1", users: [redisUser])) { redis in
        let url = "redis://\(user):\(PercentEncodingOfTests.encode(password))@127.0.0.1:\(redis.port)"
        let file = """
          node: { id: the-node }
          redis: { url: "\(url)" }
          server: { tls: { certificate: \(certificates.server.certificate), privateKey: \(certificates.server.key) } }
          logging: { level: error, accessLog: all }
          security:
            authentication:
              apiKeys:
                - { name: operator, key: "\(key)", scopes: [admin] }
                - { name: reader, hash: "\(hash)", scopes: [read] }
              jwt: { publicKey: public.pem, issuer: "https://id.example.org", audience: [parallax] }
          """
        let node = try await ParallaxdProcess.start(files: ["parallax.config.yaml": file, "public.pem": publicKey])
        try await withChildProcess(node.process) { process in
          let address = "https://127.0.0.1:\(node.port)"
          let curl = { @Sendable (headers: [String], path: String) async throws -> String in
            let arguments = ["-s", "--max-time", "10", "--cacert", certificates.authority] + headers.flatMap { ["-H", $0] }
            return try await run(ProjectLayout.program("curl"), arguments + [address + path]).output
          }
          try await eventually("readiness") { try await curl([], "/health/ready").contains(#""status":"healthy""#) }
          let environment = ["PARALLAX_CA": certificates.authority, "PARALLAX_API_KEY": key]
          let withUser = address.replacing("://", with: "://someone:\(userInfo)@")
          let report = try await withThrowingTaskGroup(of: Run?.self) { group in
            group.addTask { try await debug(["--seconds", "2", "--server", withUser], environment: environment) }
            group.addTask {
              // Callers with secrets of all kinds, while the log is collected.
              while !Task.isCancelled {
                for header in ["Authorization: Bearer \(token)", "Authorization: Bearer \(other)", "Cookie: parallax_session=\(session)"] {
                  _ = try await curl([header], "/api/executions?pattern=a-filter")
                }
              }
              return nil
            }
            let first = try await group.next().flatMap { $0 }
            group.cancelAll()
            while await group.nextResult() != nil {}
            return try #require(first)
          }
          #expect(report.exit == .code(0), "\(report.errorOutput)")
          #expect(report.output.hasSuffix("report.tar\n") && report.permissions == 0o600)
          Self.expectNoSecret(
            [
              "password of Redis": password, "operator's key": key, "reader's key": other, "hash of a key": String(hash),
              "digits of a hash": String(hash.dropFirst("sha256:".count)), "private key": String(privateKey), "token": token,
              "signature of the token": "c2lnbmF0dXJl", "session": session, "password of the server's address": userInfo,
              "password of Redis' default user": "default-pw-1",
            ], in: report)

          // The list comes first, and is that of the archive.
          let listed = try #require(report.errorOutput.range(of: "The archive will have"))
          #expect(listed.lowerBound < (try #require(report.errorOutput.range(of: "Collecting"))).lowerBound)
          #expect(Set(report.files?.keys ?? [:].keys) == Set(["contents.json"] + DebugPart.allCases.map { "node-1/\($0.rawValue)" }))
          for part in DebugPart.allCases { #expect(report.errorOutput.contains(part.rawValue)) }

          #expect(try report.text("contents.json").contains(#""nodeId" : "the-node""#))
          #expect(try report.text("contents.json").contains(ParallaxVersion.text(commit: parallax.BuildCommit.current)))
          let configuration = try report.text("node-1/configuration.yaml")
          #expect(
            configuration.contains("id: \"the-node\"") && configuration.contains("\(user):***@")
              && configuration.contains("name: \"reader\""))
          #expect(try JSON.decode(HealthDocument.self, from: report.text("node-1/health.json")).status == .healthy)
          #expect(try JSON.decode(DiagnosisDocument.self, from: report.text("node-1/diagnosis.json")).nodeId == "the-node")
          #expect(try JSON.decode(HAStatusDocument.self, from: report.text("node-1/status.json")).leader == "the-node")
          #expect(try report.text("node-1/queues.json").contains("queues"))
          #expect(try report.text("node-1/events.jsonl").contains(#""event":"hello""#))
          let process1 = try JSON.decode(JSONValue.self, from: report.text("node-1/process.json"))
          guard case .object(let members) = process1, case .object(let memory)? = members["memory"],
            case .array(let threads)? = members["threads"]
          else {
            Issue.record("process.json has another form: \(process1)")
            return
          }
          #expect(members["configuration"] == nil && memory["VmRSS"] != nil && threads.count > 1)
          let times = try ["before", "after"].map { name in
            let text = try report.text("node-1/metrics-\(name).txt")
            return try #require(text.firstMatch(of: /\nprocess_cpu_seconds_total ([0-9.]+)/).flatMap { Double($0.output.1) }, "\(name)")
          }
          #expect(times[0] < times[1], "the second look is later")

          // The log has what the node's own log, at error, has not.
          let log = try report.text("node-1/log.txt")
          #expect(log.contains("/api/executions") && log.contains("\"level\":\"info\""), "\(log.prefix(2_000))")
          #expect(!log.contains("a-filter"), "no query")
          #expect(!process.errorOutput.contains("/api/executions"), "the level of the log itself stays")
        }
      }
    }

    @Test func `of a node without its sentinels it gathers what there is, without their passwords`() async throws {
      let closed = try LoopbackPort.free()
      let file = """
        redis:
          password: "pw-of-redis-1"
          sentinel: { masterName: m, nodes: ["127.0.0.1:\(closed)"], username: u, password: "pw-of-sentinel-1" }
        """
      let node = try await ParallaxdProcess.start(files: ["parallax.config.yaml": file])
      try await withChildProcess(node.process) { _ in
        try await eventually("an answer") { (try? await node.api.get("/health/live").status) == 200 }
        let run = try await debug(["--seconds", "1", "--server", node.url, "--output", "json"])
        Self.expectNoSecret(["password of Redis": "pw-of-redis-1", "password of the sentinels": "pw-of-sentinel-1"], in: run)
        #expect(try run.text("node-1/health.json").contains("unhealthy"))
        let configuration = try run.text("node-1/configuration.yaml")
        #expect(configuration.components(separatedBy: "password: \"***\"").count == 3, "\(configuration)")
        #expect(try run.text("node-1/diagnosis.json").contains("redis.reachable"))
        #expect(try run.text("node-1/log.txt").contains("debug"), "Redis' client tells of its attempts")
        #expect(run.exit == .code(0) && run.output.contains(#""missing" : {"#), "\(run.output)\(run.errorOutput)")
      }
    }

    // MARK: What is missing

    @Test func `a key without the scope, and a node that does not answer, leave parts out with the reason`() async throws {
      let (reader, userInfo) = ("key-of-the-reader-0123456789", "s3rver-pw")
      let closed = try LoopbackPort.free()
      try await withParallaxd(environment: ["PARALLAX_API_KEYS": "reader:read:\(reader)"]) { node in
        let servers = "\(node.url),http://someone:\(userInfo)@127.0.0.1:\(closed)"
        let run = try await debug(["--seconds", "1", "--server", servers], environment: ["PARALLAX_API_KEY": reader])
        #expect(run.exit == .code(1) && run.errorOutput.contains("lacks 13 of its parts"), "\(run.errorOutput)")
        Self.expectNoSecret(["key": reader, "password of the server's address": userInfo], in: run)
        for part in DebugPart.allCases {
          #expect((run.files?["node-1/\(part.rawValue)"] == nil) == (part.scope == "admin"), "\(part)")
          #expect(run.files?["node-2/\(part.rawValue)"] == nil)
        }
        let contents = try run.text("contents.json")
        #expect(contents.contains("admin") && contents.contains("127.0.0.1:\(closed)"), "\(contents)")
        #expect(run.errorOutput.contains("without node-1/configuration.yaml, node-1/log.txt, node-1/process.json: "), "\(run.errorOutput)")
      }
    }

    @Test func `without an answer it makes no archive, and it never replaces a file`() async throws {
      let closed = try LoopbackPort.free()
      let unanswered = try await debug(["--seconds", "1", "--server", "127.0.0.1:\(closed)"])
      #expect(unanswered.exit == .code(4) && unanswered.files == nil, "\(unanswered.errorOutput)")
      let existing = try await debug(["--file", "/dev/null", "--server", "127.0.0.1:\(closed)"])
      #expect(existing.exit == .code(1) && existing.errorOutput.contains("/dev/null exists"), "\(existing.errorOutput)")
      for seconds in ["0", "31", "soon"] {
        let refused = try await debug(["--seconds", seconds])
        #expect(refused.exit == .code(2) && refused.errorOutput.contains("seconds"), "\(refused.errorOutput)")
      }
    }

    @Test func `lists the contents without asking a node`() async throws {
      let table = try await debug(["--list", "--server", "127.0.0.1:1"])
      #expect(table.exit == .code(0) && table.files == nil)
      #expect(table.output.split(separator: "\n").count == DebugPart.allCases.count + 2)
      let json = try await debug(["--list", "--output", "json"])
      #expect(try JSON.decode([JSONValue].self, from: json.output).count == DebugPart.allCases.count + 1)
    }
  }
}

@Suite struct DebugArchives {
  @Test func `an archive is what tar makes of the same files`() throws {
    var archive = TarArchive()
    archive.add("folder/a.txt", Array("hello".utf8), time: 1_768_473_000)
    archive.add("folder/empty", [UInt8](), time: 0)
    archive.add("folder/block", [UInt8](repeating: 7, count: 512), time: 1)
    archive.finish()
    // A header and its contents, a header, a header and a whole block, and the two blocks of the end.
    #expect(archive.bytes.count == 512 * (2 + 1 + 2 + 2))
    let header = archive.bytes.prefix(512)
    #expect(String(decoding: header.prefix(12), as: UTF8.self) == "folder/a.txt")
    #expect(
      String(decoding: header[100..<107], as: UTF8.self) == "0000600" && String(decoding: header[124..<135], as: UTF8.self) == "00000000005"
    )
    #expect(String(decoding: header[257..<265], as: UTF8.self) == "ustar\u{0}00")
    let sum = header.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
    #expect(Int(String(decoding: header[148..<154], as: UTF8.self), radix: 8) == sum)
  }

  @Test(arguments: [
    ("http://a:8080", "http://a:8080"), ("https://u:p@a:8080", "https://a:8080"), ("http://p@[::1]:1", "http://[::1]:1"),
  ])
  func `an address is shown without its user and password`(address: String, shown: String) {
    #expect(DebugCollection.withoutCredentials(address) == shown)
  }
}
