package import ParallaxAPI

extension ClusterEvent: JSONWritable {
  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("details", details)
      json.member("id", id)
      json.member("incarnation", incarnation)
      json.member("nodeId", nodeId)
      json.member("sequence", sequence)
      json.member("timestamp", timestamp)
      json.member("type", type)
    }
  }
}
