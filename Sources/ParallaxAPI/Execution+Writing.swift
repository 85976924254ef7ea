extension ExecutionStatus: JSONWritable {}

extension ExecutionPriority: JSONWritable {}

extension ExecuteRequest: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("input", input)
      json.member("options", options)
    }
  }
}

extension ExecuteRequest.Options: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("idempotencyKey", idempotencyKey)
      json.member("metadata", metadata)
      json.member("priority", priority)
      json.member("timeout", timeout)
    }
  }
}

extension PatternReference: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("name", name)
      json.member("version", version)
    }
  }
}

extension ExecutionFailure: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("code", code)
      json.member("details", details)
      json.member("message", message)
    }
  }
}

extension ExecutionDocument: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("agents", agents)
      json.member("attempt", attempt)
      json.member("completedAt", completedAt)
      json.member("createdAt", createdAt)
      json.member("duration", duration)
      json.member("error", error)
      json.member("executionId", executionId)
      json.member("input", input)
      json.member("metadata", metadata)
      json.member("nodeId", nodeId)
      json.member("pattern", pattern)
      json.member("result", result)
      json.member("startedAt", startedAt)
      json.member("status", status)
    }
  }
}

extension ExecutionDocument.AgentPart: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("confidence", confidence)
      json.member("duration", duration)
      json.member("error", error)
      json.member("id", id)
      json.member("result", result)
      json.member("status", status)
    }
  }
}

extension ExecutionAcceptance: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("executionId", executionId)
      json.member("status", status)
      json.member("statusUrl", statusUrl)
    }
  }
}

extension ExecutionList: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("executions", executions)
      json.member("hasMore", hasMore)
      json.member("limit", limit)
      json.member("nextCursor", nextCursor)
      json.member("offset", offset)
      json.member("total", total)
    }
  }
}
