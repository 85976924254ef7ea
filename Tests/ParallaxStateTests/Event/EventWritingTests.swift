import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@Suite struct EventWritingTests {
  @Test(arguments: [
    nil, JSONValue.object([:]), ["pattern": "content-classifier"], ["term": 7], ["draining": true], ["a": ["b": 1], "c": [1, 2.5, nil]],
    ["quoted \" back\\slash": "line\nbreak / é 🙂 \u{7F}"], ["nested": ["deep": ["x": "y"]]],
  ])
  func anEventIsWrittenAsItIsEncoded(details: JSONValue?) throws {
    for id in ["exec_1", "n/o\"de\\", "é\u{1}"] {
      let event = ClusterEvent(
        type: "completed", id: id, session: NodeSession(nodeID: "node-\(id)", incarnation: "00ff"),
        timestamp: Timestamp(milliseconds: 1_768_473_000_250), sequence: 12, details: details)
      #expect(try event.jsonText == JSON.text(event))
      #expect(try JSON.decode(ClusterEvent.self, from: event.jsonText) == event)
    }
  }
}
