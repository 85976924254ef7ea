import Foundation
import ParallaxControlPlane
import Testing

/// The pipe that a witness hands to the node inside it.
@Suite struct WitnessDescriptorTests {
  @Test func theWritingEndOfAPipeIsTakenAndHiddenFromOtherPrograms() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    #expect(WitnessDescriptor.take("\(ends[1])") == ends[1])
    #expect(fcntl(ends[1], F_GETFD) & FD_CLOEXEC != 0)
  }

  @Test func anythingElseIsLeftAlone() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    let file = open("/dev/null", O_WRONLY)
    try #require(file > 2)
    defer { for descriptor in ends + [file] { close(descriptor) } }
    for number in ["\(ends[0])", "\(file)", "2", "999999", "-1", "", "many"] { #expect(WitnessDescriptor.take(number) == nil, "\(number)") }
    #expect(fcntl(file, F_GETFD) & FD_CLOEXEC == 0)
  }
}
