import ParallaxHA
import Synchronization
import Testing

@Suite struct FencingTests {
  @Test func aResourceAcceptsOnlyTheSameTokenAndLaterTerms() {
    let accepted = FencingToken(term: 5, incarnation: "a")
    #expect(accepted.admits(accepted))
    #expect(accepted.admits(FencingToken(term: 6, incarnation: "b")))
    #expect(!accepted.admits(FencingToken(term: 4, incarnation: "a")))
    #expect(!accepted.admits(FencingToken(term: 5, incarnation: "b")))
  }

  @Test func aGuardAcceptsWritesByTheirTokens() throws {
    let guarded = FencingGuard()
    var written: [String] = []
    let writes: [(Int64, String, Bool)] = [
      (5, "a", true), (5, "a", true), (5, "b", false), (4, "a", false), (6, "b", true), (5, "a", false), (6, "b", true),
    ]
    for (term, incarnation, isAccepted) in writes {
      let token = FencingToken(term: term, incarnation: incarnation)
      if isAccepted {
        #expect(try guarded.perform(with: token) { written.append("\(token)") } == ())
        #expect(guarded.accepted == token)
      } else {
        let error = #expect(throws: ElectionError.self) { try guarded.perform(with: token) { written.append("never") } }
        #expect(error?.code == .staleFencingToken)
      }
    }
    #expect(written == ["5:a", "5:a", "6:b", "6:b"])
  }

  @Test func aFailedWriteCountsAsAccepted() {
    struct Failure: Error {}
    let guarded = FencingGuard(accepted: FencingToken(term: 1, incarnation: "a"))
    let token = FencingToken(term: 2, incarnation: "b")
    #expect(throws: Failure.self) { try guarded.perform(with: token) { throw Failure() } }
    #expect(guarded.accepted == token)
    #expect(throws: ElectionError.self) { try guarded.accept(FencingToken(term: 1, incarnation: "a")) }
  }

  @Test func aDeposedLeaderIsRefusedAmongConcurrentWrites() async {
    final class Ledger: Sendable {
      let terms = Mutex<[Int64]>([])
    }
    let (guarded, ledger) = (FencingGuard(), Ledger())
    await withTaskGroup(of: Void.self) { group in
      for term in 1...200 as ClosedRange<Int64> {
        group.addTask {
          try? guarded.perform(with: FencingToken(term: term, incarnation: "n")) { ledger.terms.withLock { $0.append(term) } }
        }
      }
    }
    let accepted = ledger.terms.withLock { $0 }
    #expect(accepted == accepted.sorted())
    #expect(accepted.last == 200)
  }
}
