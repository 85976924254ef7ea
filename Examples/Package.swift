// swift-tools-version:6.2

import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]
let election: Target.Dependency = .product(name: "ParallaxHA", package: "parallax-ha")
let state: Target.Dependency = .product(name: "ParallaxState", package: "parallax-ha")
let api: Target.Dependency = .product(name: "ParallaxAPI", package: "parallax-ha")
let redisStores: Target.Dependency = .product(name: "ParallaxRedisStores", package: "parallax-ha", condition: .when(traits: ["Redis"]))
let redis: Target.Dependency = .product(name: "ParallaxRedis", package: "parallax-ha", condition: .when(traits: ["Redis"]))
let probes: Target.Dependency = .product(name: "ParallaxHTTP", package: "parallax-ha", condition: .when(traits: ["HTTP"]))
let metrics: Target.Dependency = .product(name: "ParallaxMetrics", package: "parallax-ha", condition: .when(traits: ["HTTP"]))
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["HTTP"]))
let agent: Target.Dependency = .product(name: "ParallaxAgent", package: "parallax-ha", condition: .when(traits: ["Agent"]))
let controlPlane: Target.Dependency = .product(
  name: "ParallaxControlPlane", package: "parallax-ha", condition: .when(traits: ["ControlPlane"]))
let testing: Target.Dependency = .product(name: "ParallaxTesting", package: "parallax-ha")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
  name: "parallax-examples",
  platforms: [.macOS(.v15)],
  traits: [
    .trait(name: "Redis", description: "EmbeddedElection and ExecutionState over Redis too: swift run --traits Redis EmbeddedElection …"),
    .trait(name: "HTTP", description: "Probes: swift run --traits HTTP Probes"),
    .trait(name: "Agent", description: "Agent: swift run --traits Agent Agent"),
    .trait(name: "ControlPlane", description: "EmbeddedNode: swift run --traits ControlPlane EmbeddedNode"),
  ],
  dependencies: [
    // Without a trait, no SwiftNIO. Redis adds the Redis client, HTTP a web server, ControlPlane the node.
    .package(
      name: "parallax-ha", path: "..",
      traits: [
        .trait(name: "Redis", condition: .when(traits: ["Redis"])), .trait(name: "HTTP", condition: .when(traits: ["HTTP"])),
        .trait(name: "Agent", condition: .when(traits: ["Agent"])),
        .trait(name: "ControlPlane", condition: .when(traits: ["ControlPlane"])),
      ]),
    .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
  ],
  targets: [
    .executableTarget(
      name: "EmbeddedElection", dependencies: ["CustomElectionStore", election, lifecycle, signals, logging, redis, redisStores],
      swiftSettings: settings),
    .executableTarget(
      name: "PeriodicJob", dependencies: ["CustomElectionStore", election, lifecycle, signals, logging], swiftSettings: settings),
    .executableTarget(name: "SupervisedWorkers", dependencies: ["CustomElectionStore", election], swiftSettings: settings),
    .executableTarget(name: "ExecutionState", dependencies: [state, api, election, logging, redis, redisStores], swiftSettings: settings),
    .executableTarget(
      name: "EmbeddedNode", dependencies: [controlPlane, state, api, lifecycle, signals, logging], swiftSettings: settings),
    .executableTarget(name: "Agent", dependencies: [agent, lifecycle, signals, logging], swiftSettings: settings),
    .executableTarget(name: "AgentProtocol", dependencies: [api], swiftSettings: settings),
    .executableTarget(name: "Probes", dependencies: [probes, metrics, hummingbird, lifecycle, signals, logging], swiftSettings: settings),
    .target(name: "CustomElectionStore", dependencies: [election], swiftSettings: settings),
    .target(name: "UnitTestingYourService", dependencies: [election, lifecycle], swiftSettings: settings),
    .testTarget(
      name: "CustomElectionStoreTests", dependencies: ["CustomElectionStore", election, testing, logging], swiftSettings: settings),
    .testTarget(
      name: "UnitTestingYourServiceTests", dependencies: ["UnitTestingYourService", election, testing, logging], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
