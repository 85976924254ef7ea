// swift-tools-version:6.2

import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let core: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let posix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")

let package = Package(
  name: "benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "parallax-ha", path: ".."),
    .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
  ],
  targets: [
    .target(name: "BenchmarkSupport", swiftSettings: settings),
    .executableTarget(name: "executions-bench", dependencies: ["BenchmarkSupport", core, posix, arguments], swiftSettings: settings),
    .executableTarget(
      name: "redis-bench",
      dependencies: [
        "BenchmarkSupport", .product(name: "ParallaxRedis", package: "parallax-ha"), core, arguments,
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    // The handler is internal to the node, and compiled here too, by links to its folder and to that of zlib's headers.
    .systemLibrary(name: "BenchmarkZlib", path: "Sources/CParallaxZlib", providers: [.apt(["zlib1g-dev"])]),
    .executableTarget(
      name: "websocket-echo",
      dependencies: [
        "BenchmarkSupport", "BenchmarkZlib", core, posix, arguments, .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
      ],
      exclude: ["WebSocket/AgentGateway.swift", "WebSocket/WebSocketHandshake.swift"], swiftSettings: settings),
    .target(name: "CHiredis", linkerSettings: [.linkedLibrary("hiredis")]),
    // The decoder is internal to the client, and to be measured as the client uses it: compiled here too, by a link to its folder.
    .executableTarget(
      name: "resp-bench", dependencies: ["CHiredis", core, arguments], exclude: ["RESP/RESPEncoder.swift"], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
