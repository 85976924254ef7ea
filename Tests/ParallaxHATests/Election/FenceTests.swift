import ParallaxHA
import Synchronization
import Testing

@Suite struct FenceTests {
  @Test func aResourceAdmitsTheSameFenceAndLaterTermsAlone() {
    let accepted = Fence(term: 5, incarnation: "a")
    #expect(accepted.admits(accepted))
    #expect(accepted.admits(Fence(term: 6, incarnation: "b")))
    #expect(!accepted.admits(Fence(term: 4, incarnation: "a")))
    #expect(!accepted.admits(Fence(term: 5, incarnation: "b")))
  }

  @Test func aGuardLetsWritesPassAsTheirFencesAllow() throws {
    let guarded = FenceGuard()
    var written: [String] = []
    let writes: [(Int64, String, Bool)] = [
      (5, "a", true), (5, "a", true), (5, "b", false), (4, "a", false), (6, "b", true), (5, "a", false), (6, "b", true),
    ]
    for (term, incarnation, isAccepted) in writes {
      let fence = Fence(term: term, incarnation: incarnation)
      if isAccepted {
        #expect(try guarded.perform(with: fence) { written.append("\(fence)") } == ())
        #expect(guarded.accepted == fence)
      } else {
        let error = #expect(throws: ElectionError.self) { try guarded.perform(with: fence) { written.append("never") } }
        #expect(error?.code == .staleFence)
      }
    }
    #expect(written == ["5:a", "5:a", "6:b", "6:b"])
  }

  @Test func aWriteThatFailsHasBeenAcceptedAllTheSame() {
    struct Failure: Error {}
    let guarded = FenceGuard(accepted: Fence(term: 1, incarnation: "a"))
    let fence = Fence(term: 2, incarnation: "b")
    #expect(throws: Failure.self) { try guarded.perform(with: fence) { throw Failure() } }
    #expect(guarded.accepted == fence)
    #expect(throws: ElectionError.self) { try guarded.accept(Fence(term: 1, incarnation: "a")) }
  }

  @Test func aDeposedLeaderIsRefusedHoweverManyWriteAtOnce() async {
    final class Ledger: Sendable {
      let terms = Mutex<[Int64]>([])
    }
    let (guarded, ledger) = (FenceGuard(), Ledger())
    await withTaskGroup(of: Void.self) { group in
      for term in 1...200 as ClosedRange<Int64> {
        group.addTask {
          try? guarded.perform(with: Fence(term: term, incarnation: "n")) { ledger.terms.withLock { $0.append(term) } }
        }
      }
    }
    let accepted = ledger.terms.withLock { $0 }
    #expect(accepted == accepted.sorted())
    #expect(accepted.last == 200)
  }
}
