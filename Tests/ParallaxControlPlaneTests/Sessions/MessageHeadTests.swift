import Testing

@testable import ParallaxControlPlane

/// The ids of messages that cannot be decoded.
@Suite struct MessageHeadTests {
  private func head(_ text: String) -> [String?] {
    let head = MessageHead(text.utf8)
    return [head.type, head.id, head.taskID, head.executionID]
  }

  @Test func `Finds the ids, in whatever order, beside whatever values`() {
    let payload = #"{"result":[{"taskId":"no"},"\"taskId\":\"no",NaN],"taskId" : "task_1_0", "executionId":"exec_1"}"#
    #expect(head(#"{"id":"m","payload":\#(payload),"type":"task_result"}"#) == ["task_result", "m", "task_1_0", "exec_1"])
    #expect(head(#"{"type":"task_error","payload":\#(payload),"id":7}"#) == ["task_error", nil, "task_1_0", "exec_1"])
  }

  @Test func `Finds the ids at the beginning of a message`() {
    #expect(
      head(#"{"type":"task_result","payload":{"taskId":"task_1_0","result":"{\"executionId\":"#) == ["task_result", nil, "task_1_0", nil])
    #expect(head(#"{"type":"task_result","payload":{"taskId":"task_1_"#) == ["task_result", nil, nil, nil])
    #expect(head("") == [nil, nil, nil, nil])
  }

  @Test(arguments: [
    #"{"taskId":"task_1_0"}"#, #"{"other":{"taskId":"task_1_0"}}"#, #"{"payload":[{"taskId":"task_1_0"}]}"#,
    #"[{"payload":{"taskId":"task_1_0"}}]"#, #"{"payload":{"a":{"taskId":"task_1_0"}}}"#, #"{"payload":{"taskId":7}}"#,
    #"{"payload":{"taskId":"task\u005f1_0"}}"#, #"{"payload":{"taskId":"task 1"}}"#, #"{"payload":{"taskId":""}}"#,
    #"{"payload":{"note":"taskId","x":"task_1_0"}}"#, #"}}{"payload":{"taskId":"task_1_0"}}"#,
    "{\"payload\":{\"taskId\":\"\(String(repeating: "x", count: 129))\"}}",
  ])
  func `Takes nothing else for an id`(_ text: String) {
    #expect(head(text)[2] == nil)
  }

  @Test func `The first of several members counts`() {
    #expect(head(#"{"payload":{"taskId":"task_1_0","taskId":"task_2_0"}}"#)[2] == "task_1_0")
  }
}
