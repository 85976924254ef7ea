import ParallaxHA
import Testing

@testable import ParallaxControlPlane

@Suite struct RecordAdoptionTests {
  private static let session = NodeSession(nodeID: "me", incarnation: "2")
  private static let alone = RecordAdoption.aloneClusterID

  @Test(arguments: [alone, "production"]) func anAbsentOrOwnRecordNeedsNoAdoption(clusterID: String) {
    var adoption = RecordAdoption(session: Self.session, clusterID: clusterID)
    #expect(adoption.read(nil, now: .zero) == .takePart)
    #expect(adoption.read(record(clusterID, leader: "former"), now: .zero) == .takePart)
  }

  @Test func aRecordOfAnotherClusterIsNotAdopted() {
    var adoption = RecordAdoption(session: Self.session, clusterID: "staging")
    #expect(adoption.read(record("production", leader: nil), now: .zero) == .refuse(cluster: "production"))
    #expect(adoption.read(record("production", leader: "other"), now: .seconds(99)) == .refuse(cluster: "production"))
  }

  /// Terms keep growing when high availability is turned on or off for a store.
  @Test(arguments: [(alone, "production"), ("production", alone)])
  func aReleasedRecordIsAdoptedWithItsTerm(found: String, own: String) {
    var adoption = RecordAdoption(session: Self.session, clusterID: own)
    guard case .write(let written) = adoption.read(record(found, leader: nil), now: .zero) else {
      Issue.record("nothing was to be written")
      return
    }
    #expect(written.clusterID == own && written.isReleased && written.incarnation == "2")
    #expect(written.term == 7 && written.transitionCount == 4 && written.sequence == 10 && written.renewalCount == 6)
    #expect(adoption.read(written, now: .zero) == .takePart)
  }

  @Test(arguments: [(alone, "production"), ("production", alone)])
  func anUnreleasedLeaseIsAwaited(found: String, own: String) {
    var adoption = RecordAdoption(session: Self.session, clusterID: own)
    let held = record(found, leader: "other")
    #expect(adoption.read(held, now: .seconds(100)) == .wait(.seconds(15)))
    #expect(adoption.read(held, now: .seconds(110)) == .wait(.seconds(5)))
    var renewed = held
    renewed.renewalCount += 1
    #expect(adoption.read(renewed, now: .seconds(111)) == .wait(.seconds(15)))
    #expect(adoption.read(renewed, now: .seconds(125)) == .wait(.seconds(1)))
    guard case .write(let written) = adoption.read(renewed, now: .seconds(126)) else {
      Issue.record("nothing was to be written")
      return
    }
    #expect(written.isReleased && written.clusterID == own)
  }

  private func record(_ clusterID: String, leader: String?) -> ElectionRecord {
    ElectionRecord(
      clusterID: clusterID, leader: leader, incarnation: "1", term: 7, renewalCount: 5, sequence: 9, transitionCount: 4,
      leaseDuration: .seconds(15))
  }
}
