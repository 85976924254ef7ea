import Testing

@testable import ParallaxServer

@Suite struct PerMessageDeflateTests {
  private static let base = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

  private func response(_ values: String...) -> String? {
    PerMessageDeflate.accept(values)?.response
  }

  @Test(
    arguments: [
      "permessage-deflate", "permessage-deflate; client_max_window_bits", "permessage-deflate;client_max_window_bits=15",
      "permessage-deflate; client_max_window_bits=8", "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
      #"permessage-deflate ; client_max_window_bits = "10""#,
    ])
  func `Neither side keeps its window between messages, whatever is offered`(offer: String) {
    #expect(response(offer) == Self.base)
  }

  @Test(arguments: 9...15)
  func `The limit of the server's window is agreed to`(bits: Int32) {
    #expect(response("permessage-deflate; server_max_window_bits=\(bits)") == Self.base + "; server_max_window_bits=\(bits)")
    #expect(PerMessageDeflate.accept(["permessage-deflate; server_max_window_bits=\(bits)"])?.windowBits == bits)
    #expect(PerMessageDeflate.accept(["permessage-deflate"])?.windowBits == 15)
  }

  @Test(
    arguments: [
      "permessage-deflate; unknown", "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=",
      "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=8",
      "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
      "permessage-deflate; server_max_window_bits=010", "permessage-deflate; server_max_window_bits=+9",
      "permessage-deflate; client_max_window_bits=7", "permessage-deflate; client_max_window_bits=16",
      "permessage-deflate; client_max_window_bits=", #"permessage-deflate; client_max_window_bits="9"#,
      "permessage-deflate; client_max_window_bits; client_max_window_bits",
      "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "permessage-deflate;", "permessage-deflate; =",
      "permessage-bzip2", "x-webkit-deflate-frame", "", ",", #"other; a="b, permessage-deflate""#,
    ])
  func `An offer that is not valid, or not known, is declined`(offer: String) {
    #expect(response(offer) == nil)
  }

  @Test func `The first offer that is valid counts, in whichever header it is`() {
    let small = "permessage-deflate; server_max_window_bits=8"
    let nine = "permessage-deflate; server_max_window_bits=9"
    #expect(response("\(small), \(nine), permessage-deflate") == Self.base + "; server_max_window_bits=9")
    #expect(response("other, \(small)", #"quoted; a="\", ;", permessage-deflate"#) == Self.base)
  }
}
