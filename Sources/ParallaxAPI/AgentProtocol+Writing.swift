extension ControlPlaneMessage {
  /// The message as a text frame from the control plane: `{"id","payload","timestamp","type"}`, in UTF-8.
  ///
  /// - Throws: `EncodingError` if the message has a number that is not finite.
  package func frame(id: String?, timestamp: Timestamp?) throws -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.member("id", id)
      switch self {
      case .registered(let payload): json.member("payload", payload)
      case .task(let payload): json.member("payload", payload)
      case .taskCancelled(let payload): json.member("payload", payload)
      case .heartbeatAck(let payload): json.member("payload", payload)
      case .resultAck(let payload): json.member("payload", payload)
      case .reconnect(let payload): json.member("payload", payload)
      case .error(let payload): json.member("payload", payload)
      }
      json.member("timestamp", timestamp)
      json.member("type", kind)
    }
    return try json.finish()
  }
}

extension ControlPlaneMessage.Kind: JSONWritable {}

extension ControlPlaneMessage.Registered: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("agentId", agentId)
      json.member("capabilities", capabilities)
      json.member("config", config)
    }
  }
}

extension ControlPlaneMessage.Registered.Config: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("heartbeatInterval", heartbeatInterval)
      json.member("maxMessageSize", maxMessageSize)
      json.member("taskTimeout", taskTimeout)
    }
  }
}

extension ControlPlaneMessage.Task: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("capability", capability)
      json.member("context", context)
      json.member("executionId", executionId)
      json.member("input", input)
      json.member("patternName", patternName)
      json.member("patternVersion", patternVersion)
      json.member("priority", priority)
      json.member("taskId", taskId)
      json.member("timeout", timeout)
    }
  }
}

extension ControlPlaneMessage.Task.Context: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("stepIndex", stepIndex)
      json.member("totalSteps", totalSteps)
    }
  }
}

extension ControlPlaneMessage.TaskCancelled: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("executionId", executionId)
      json.member("reason", reason)
      json.member("taskId", taskId)
    }
  }
}

extension ControlPlaneMessage.HeartbeatAck: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("nextHeartbeat", nextHeartbeat)
      json.member("serverTime", serverTime)
    }
  }
}

extension ControlPlaneMessage.ResultAck: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in json.member("taskId", taskId) }
  }
}

extension ControlPlaneMessage.Reconnect: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("afterMs", afterMs)
      json.member("reason", reason)
    }
  }
}

extension ControlPlaneMessage.ProtocolError: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("code", code)
      json.member("fatal", fatal)
      json.member("message", message)
    }
  }
}
