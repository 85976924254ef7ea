// swift-tools-version:6.2

import PackageDescription

/// Warnings are errors where the project is checked (`make test`), not where it is used: a newer compiler's new warning
/// must not break somebody's build.
let strict = Context.environment["PARALLAX_STRICT"] == "1"

let settings: [SwiftSetting] =
  [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ] + (strict ? [.treatAllWarnings(as: .error)] : [])

/// What a consumer can leave out, each behind a trait of its own.
///
/// A package is not even resolved where all that use it are behind traits that nobody asked for; `Scripts/check-consumers.sh` checks that.
enum Weight: String, CaseIterable {
  /// The Redis client and the stores on it.
  case redis = "Redis"
  /// Probes and metrics over HTTP.
  case http = "HTTP"
  /// A whole node, which needs both.
  case controlPlane = "ControlPlane"
  /// An agent.
  case agent = "Agent"
  /// `parallaxd` and `parallax`.
  case commandLine = "CommandLine"

  func product(_ name: String, _ package: String) -> Target.Dependency {
    .product(name: name, package: package, condition: .when(traits: [rawValue]))
  }

  var nio: [Target.Dependency] { [product("NIOCore", "swift-nio"), product("NIOPosix", "swift-nio")] }
}

func always(_ product: String, _ package: String) -> Target.Dependency {
  .product(name: product, package: package)
}

let redis = Weight.redis.product
let http = Weight.http.product
let node = Weight.controlPlane.product
let agent = Weight.agent.product
let tools = Weight.commandLine.product
let logging = always("Logging", "swift-log")
let coreMetrics = always("CoreMetrics", "swift-metrics")
let lifecycle = always("ServiceLifecycle", "swift-service-lifecycle")

let package = Package(
  name: "parallax-ha",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "ParallaxHA", targets: ["ParallaxHA"]),
    .library(name: "ParallaxState", targets: ["ParallaxState"]),
    .library(name: "ParallaxRedis", targets: ["ParallaxRedis"]),
    .library(name: "ParallaxRedisStores", targets: ["ParallaxRedisStores"]),
    .library(name: "ParallaxMetrics", targets: ["ParallaxMetrics"]),
    .library(name: "ParallaxAPI", targets: ["ParallaxAPI"]),
    .library(name: "ParallaxHTTP", targets: ["ParallaxHTTP"]),
    .library(name: "ParallaxControlPlane", targets: ["ParallaxControlPlane"]),
    .library(name: "ParallaxAgent", targets: ["ParallaxAgent"]),
    .library(name: "ParallaxTesting", targets: ["ParallaxTesting"]),
    .executable(name: "parallaxd", targets: ["parallaxd"]),
    .executable(name: "parallax", targets: ["parallax"]),
    .executable(name: "parallax-witness", targets: ["parallax-witness"]),
  ],
  traits: [
    .trait(name: "Redis", description: "ParallaxRedis and ParallaxRedisStores: SwiftNIO, TLS, tracing."),
    .trait(name: "HTTP", description: "ParallaxHTTP: SwiftNIO, Hummingbird."),
    .trait(name: "ControlPlane", description: "ParallaxControlPlane: both, and YAML.", enabledTraits: ["Redis", "HTTP"]),
    .trait(name: "Agent", description: "ParallaxAgent: SwiftNIO, TLS."),
    .trait(
      name: "CommandLine", description: "parallaxd and parallax: a node, arguments, an HTTP client.",
      enabledTraits: ["ControlPlane", "Agent"]),
    .default(enabledTraits: Set(Weight.allCases.map(\.rawValue))),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-distributed-tracing.git", from: "1.7.3"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
    .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
    .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
    .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
  ],
  targets: [
    // Floor 0
    .target(name: "ParallaxConcurrency", swiftSettings: settings),
    .target(name: "ParallaxText", swiftSettings: settings),
    .target(
      name: "ParallaxHA", dependencies: ["ParallaxConcurrency", "ParallaxText", logging, coreMetrics, lifecycle], swiftSettings: settings),
    .target(name: "ParallaxAPI", swiftSettings: settings),

    // Floor 1
    .target(
      name: "ParallaxState",
      dependencies: [
        "ParallaxConcurrency", "ParallaxHA", "ParallaxAPI", always("DequeModule", "swift-collections"),
        always("HeapModule", "swift-collections"), lifecycle,
      ],
      swiftSettings: settings),
    .target(
      name: "ParallaxRedis",
      dependencies: Weight.redis.nio + [
        "ParallaxConcurrency", "ParallaxText",
        redis("NIOSSL", "swift-nio-ssl"), redis("Crypto", "swift-crypto"), redis("Tracing", "swift-distributed-tracing"),
        always("DequeModule", "swift-collections"), logging, coreMetrics, lifecycle,
      ],
      swiftSettings: settings),
    .target(name: "ParallaxMetrics", dependencies: [coreMetrics], swiftSettings: settings),
    .target(
      name: "ParallaxAgent",
      dependencies: [
        "ParallaxConcurrency", "ParallaxAPI", agent("NIOHTTP1", "swift-nio"), agent("NIOWebSocket", "swift-nio"),
        agent("NIOSSL", "swift-nio-ssl"), logging, lifecycle,
      ] + Weight.agent.nio,
      swiftSettings: settings),

    // Floor 2
    .target(
      name: "ParallaxRedisStores",
      dependencies: [
        "ParallaxConcurrency", "ParallaxText", "ParallaxHA", "ParallaxState", "ParallaxAPI", "ParallaxRedis", logging, lifecycle,
        redis("NIOCore", "swift-nio"), redis("NIOPosix", "swift-nio"),
      ],
      swiftSettings: settings),
    .target(
      name: "ParallaxHTTP",
      dependencies: [
        "ParallaxConcurrency", "ParallaxAPI", "ParallaxMetrics", http("Hummingbird", "hummingbird"), http("HTTPTypes", "swift-http-types"),
        http("NIOCore", "swift-nio"), logging, lifecycle,
      ],
      swiftSettings: settings),
    .systemLibrary(name: "CParallaxZlib", providers: [.apt(["zlib1g-dev"]), .yum(["zlib-devel"])]),
    .target(
      name: "ParallaxServer",
      dependencies: [
        "CParallaxZlib", "ParallaxConcurrency", "ParallaxText", "ParallaxAPI", "ParallaxState", node("Crypto", "swift-crypto"),
        node("CryptoExtras", "swift-crypto"),
        node("Hummingbird", "hummingbird"), node("NIOSSL", "swift-nio-ssl"),
        node("HummingbirdCore", "hummingbird"), node("NIOHTTP1", "swift-nio"), node("NIOWebSocket", "swift-nio"),
        node("NIOHTTPTypes", "swift-nio-extras"), node("NIOHTTPTypesHTTP1", "swift-nio-extras"),
        node("HTTPTypes", "swift-http-types"), logging, lifecycle,
      ] + Weight.controlPlane.nio,
      exclude: ["UI"], swiftSettings: settings, plugins: ["EmbedFiles"]),
    .plugin(name: "EmbedFiles", capability: .buildTool(), dependencies: ["embed-files"]),
    .executableTarget(name: "embed-files", path: "Plugins/embed-files", swiftSettings: settings),
    .plugin(name: "EmbedCommit", capability: .buildTool(), dependencies: ["embed-commit"]),
    .executableTarget(name: "embed-commit", path: "Plugins/embed-commit", swiftSettings: settings),

    // Floor 3
    .target(
      name: "ParallaxWitness",
      dependencies: [
        "ParallaxConcurrency", "ParallaxText", "ParallaxHA", "ParallaxAPI", "ParallaxState", "ParallaxRedis", "ParallaxRedisStores",
        redis("NIOSSL", "swift-nio-ssl"), redis("NIOCore", "swift-nio"), redis("NIOPosix", "swift-nio"), logging,
      ],
      swiftSettings: settings),

    // Floor 4
    .target(
      name: "ParallaxControlPlane",
      dependencies: [
        "ParallaxConcurrency", "ParallaxText", "ParallaxHA", "ParallaxAPI", "ParallaxState", "ParallaxRedis", "ParallaxRedisStores",
        "ParallaxMetrics",
        "ParallaxServer", "ParallaxWitness",
        node("Yams", "Yams"), node("Crypto", "swift-crypto"), node("NIOSSL", "swift-nio-ssl"),
        always("HeapModule", "swift-collections"), always("DequeModule", "swift-collections"), logging, coreMetrics, lifecycle,
      ] + Weight.controlPlane.nio,
      swiftSettings: settings),
    .target(
      name: "ParallaxTesting", dependencies: ["ParallaxConcurrency", "ParallaxHA", "ParallaxState", "ParallaxAPI"], swiftSettings: settings),

    // Floor 5
    .executableTarget(
      name: "parallaxd",
      dependencies: [
        "ParallaxControlPlane", "ParallaxAPI", "ParallaxMetrics", "ParallaxWitness", tools("ArgumentParser", "swift-argument-parser"),
        logging,
        coreMetrics,
        lifecycle, always("UnixSignals", "swift-service-lifecycle"),
      ],
      swiftSettings: settings, plugins: ["EmbedCommit"]),
    .executableTarget(
      name: "parallax",
      dependencies: [
        "ParallaxAPI", "ParallaxAgent", "ParallaxControlPlane", "ParallaxText", tools("ArgumentParser", "swift-argument-parser"),
        tools("Crypto", "swift-crypto"), logging, lifecycle, always("UnixSignals", "swift-service-lifecycle"),
        tools("AsyncHTTPClient", "async-http-client"), tools("NIOFoundationCompat", "swift-nio"), tools("NIOHTTP1", "swift-nio"),
        tools("NIOSSL", "swift-nio-ssl"),
      ] + Weight.commandLine.nio,
      swiftSettings: settings, plugins: ["EmbedCommit"]),

    .executableTarget(
      name: "parallax-witness", dependencies: ["ParallaxWitness", "ParallaxHA", "ParallaxAPI", logging], swiftSettings: settings,
      plugins: ["EmbedCommit"]),

    // Tests
    .target(
      name: "TestSupport",
      dependencies: [
        "ParallaxRedis", "ParallaxAPI", tools("AsyncHTTPClient", "async-http-client"), tools("NIOHTTP1", "swift-nio"), logging,
      ] + Weight.commandLine.nio,
      path: "Tests/TestSupport", exclude: ["Preload"], swiftSettings: settings),
    .target(
      name: "ExecutionSimulation",
      dependencies: ["ParallaxControlPlane", "ParallaxState", "ParallaxAPI", "ParallaxHA", "ParallaxTesting"],
      path: "Tests/ExecutionSimulation", swiftSettings: settings),
    .executableTarget(
      name: "execution-simulation", dependencies: ["ExecutionSimulation"], path: "Tests/execution-simulation", swiftSettings: settings),
    .executableTarget(
      name: "election-simulation", dependencies: ["ParallaxTesting"], path: "Tests/election-simulation", swiftSettings: settings),
    .testTarget(name: "ParallaxTextTests", dependencies: ["ParallaxText"], swiftSettings: settings),
    .testTarget(name: "ParallaxConcurrencyTests", dependencies: ["ParallaxConcurrency", "ParallaxTesting"], swiftSettings: settings),
    .testTarget(
      name: "ParallaxHATests",
      dependencies: [
        "ParallaxConcurrency", "ParallaxHA", "ParallaxTesting", logging, coreMetrics, lifecycle,
        always("ServiceLifecycleTestKit", "swift-service-lifecycle"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "SimulationTests", dependencies: ["ParallaxHA", "ParallaxTesting"], exclude: ["Scenarios", "Corpus.txt"],
      swiftSettings: settings),
    .testTarget(
      name: "ExecutionSimulationTests", dependencies: ["ExecutionSimulation"], exclude: ["Corpus"], swiftSettings: settings),
    .testTarget(name: "ParallaxAPITests", dependencies: ["ParallaxAPI"], swiftSettings: settings),
    .testTarget(
      name: "ParallaxStateTests", dependencies: ["ParallaxState", "ParallaxAPI", "ParallaxHA", "ParallaxTesting"], swiftSettings: settings),
    .testTarget(
      name: "ParallaxRedisTests",
      dependencies: [
        "ParallaxConcurrency", "ParallaxRedis", "ParallaxTesting", "TestSupport", redis("NIOEmbedded", "swift-nio"),
        always("DequeModule", "swift-collections"),
      ] + Weight.redis.nio,
      exclude: ["Corpus"],
      swiftSettings: settings),
    .testTarget(
      name: "ParallaxAgentTests",
      dependencies: [
        "ParallaxAgent", "ParallaxAPI", "ParallaxConcurrency", agent("NIOHTTP1", "swift-nio"), agent("NIOWebSocket", "swift-nio"), logging,
        lifecycle,
      ] + Weight.agent.nio,
      swiftSettings: settings),
    .testTarget(name: "ParallaxMetricsTests", dependencies: ["ParallaxMetrics", coreMetrics], swiftSettings: settings),
    .testTarget(
      name: "ParallaxHTTPTests",
      dependencies: [
        "ParallaxHTTP", "ParallaxAPI", "ParallaxMetrics", "ParallaxTesting", http("Hummingbird", "hummingbird"),
        http("HTTPTypes", "swift-http-types"), http("NIOCore", "swift-nio"), tools("NIOHTTP1", "swift-nio"),
        tools("AsyncHTTPClient", "async-http-client"), logging, lifecycle,
      ],
      swiftSettings: settings),
    .testTarget(
      name: "ParallaxServerTests",
      dependencies: [
        "ParallaxServer", "ParallaxConcurrency", "ParallaxAPI", "ParallaxState", "TestSupport", lifecycle, node("NIOEmbedded", "swift-nio"),
        node("NIOHTTP1", "swift-nio"), node("NIOSSL", "swift-nio-ssl"), node("Crypto", "swift-crypto"),
        node("CryptoExtras", "swift-crypto"),
        tools("AsyncHTTPClient", "async-http-client"), node("NIOWebSocket", "swift-nio"), logging,
      ] + Weight.controlPlane.nio,
      swiftSettings: settings),
    .testTarget(
      name: "ParallaxWitnessTests",
      dependencies: ["ParallaxWitness", "ParallaxText", "ParallaxHA", "ParallaxAPI", "ParallaxRedis", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "ParallaxControlPlaneTests",
      dependencies: [
        "ParallaxControlPlane", "ParallaxConcurrency", "ParallaxState", "ParallaxAPI", "ParallaxHA", "ParallaxServer", "ParallaxMetrics",
        "ParallaxRedis", "ParallaxRedisStores", "ParallaxTesting", "ParallaxWitness", "TestSupport", logging, lifecycle,
        always("ServiceLifecycleTestKit", "swift-service-lifecycle"),
      ] + Weight.controlPlane.nio,
      swiftSettings: settings),
    .testTarget(
      name: "RedisIntegrationTests",
      dependencies: [
        "ParallaxConcurrency", "ParallaxRedis", "ParallaxRedisStores", "ParallaxState", "ParallaxHA", "ParallaxAPI", "ParallaxTesting",
        "TestSupport", logging,
        redis("NIOSSL", "swift-nio-ssl"), redis("InMemoryTracing", "swift-distributed-tracing"),
        redis("Tracing", "swift-distributed-tracing"),
        lifecycle, always("UnixSignals", "swift-service-lifecycle"),
      ] + Weight.redis.nio,
      swiftSettings: settings),
    .testTarget(
      name: "SystemTests",
      dependencies: [
        "TestSupport", "ParallaxAPI", "ParallaxHA", "ParallaxAgent", "ParallaxTesting", "ParallaxWitness", "parallaxd", "parallax",
        "parallax-witness", tools("ArgumentParser", "swift-argument-parser"), logging, lifecycle,
      ], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
