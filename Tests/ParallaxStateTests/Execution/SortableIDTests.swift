import ParallaxAPI
import ParallaxState
import Testing

@Suite struct SortableIDTests {
  @Test func idsSortByTheTimeOfCreation() {
    var generator = SystemRandomNumberGenerator()
    let instants: [Int64] = [0, 1, 31, 32, 1_023, 1_768_473_000_250, 1_768_473_000_251, 281_474_976_710_655]
    let ids = instants.map { SortableID.make(prefix: "exec", at: Timestamp(milliseconds: $0), using: &generator) }
    #expect(ids == ids.sorted())
    #expect(ids.map { SortableID.timestamp(of: $0)?.milliseconds } == instants)
  }

  @Test func anIDIsAPrefixAnd26Digits() {
    struct Ones: RandomNumberGenerator { func next() -> UInt64 { .max } }
    var ones = Ones()
    // The time of the example in the ULID specification.
    let id = SortableID.make(prefix: "exec", at: Timestamp(milliseconds: 1_469_918_176_385), using: &ones)
    #expect(id == "exec_01aryz6s41" + String(repeating: "z", count: 16))
  }

  @Test func idsOfOneMillisecondDiffer() {
    var generator = SystemRandomNumberGenerator()
    let ids = (0..<10_000).map { _ in SortableID.make(prefix: "task", at: Timestamp(milliseconds: 5), using: &generator) }
    #expect(Set(ids).count == ids.count)
  }

  @Test func anInstantBefore1970CountsAs1970() {
    var generator = SystemRandomNumberGenerator()
    let id = SortableID.make(prefix: "exec", at: Timestamp(milliseconds: -1), using: &generator)
    #expect(SortableID.timestamp(of: id) == Timestamp(milliseconds: 0))
  }

  @Test(arguments: [
    "", "exec", "exec_", "exec_01", "exec_0123456789abcdefghjkmnpqrs0", "exec_zzzzzzzzzz0000000000000000",
    "exec_01ARYZ6S410000000000000000",
    "exec_01aryz6s41000000000000000u", "01aryz6s410000000000000000", "exec_01aryz6s41000000000000000é",
  ])
  func anInvalidIDHasNoTime(_ id: String) {
    #expect(SortableID.timestamp(of: id) == nil)
  }
}
