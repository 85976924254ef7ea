// swift-tools-version:6.2

import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")

/// The folder RESP of each executable is a link to the decoder's sources: its types are internal to their module, each tool builds them
/// with other flags, and neither needs the rest of the client.
let notDecoding = ["RESP/RESPEncoder.swift"]

let package = Package(
  name: "oracle",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2")
  ],
  targets: [
    // The differential test
    .systemLibrary(name: "CHiredis", pkgConfig: "hiredis", providers: [.apt(["libhiredis-dev"]), .brew(["hiredis"])]),
    .target(name: "HiredisReader", dependencies: ["CHiredis"]),
    .executableTarget(
      name: "resp-oracle", dependencies: ["HiredisReader", nio], exclude: notDecoding, swiftSettings: settings),

    // The libFuzzer target; the linker has to be LLVM's, as GNU's refuses libFuzzer's main function beside the target's.
    .systemLibrary(name: "CLibFuzzer"),
    .executableTarget(
      name: "resp-fuzzer", dependencies: ["CLibFuzzer", nio], exclude: notDecoding,
      swiftSettings: settings + [.unsafeFlags(["-sanitize=fuzzer", "-parse-as-library"])],
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
  ],
  swiftLanguageModes: [.v6]
)
