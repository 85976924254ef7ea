import Foundation
import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("RESP corpus")
struct RESPCorpusTests {
  /// Inputs that the fuzzer has found to reach different code; `Scripts/fuzz.sh 60 merge` updates them.
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
    path: "Corpus")

  private static func files() throws -> [URL] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { folder.appending(path: $0) }
  }

  /// The result of a decoder: its values, with NaN equal to itself, and its error.
  private struct Outcome: Equatable {
    var values: [String] = []
    var error: RESPDecodingError?
  }

  private static func decode(_ bytes: [UInt8], limits: RESPLimits = RESPLimits(), chunk: () -> Int) -> Outcome {
    var decoder = RESPDecoder(limits: limits)
    var outcome = Outcome()
    var start = 0
    do throws(RESPDecodingError) {
      while start < bytes.count {
        let end = min(bytes.count, start + chunk())
        decoder.feed(ByteBuffer(bytes: bytes[start..<end]))
        start = end
        while let value = try decoder.next() { outcome.values.append(description(of: value)) }
      }
    } catch {
      outcome.error = error
    }
    return outcome
  }

  private static func description(of value: RESPValue) -> String {
    if let elements = value.array {
      let kind =
        switch value {
        case .set: "set"
        case .map: "map"
        case .push: "push"
        default: "array"
        }
      return "\(kind)(\(elements.map(description).joined(separator: ", ")))"
    }
    guard let bytes = value.bytes else { return "\(value)" }
    let kind = "\(value)".prefix { $0 != "(" }
    return "\(kind)(\(Array(bytes.readableBytesView)))"
  }

  @Test("Every input of the kept corpus gives the same values and the same error in one piece, byte by byte and in other chunks")
  func replay() throws {
    let files = try Self.files()
    #expect(files.count >= 20, "the corpus is missing at \(Self.folder.path)")
    let tight = RESPLimits(depth: 3, lineLength: 12, stringLength: 24, elements: 6, replyLength: 72)
    for (index, file) in files.enumerated() {
      let bytes = try Array(Data(contentsOf: file))
      for limits in [RESPLimits(), tight] {
        let whole = Self.decode(bytes, limits: limits) { bytes.count }
        #expect(Self.decode(bytes, limits: limits) { 1 } == whole, "\(file.lastPathComponent), byte by byte")
        var state = UInt64(index)
        for _ in 0..<4 {
          let chunked = Self.decode(bytes, limits: limits) {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return 1 + Int(state >> 33) % 24
          }
          #expect(chunked == whole, "\(file.lastPathComponent), in chunks")
        }
      }
    }
  }
}
