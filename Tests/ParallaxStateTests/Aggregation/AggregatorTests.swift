import ParallaxAPI
import ParallaxState
import Testing

@Suite struct AggregatorTests {
  private func vote(_ votes: [(JSONValue, Double?)]) -> [TaskRecord] {
    votes.enumerated().map { Sample.task($0.offset, result: $0.element.0, confidence: $0.element.1) }
  }

  private func aggregate(_ aggregation: Aggregation, _ votes: [(JSONValue, Double?)]) throws -> JSONValue {
    try Aggregator.aggregate(aggregation, tasks: vote(votes))
  }

  private func failure(_ aggregation: Aggregation, _ tasks: [TaskRecord]) throws -> ExecutionFailure {
    try #require(#expect(throws: ExecutionFailure.self) { try Aggregator.aggregate(aggregation, tasks: tasks) })
  }

  // MARK: first, all, merge

  @Test func firstTakesTheCompletedTask() throws {
    let tasks = [Sample.task(0, state: .cancelled), Sample.task(1, result: ["x": 1]), Sample.task(2, state: .failed)]
    #expect(try Aggregator.aggregate(.first, tasks: tasks) == ["x": 1])
    #expect(try Aggregator.aggregate(.first, tasks: [Sample.task(0)]) == .null)
  }

  @Test func allKeepsTheOrderOfSlotsAndOmitsFailedTasks() throws {
    let tasks = [Sample.task(2, result: "c"), Sample.task(0, result: "a"), Sample.task(1, state: .failed), Sample.task(3)]
    #expect(try Aggregator.aggregate(Aggregation(strategy: .all), tasks: tasks) == ["results": ["a", "c", nil]])
  }

  @Test func mergeKeepsTheMemberOfTheLaterTask() throws {
    let tasks = [Sample.task(1, result: ["b": 2, "c": ["y": 2]]), Sample.task(0, result: ["a": 1, "b": 1, "c": ["x": 1]])]
    #expect(try Aggregator.aggregate(Aggregation(strategy: .merge), tasks: tasks) == ["a": 1, "b": 2, "c": ["y": 2]])
  }

  @Test(arguments: [JSONValue.null, "text", 1, [1], true])
  func mergeRefusesOtherValuesThanObjects(_ result: JSONValue) throws {
    let failure = try failure(Aggregation(strategy: .merge), [Sample.task(0, result: ["a": 1]), Sample.task(1, result: result)])
    #expect(failure.code == "AGGREGATION_FAILED")
    #expect(failure.message.contains("agent_1"))
  }

  @Test(arguments: Aggregation.Strategy.allCases)
  func withoutAnyResultThereIsNone(_ strategy: Aggregation.Strategy) throws {
    let failure = try failure(Aggregation(strategy: strategy), [Sample.task(0, state: .failed), Sample.task(1, state: .cancelled)])
    #expect(failure.code == "AGGREGATION_FAILED")
  }

  // MARK: voting

  @Test func theMajorityOfAFieldWinsWithTheEarliestWinnersResult() throws {
    let result = try aggregate(
      Aggregation(strategy: .voting, method: .majority, field: "category"),
      [
        (["category": "ham", "by": 0], 0.9), (["category": "spam", "by": 1], 0.6), (["category": "spam", "by": 2], 0.4),
        (["category": "eggs"], 1),
      ])
    #expect(result == ["category": "spam", "by": 1, "confidence": 0.5, "votes": ["ham": 1, "spam": 2, "eggs": 1]])
  }

  @Test func withoutAFieldWholeResultsAreCompared() throws {
    let result = try aggregate(Aggregation(strategy: .voting), [(["a": 1, "b": 2], nil), (["a": 1], nil), (["b": 2, "a": 1], nil)])
    #expect(result == ["a": 1, "b": 2, "confidence": 1.0, "votes": [#"{"a":1,"b":2}"#: 2, #"{"a":1}"#: 1]])
  }

  @Test func aWinnerThatIsNotAnObjectIsWrappedInOne() throws {
    let result = try aggregate(Aggregation(strategy: .voting), [("yes", 0.5), ("no", 1), ("yes", 1)])
    #expect(result == ["result": "yes", "confidence": 0.75, "votes": ["yes": 2, "no": 1]])
    #expect(
      try aggregate(Aggregation(strategy: .voting), [(7, nil), (7, nil), (nil, nil)])
        == ["result": 7, "confidence": 1.0, "votes": ["7": 2, "null": 1]])
  }

  @Test func aTieGoesToTheGreaterConfidenceThenToTheEarlierTask() throws {
    let voting = Aggregation(strategy: .voting)
    #expect(try aggregate(voting, [("a", 0.5), ("b", 0.6)])["result"] == "b")
    #expect(try aggregate(voting, [("a", 0.6), ("b", 0.5)])["result"] == "a")
    #expect(try aggregate(voting, [("a", 0.5), ("b", 0.5), ("c", 0.5)])["result"] == "a")
    #expect(try aggregate(voting, [("a", 0.5), ("b", 0.9), ("b", 0.9), ("a", 0.5)])["result"] == "b")
  }

  @Test func aMajorityWinsRegardlessOfItsConfidence() throws {
    #expect(try aggregate(Aggregation(strategy: .voting), [("a", 1), ("b", 0.1), ("b", 0.1)])["result"] == "b")
  }

  @Test func weightedVotesCountByConfidence() throws {
    let weighted = Aggregation(strategy: .voting, method: .weighted)
    #expect(try aggregate(weighted, [("a", 1), ("b", 0.1), ("b", 0.1)])["result"] == "a")
    #expect(try aggregate(weighted, [("a", nil), ("b", 0.9)])["result"] == "a")
    #expect(try aggregate(weighted, [("b", 0.5), ("a", 0.25), ("a", 0.25)])["result"] == "b")
    #expect(try aggregate(weighted, [("a", 0), ("b", 0)])["result"] == "a")
  }

  @Test func aResultWithoutTheFieldDoesNotVote() throws {
    let byField = Aggregation(strategy: .voting, field: "category")
    let result = try aggregate(byField, [("text", 1), (["other": 1], 1), (["category": nil], 0.5)])
    #expect(result == ["category": nil, "confidence": 0.5, "votes": ["null": 1]])
    let failure = try failure(byField, vote([("text", 1), (["other": 1], 1)]))
    #expect(failure.code == "AGGREGATION_FAILED")
    #expect(failure.message.contains("\"category\""))
  }

  // MARK: consensus

  @Test func consensusNeedsTheShareOfItsThreshold() throws {
    let votes: [(JSONValue, Double?)] = [("a", nil), ("a", nil), ("b", nil), ("a", nil)]
    #expect(try aggregate(Aggregation(strategy: .consensus, threshold: 0.75), votes)["result"] == "a")
    let failure = try failure(Aggregation(strategy: .consensus, threshold: 0.76), vote(votes))
    #expect(failure.code == "NO_CONSENSUS")
    #expect(failure.details == ["votes": ["a": 3, "b": 1]])
    #expect(failure.message.contains("0.75") && failure.message.contains("0.76"))
  }

  @Test func aWeightedConsensusCountsConfidence() throws {
    let votes: [(JSONValue, Double?)] = [("a", 0.9), ("b", 0.05), ("c", 0.05)]
    #expect(try aggregate(Aggregation(strategy: .consensus, method: .weighted, threshold: 0.8), votes)["result"] == "a")
    #expect(try failure(Aggregation(strategy: .consensus, threshold: 0.8), vote(votes)).code == "NO_CONSENSUS")
  }

  @Test func resultsWithoutConfidenceReachNoConsensus() throws {
    let failure = try failure(Aggregation(strategy: .consensus, method: .weighted, threshold: 0.1), vote([("a", 0), ("a", 0)]))
    #expect(failure.code == "NO_CONSENSUS")
  }

  @Test(arguments: Aggregation.Strategy.allCases)
  func theOrderOfTasksDoesNotMatter(_ strategy: Aggregation.Strategy) throws {
    let tasks = vote([(["k": "a"], 0.5), (["k": "b"], 0.5), (["k": "a"], 0.2), (["k": "b"], 0.2)])
    let aggregation = Aggregation(strategy: strategy, threshold: strategy == .consensus ? 0.5 : nil)
    let expected = try Aggregator.aggregate(aggregation, tasks: tasks)
    for _ in 0..<20 { #expect(try Aggregator.aggregate(aggregation, tasks: tasks.shuffled()) == expected) }
  }
}
