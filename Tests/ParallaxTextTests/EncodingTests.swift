import ParallaxText
import Testing

@Suite struct HexadecimalTests {
  @Test func bytesHaveTwoDigitsEach() {
    #expect(Hexadecimal.text(of: [0, 1, 0x0F, 0x10, 0xAB, 0xFF]) == "00010f10abff")
    #expect(Hexadecimal.text(of: [UInt8]()) == "")
  }

  @Test func numbersHaveTheWidthOfTheirType() {
    #expect(Hexadecimal.text(of: UInt64(0xA1)) == "00000000000000a1")
    #expect(Hexadecimal.text(of: UInt64.max) == "ffffffffffffffff")
    #expect(Hexadecimal.text(of: UInt8(7)) == "07")
    #expect(Hexadecimal.text(of: UInt32(0x1_F600)) == "0001f600")
  }

  @Test func onlyDigitsAreDecoded() {
    for byte in UInt8.min...UInt8.max {
      // Int(_:radix:) takes a sign for a part of the number.
      let isSign = byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
      let expected = isSign ? nil : UInt8(String(Unicode.Scalar(byte)), radix: 16)
      #expect(Hexadecimal.value(of: byte) == expected)
    }
  }
}

@Suite struct PercentEncodingTests {
  @Test(arguments: ["", "abc-._~XYZ019", "a b+c", "100%", "{slot}", "Grüße 🙂", "/a?b=c&d#e:@", "\u{0}\u{7F}"])
  func encodedTextsDecodeToThemselves(text: String) throws {
    let encoded = PercentEncoding.encode(text)
    #expect(encoded.utf8.allSatisfy { PercentEncoding.isUnreserved($0) || $0 == UInt8(ascii: "%") })
    #expect(try PercentEncoding.decode(encoded[...]) == text)
  }

  @Test func encodingUsesUpperCaseDigitsOfTwo() {
    #expect(PercentEncoding.encode("a\n/ü") == "a%0A%2F%C3%BC")
  }

  @Test func theCallerChoosesTheUnescapedCharacters() {
    #expect(PercentEncoding.encode("a{b} %", keeping: { !"{}%".utf8.contains($0) }) == "a%7Bb%7D %25")
  }

  @Test func aPlusIsASpaceOnlyOnRequest() throws {
    #expect(try PercentEncoding.decode("a+b%2Bc") == "a+b+c")
    #expect(try PercentEncoding.decode("a+b%2Bc", plusIsSpace: true) == "a b+c")
  }

  @Test(arguments: ["%", "%4", "a%4", "%G0", "%0G", "%+1", "%%41", "% 41"])
  func brokenEscapesAreRefused(text: String) {
    #expect(throws: PercentEncoding.Fault.brokenEscape) { try PercentEncoding.decode(text[...]) }
  }

  @Test func normalizationDecodesUnreservedBytesOnly() throws {
    #expect(try PercentEncoding.normalize("/%61%2D%7e%2Fb%20%C3%bC%25") == "/a-~%2Fb%20%C3%bC%25")
    #expect(throws: PercentEncoding.Fault.brokenEscape) { try PercentEncoding.normalize("/a%4") }
  }

  @Test func invalidUTF8IsRefused() {
    #expect(throws: PercentEncoding.Fault.notUTF8) { try PercentEncoding.decode("%C3%28") }
  }
}

@Suite struct SecretTests {
  @Test func nothingShowsASecret() {
    let holder = (name: "holder", secrets: [Secret("hidden-1"), Secret("hidden-2")])
    var shown = "\(holder) \(String(reflecting: holder))"
    dump(holder, to: &shown)
    #expect(shown.contains("holder") && !shown.contains("hidden"))
    #expect(Secret("a").text == "a" && Secret("a") == Secret("a") && Secret("a") != Secret("b"))
  }
}
