package import ParallaxHA

/// The faults of the simulated clusters.
package enum FaultMixes {
  private static let everything = FaultMix("").withNetworkFaults().withProcessFaults()

  private static func mix(_ name: String, _ base: FaultMix = everything, _ change: (inout FaultMix) -> Void = { _ in }) -> FaultMix {
    var mix = base
    mix.name = name
    change(&mix)
    return mix
  }

  package static let network = mix("lost, late and repeated messages", FaultMix("").withNetworkFaults(2)) { $0.cuts = 0.45 }
  package static let all = mix("all faults, data losses and operators") {
    $0.operations = 0.75
    $0.dataLosses = 0.45
  }
  package static let shortLease = mix("the same with a lease of a second", all) { $0.timings = .scaledToASecond }
  package static let clockRates = mix("clock rates as far apart as the timings allow", all) { $0.clockRateError = 0.13 }
  package static let fiveNodes = mix("five nodes", all) { $0.nodes = 5 }
  package static let oneNode = mix("one node", all) { $0.nodes = 1 }
  package static let twins = mix("two processes with one node id", all) { $0.hasTwins = true }
  package static let foreigner = mix("a node of another cluster") {
    $0.operations = 0.75
    $0.hasForeigner = true
  }
  package static let mixedLeases = mix("a rolling change of the lease") {
    $0.operations = 0.75
    $0.mixesLeases = true
  }
  package static let duties = mix("duties, some of which ignore cancellation, with handovers") {
    $0.checksDuties = true
    $0.stuckDuties = 0.2
    $0.operations = 0.4
    $0.resignations = 0.2
    $0.unfitness = 0.2
  }
  package static let operatorsForEver = mix("operators who never stop, with leaders that die") {
    $0.operations = 0.75
    $0.operatesForEver = true
    $0.operationKinds = [.stepDown, .stepDownTo, .elect, .force]
    $0.crashes = 0.7
  }
  package static let noHints = mix("all hints lost", all) { $0.losesHint = 1 }
  package static let reclaiming = mix("restarts that reclaim", all) {
    $0.reclaims = true
    $0.crashes = 0.7
  }
  package static let wallClocks = mix("wall clocks hours apart") {
    $0.wallClocksDiffer = true
    $0.operations = 0.4
    $0.crashes = 0.7
  }
  package static let dataLosses = mix("data losses and restarting standbys, and nothing else", FaultMix("")) {
    $0.dataLosses = 1.5
    $0.shortestTimeBetweenLosses = 0.4
    $0.expectsNoTransition = true
    $0.crashes = 1
    $0.sparesLeader = true
  }
  package static let failovers = mix("failovers that lose acknowledged writes") { $0.failovers = 0.5 }

  package static let witnesses = mix("crashes with witnesses, data losses and operators", all) {
    $0.crashes = 0.7
    $0.witnesses = 0.8
  }
  package static let witnessedDuties = mix("the same with duties", duties) {
    $0.crashes = 0.7
    $0.witnesses = 0.8
  }
  package static let witnessedFailovers = mix("the same with failovers", failovers) {
    $0.crashes = 0.7
    $0.witnesses = 0.8
  }

  package static let allOfThem = [
    network, all, shortLease, clockRates, fiveNodes, oneNode, twins, foreigner, mixedLeases, duties, operatorsForEver, noHints, reclaiming,
    wallClocks, dataLosses, failovers, witnesses, witnessedDuties, witnessedFailovers,
  ]

  package static let allSizes = mix("clusters of one to two hundred nodes", all) {
    $0.nodes = 200
    $0.varyNodes = true
  }

  // Mixes for defects that need tight timings.

  package static let tightDeadline = mix("a renew deadline near the lease, with slow replies", FaultMix("")) {
    $0.timings = .tight
    $0.delaysReply = 0.3
    $0.longestDelay = 0.26
    $0.cuts = 0.75
  }
  package static let lostCalls = mix("a fifth of the calls lost") {
    $0.losesRequest = 0.2
    $0.losesReply = 0.2
    $0.losesHint = 0.9
    $0.operations = 2
    $0.operationKinds = [.pause, .elect]
  }
  package static let lateReplies = mix("replies that get lost or come about as late as the deadline", FaultMix("")) {
    $0.losesReply = 0.3
    $0.delaysReply = 0.9
    $0.longestDelay = 0.16
  }
  package static let lateNotices = mix("late requests, also of witnesses, with crashes", FaultMix("")) {
    $0.delaysRequest = 0.4
    $0.longestDelay = 0.5
    $0.crashes = 1.5
    $0.witnesses = 1
  }
  package static let lateAcquisitions = mix("standbys that crash beside late requests, with witnesses", FaultMix("")) {
    $0.nodes = 2
    $0.delaysRequest = 0.4
    $0.longestDelay = 0.5
    $0.crashes = 3
    $0.witnesses = 1
    $0.operations = 3
    $0.operationKinds = [.stepDown]
  }
  package static let tooFastClocks = mix("clock rates farther apart than the timings allow") { $0.clockRateError = 0.25 }
}

extension ElectionTimings {
  package static let scaledToASecond = ElectionTimings(
    unchecked: .seconds(1), .milliseconds(667), .milliseconds(133), stopBudget: .milliseconds(100), callTimeout: .milliseconds(167),
    clockRateError: 0.05)

  package static let tight = ElectionTimings(
    unchecked: .seconds(15), .seconds(13), .seconds(2), stopBudget: .milliseconds(500), callTimeout: .seconds(4), clockRateError: 0)
}
