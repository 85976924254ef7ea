import Foundation
import ParallaxRedis
import Testing

@testable import ParallaxControlPlane

@Suite struct ConfigurationRenderingTests {
  @Test func `The rendered configuration loads to the same values`() throws {
    var configuration = NodeConfiguration(nodeID: "node-1")
    #expect(try load(configuration.render(secretsHidden: false)) == configuration)
    configuration.node.address = "[::1]:80"
    configuration.server.allowedOrigins = ["https://a", "*"]
    configuration.redis.url = RedisURL("rediss://u%3A:p%40%20w@[::1]:7000/2")
    configuration.redis.password = #"a "quoted" \ ${X} $${Y} &z # : é"#
    configuration.redis.keyPrefix = "&x:"
    configuration.patterns.directory = "~"
    configuration.logging.format = .json
    configuration.highAvailability.leaderElection.leaseDuration = .milliseconds(1_500)
    configuration.highAvailability.leaderElection.renewDeadline = .milliseconds(1_000)
    configuration.highAvailability.leaderElection.retryPeriod = .milliseconds(200)
    #expect(try load(configuration.render(secretsHidden: false)) == configuration)
  }

  @Test func `Secrets are hidden, and the rest still loads`() throws {
    var configuration = NodeConfiguration(nodeID: "node-1")
    configuration.redis.url = RedisURL("redis://u:hunter2@r")
    configuration.redis.password = "hunter3"
    let text = configuration.render()
    #expect(!text.contains("hunter"))
    #expect(text.contains("  url: \"redis://u:***@r:6379\"\n"))
    #expect(text.contains("  password: \"***\"\n"))
    #expect(try load(text).redis.password == "***")
  }

  @Test func `Sections are written once`() {
    let lines = NodeConfiguration(nodeID: "node-1").render().split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.prefix(6) == ["node:", "  id: \"node-1\"", "server:", "  host: \"127.0.0.1\"", "  port: 8080", "  drainTimeout: 30s"])
    #expect(lines.filter { $0 == "highAvailability:" }.count == 1)
    #expect(lines.filter { $0 == "  leaderElection:" }.count == 1)
    #expect(lines.contains("    leaseDuration: 15s"))
    #expect(lines.contains("  requestBody: 8MiB"))
  }
}

@Suite struct ConfigurationValueTests {
  @Test(
    arguments: [
      ("redis://r", RedisConfiguration.Endpoint.host("r", port: 6_379), nil, nil, 0), ("redis://r:1/", .host("r", port: 1), nil, nil, 0),
      ("redis://r/15", .host("r", port: 6_379), nil, nil, 15), ("redis://:p@r", .host("r", port: 6_379), nil, "p", 0),
      ("redis://u:p@[::1]:2/3", .host("::1", port: 2), "u", "p", 3),
      ("redis://u:a:b@c/d@r", .host("r", port: 6_379), "u", "a:b@c/d", 0), ("redis://u:%41%2f@r", .host("r", port: 6_379), "u", "A/", 0),
      ("unix:///run/r.sock", .unixSocket(path: "/run/r.sock"), nil, nil, 0),
    ] as [(String, RedisConfiguration.Endpoint, String?, String?, Int)])
  func `A Redis URL is read`(
    text: String, endpoint: RedisConfiguration.Endpoint, username: String?, password: String?, database: Int
  ) throws {
    let url = try #require(RedisURL(text))
    #expect(url.endpoint == endpoint)
    #expect(url.username == username)
    #expect(url.password == password)
    #expect(url.database == database)
    #expect(!url.isTLS)
    #expect(RedisURL(url.text(secretsHidden: false)) == url)
  }

  @Test(
    arguments: [
      "", "r", "r:6379", "http://r", "redis:/r", "redis://", "redis://:1", "redis://r:0", "redis://r:65536", "redis://r:x", "redis://r:+1",
      "redis://r/x", "redis://r/-1", "redis://[::1", "redis://[::1]x", "redis://a:b:c", "redis://u:%4@r", "redis://u:%zz@r",
      "redis://u:%ff@r",
      "redis://u@r", "redis://r?db=1", "unix://", "unix://run/r", "redis://a b",
    ])
  func `An invalid Redis URL is refused`(text: String) {
    #expect(RedisURL(text) == nil)
  }

  @Test(arguments: [("8MiB", 8 << 20), ("1GiB", 1 << 30), ("512KiB", 512 << 10), ("1000", 1_000), ("7B", 7), ("0", 0)])
  func `A size is read`(text: String, bytes: Int) {
    #expect(ByteSize.bytes(text) == bytes)
    #expect(ByteSize.bytes(ByteSize.text(bytes)) == bytes)
  }

  @Test(arguments: ["", "MiB", "8MB", "8 MiB", "-1", "+1", "1.5MiB", "9999999999GiB", "8mib", "٣"])
  func `An invalid size is refused`(text: String) {
    #expect(ByteSize.bytes(text) == nil)
  }

  @Test(
    arguments: [
      ("port", "port", 0), ("prot", "port", 1), ("por", "port", 1), ("ports", "port", 1), ("part", "port", 1), ("", "port", 4),
      ("kitten", "sitting", 3),
    ])
  func `The distance between two words counts typing errors`(first: String, second: String, distance: Int) {
    #expect(NearestKey.distance(Array(first.utf8), Array(second.utf8)) == distance)
    #expect(NearestKey.distance(Array(second.utf8), Array(first.utf8)) == distance)
  }

  @Test func `The nearest key ignores case and leaves other words alone`() {
    let keys = ["host", "port", "drainTimeout"]
    #expect(NearestKey.of("DRAINTIMEOUT", among: keys) == "drainTimeout")
    #expect(NearestKey.of("drain_timeout", among: keys) == "drainTimeout")
    #expect(NearestKey.of("color", among: keys) == nil)
    #expect(NearestKey.of("x", among: keys) == nil)
    #expect(NearestKey.of(String(repeating: "port", count: 100), among: keys) == nil)
  }
}

@Suite struct ConfigurationFilesTests {
  @Test func `The flag names the file, then the environment, then the usual places`() {
    let environment = ["PARALLAX_CONFIG": "env.yaml"]
    let exists: (String) -> Bool = { $0 == "/etc/parallax/parallax.config.yaml" }
    #expect(ConfigurationFiles.locate(flag: "flag.yaml", environment: environment, exists: exists) == "flag.yaml")
    #expect(ConfigurationFiles.locate(flag: nil, environment: environment, exists: exists) == "env.yaml")
    #expect(
      ConfigurationFiles.locate(flag: nil, environment: ["PARALLAX_CONFIG": ""], exists: exists) == "/etc/parallax/parallax.config.yaml")
    #expect(ConfigurationFiles.locate(flag: nil, environment: [:], exists: { _ in true }) == "./parallax.config.yaml")
    #expect(ConfigurationFiles.locate(flag: nil, environment: [:], exists: { _ in false }) == nil)
  }

  @Test func `A file that cannot be read is refused with the reason`() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "unreadable-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let binary = folder.appending(path: "binary.yaml")
    try Data([0xFF, 0xFE, 0x00]).write(to: binary)
    for (path, reason) in [(folder.path, "is a folder"), (binary.path, "does not hold UTF-8 text"), (binary.path + "/x", "does not exist")]
    {
      let error = #expect(throws: ConfigurationError.self) { try ConfigurationFiles.load(config: path, flags: []) }
      #expect(error?.description == "\(path): the file \(reason)")
    }
    #expect(FileProblem(errno: EACCES).description == "cannot be read by this user: permission denied")
  }

  @Test func `A missing file that was named is a fault`() {
    let error = #expect(throws: ConfigurationError.self) { try ConfigurationFiles.load(config: "/nonexistent/parallax.yaml", flags: []) }
    #expect(error?.description == "/nonexistent/parallax.yaml: the file does not exist")
  }
}
