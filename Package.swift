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

/// A product that only the servers need: a consumer of `ParallaxHA` alone says `traits: []` and does not resolve it.
func server(_ product: String, _ package: String) -> Target.Dependency {
  .product(name: product, package: package, condition: .when(traits: ["Server"]))
}

func always(_ product: String, _ package: String) -> Target.Dependency {
  .product(name: product, package: package)
}

let nio: [Target.Dependency] = [server("NIOCore", "swift-nio"), server("NIOPosix", "swift-nio")]
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
    .library(name: "ParallaxTesting", targets: ["ParallaxTesting"]),
    .executable(name: "parallaxd", targets: ["parallaxd"]),
    .executable(name: "parallax", targets: ["parallax"]),
  ],
  traits: [
    .trait(name: "Server", description: "The daemon, its HTTP server and its Redis client: SwiftNIO, Hummingbird, TLS."),
    .default(enabledTraits: ["Server"]),
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
      dependencies: nio + [
        "ParallaxConcurrency", "ParallaxText",
        server("NIOSSL", "swift-nio-ssl"), server("Crypto", "swift-crypto"), server("Tracing", "swift-distributed-tracing"),
        always("DequeModule", "swift-collections"), logging, coreMetrics, lifecycle,
      ],
      swiftSettings: settings),
    .target(name: "ParallaxMetrics", dependencies: [coreMetrics], swiftSettings: settings),

    // Floor 2
    .target(
      name: "ParallaxRedisStores",
      dependencies: [
        "ParallaxConcurrency", "ParallaxText", "ParallaxHA", "ParallaxState", "ParallaxAPI", "ParallaxRedis", logging, lifecycle,
        server("NIOCore", "swift-nio"),
      ],
      swiftSettings: settings),
    .target(
      name: "ParallaxHTTP",
      dependencies: [
        "ParallaxConcurrency", "ParallaxText", "ParallaxAPI", "ParallaxHA", "ParallaxState", "ParallaxMetrics",
        server("Hummingbird", "hummingbird"),
        server("HummingbirdCore", "hummingbird"), server("NIOHTTP1", "swift-nio"), server("NIOWebSocket", "swift-nio"),
        server("NIOHTTPTypes", "swift-nio-extras"), server("NIOHTTPTypesHTTP1", "swift-nio-extras"),
        server("HTTPTypes", "swift-http-types"), logging, coreMetrics, lifecycle,
      ] + nio,
      swiftSettings: settings),

    // Floor 3
    .target(
      name: "ParallaxControlPlane",
      dependencies: [
        "ParallaxConcurrency", "ParallaxText", "ParallaxHA", "ParallaxAPI", "ParallaxState", "ParallaxRedis", "ParallaxRedisStores",
        "ParallaxMetrics",
        "ParallaxHTTP",
        server("Yams", "Yams"), server("Crypto", "swift-crypto"), server("NIOSSL", "swift-nio-ssl"),
        always("HeapModule", "swift-collections"), always("DequeModule", "swift-collections"), logging, coreMetrics, lifecycle,
      ] + nio,
      swiftSettings: settings),
    .target(
      name: "ParallaxTesting", dependencies: ["ParallaxConcurrency", "ParallaxHA", "ParallaxState", "ParallaxAPI"], swiftSettings: settings),

    // Floor 4
    .executableTarget(
      name: "parallaxd",
      dependencies: [
        "ParallaxControlPlane", "ParallaxAPI", "ParallaxMetrics", always("ArgumentParser", "swift-argument-parser"), logging, coreMetrics,
        lifecycle, always("UnixSignals", "swift-service-lifecycle"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "parallax",
      dependencies: [
        "ParallaxAPI", always("ArgumentParser", "swift-argument-parser"), server("AsyncHTTPClient", "async-http-client"),
        server("NIOFoundationCompat", "swift-nio"), server("NIOHTTP1", "swift-nio"),
      ] + nio,
      swiftSettings: settings),

    // Tests
    .target(
      name: "TestSupport",
      dependencies: [
        "ParallaxRedis", "ParallaxAPI", server("AsyncHTTPClient", "async-http-client"), server("NIOHTTP1", "swift-nio"), logging,
      ] + nio,
      path: "Tests/TestSupport", exclude: ["Preload"], swiftSettings: settings),
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
    .testTarget(name: "ParallaxAPITests", dependencies: ["ParallaxAPI"], swiftSettings: settings),
    .testTarget(
      name: "ParallaxStateTests", dependencies: ["ParallaxState", "ParallaxAPI", "ParallaxHA", "ParallaxTesting"], swiftSettings: settings),
    .testTarget(
      name: "ParallaxRedisTests",
      dependencies: [
        "ParallaxConcurrency", "ParallaxRedis", server("NIOEmbedded", "swift-nio"), always("DequeModule", "swift-collections"),
      ] + nio,
      exclude: ["Corpus"],
      swiftSettings: settings),
    .testTarget(name: "ParallaxMetricsTests", dependencies: ["ParallaxMetrics", coreMetrics], swiftSettings: settings),
    .testTarget(
      name: "ParallaxHTTPTests",
      dependencies: [
        "ParallaxHTTP", "ParallaxAPI", "ParallaxState", lifecycle, server("NIOEmbedded", "swift-nio"), server("NIOHTTP1", "swift-nio"),
        server("AsyncHTTPClient", "async-http-client"), server("NIOWebSocket", "swift-nio"), logging,
      ] + nio,
      swiftSettings: settings),
    .testTarget(
      name: "ParallaxControlPlaneTests",
      dependencies: [
        "ParallaxControlPlane", "ParallaxConcurrency", "ParallaxState", "ParallaxAPI", "ParallaxHA", "ParallaxMetrics", "ParallaxRedis",
        "ParallaxTesting", "TestSupport", logging, lifecycle,
      ] + nio,
      swiftSettings: settings),
    .testTarget(
      name: "RedisIntegrationTests",
      dependencies: [
        "ParallaxRedis", "ParallaxRedisStores", "ParallaxState", "ParallaxHA", "ParallaxAPI", "ParallaxTesting", "TestSupport", logging,
        server("NIOSSL", "swift-nio-ssl"), server("InMemoryTracing", "swift-distributed-tracing"),
        server("Tracing", "swift-distributed-tracing"),
        lifecycle, always("UnixSignals", "swift-service-lifecycle"),
      ] + nio,
      swiftSettings: settings),
    .testTarget(
      name: "SystemTests", dependencies: ["TestSupport", "ParallaxAPI", "parallaxd", "parallax"], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
