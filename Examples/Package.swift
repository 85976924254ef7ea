// swift-tools-version:6.2

import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]
let election: Target.Dependency = .product(name: "ParallaxHA", package: "parallax-ha")
let redisStores: Target.Dependency = .product(name: "ParallaxRedisStores", package: "parallax-ha", condition: .when(traits: ["Redis"]))
let redis: Target.Dependency = .product(name: "ParallaxRedis", package: "parallax-ha", condition: .when(traits: ["Redis"]))
let testing: Target.Dependency = .product(name: "ParallaxTesting", package: "parallax-ha")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
  name: "parallax-examples",
  platforms: [.macOS(.v15)],
  traits: [.trait(name: "Redis", description: "EmbeddedElection over Redis too: swift run --traits Redis EmbeddedElection …")],
  dependencies: [
    // Without traits: no SwiftNIO, no server, nothing that an election does not need. With Redis: the client, and so SwiftNIO.
    .package(name: "parallax-ha", path: "..", traits: [.trait(name: "Server", condition: .when(traits: ["Redis"]))]),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
  ],
  targets: [
    .executableTarget(
      name: "EmbeddedElection", dependencies: ["CustomElectionStore", election, lifecycle, signals, logging, redis, redisStores],
      swiftSettings: settings),
    .executableTarget(
      name: "PeriodicJob", dependencies: ["CustomElectionStore", election, lifecycle, signals, logging], swiftSettings: settings),
    .target(name: "CustomElectionStore", dependencies: [election], swiftSettings: settings),
    .target(name: "UnitTestingYourService", dependencies: [election, lifecycle], swiftSettings: settings),
    .testTarget(
      name: "CustomElectionStoreTests", dependencies: ["CustomElectionStore", election, testing, logging], swiftSettings: settings),
    .testTarget(
      name: "UnitTestingYourServiceTests", dependencies: ["UnitTestingYourService", election, testing, logging], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
