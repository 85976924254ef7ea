import Foundation
import ParallaxControlPlane
import Testing

/// The pipe that a witness hands to the node inside it; each test is a process of its own, since the environment is.
@Suite struct WitnessDescriptorTests {
  @Test func theWritingEndOfAPipeIsTakenAndHiddenFromOtherPrograms() async {
    await #expect(processExitsWith: .success) {
      var ends: [Int32] = [-1, -1]
      try #require(pipe(&ends) == 0)
      setenv("PARALLAX_WITNESS_DESCRIPTOR", "\(ends[1])", 1)
      #expect(WitnessDescriptor.take() == ends[1])
      #expect(getenv("PARALLAX_WITNESS_DESCRIPTOR") == nil)
      #expect(fcntl(ends[1], F_GETFD) & FD_CLOEXEC != 0)
      #expect(WitnessDescriptor.take() == nil)
    }
  }

  @Test func anythingElseIsLeftAlone() async {
    await #expect(processExitsWith: .success) {
      var ends: [Int32] = [-1, -1]
      try #require(pipe(&ends) == 0)
      let file = open("/dev/null", O_WRONLY)
      try #require(file > 2)
      for text in ["\(ends[0])", "\(file)", "2", "999", "-1", "", "many"] {
        setenv("PARALLAX_WITNESS_DESCRIPTOR", text, 1)
        #expect(WitnessDescriptor.take() == nil, "\(text)")
        #expect(getenv("PARALLAX_WITNESS_DESCRIPTOR") == nil, "\(text)")
      }
      #expect(fcntl(file, F_GETFD) & FD_CLOEXEC == 0)
    }
  }
}
