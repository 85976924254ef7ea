import Foundation
import Testing

@testable import ParallaxServer

@Suite struct DateHeaderTests {
  @Test func usesTheFormatOfTheRFCAndFollowsTheClock() {
    let header = DateHeader()
    #expect(header.value(at: Date(timeIntervalSince1970: 784_111_777.2)) == "Sun, 06 Nov 1994 08:49:37 GMT")
    #expect(header.value(at: Date(timeIntervalSince1970: 784_111_777.9)) == "Sun, 06 Nov 1994 08:49:37 GMT")
    #expect(header.value(at: Date(timeIntervalSince1970: 784_111_778)) == "Sun, 06 Nov 1994 08:49:38 GMT")
  }
}
