import Testing

@testable import ParallaxServer

@Suite struct RequestIDTests {
  @Test(arguments: ["a", "8c7d-1", "Root=1-67891233-abcdef012345678912345678", "a/b+c=@:._-"])
  func takesUsableIDs(id: String) {
    #expect(RequestID.make(from: id) == id)
  }

  @Test(arguments: ["", " ", "a b", "a\nb", "\"", "é", String(repeating: "a", count: 129)])
  func replacesOthers(id: String) {
    let made = RequestID.make(from: id)
    #expect(made.hasPrefix("req_") && made.utf8.count == 20)
  }
}
