import ParallaxAPI
import ParallaxHA
import ParallaxRedisStores
import Testing

@Suite struct KeySpaceTests {
  @Test(arguments: ["{", "}", "parallax{", "{parallax}:", "a}b{c"])
  func aPrefixWithBracesIsRefused(prefix: String) {
    let error = #expect(throws: InvalidKeyPrefix.self) { _ = try KeySpace(prefix: prefix) }
    #expect(error?.prefix == prefix)
  }

  @Test(arguments: ["parallax:", "", "team a/", "ä:"])
  func allKeysBeginWithThePrefix(prefix: String) throws {
    let keys = try KeySpace(prefix: prefix)
    #expect(keys.execution("exec_1") == prefix + "execution:exec_1")
    #expect(keys.tasks(ofExecution: "exec_1") == "{\(prefix)execution:exec_1}:tasks")
    #expect(keys.leader == prefix + "ha:leader")
    #expect(keys.members == prefix + "ha:members")
    #expect(keys.executionEvents == prefix + "events:execution")
    #expect(keys.agentEvents == prefix + "events:agent")
    #expect(keys.clusterEvents == prefix + "events:cluster")
    let session = NodeSession(nodeID: "n", incarnation: "1")
    #expect(keys.inbox(of: session) == prefix + "node:n:1:inbox")
  }

  @Test(arguments: ["exec_1", "a", "", "{a}", "a}b", "{a", "}{", "{}", "ä{ö}", "%7B", "{x}:tasks"], ["parallax:", "", "x:y:"])
  func theKeysOfAScriptShareASlot(id: String, prefix: String) throws {
    let keys = try KeySpace(prefix: prefix)
    #expect(hashSlot(keys.execution(id)) == hashSlot(keys.tasks(ofExecution: id)))
  }

  @Test func slotsEqualThoseOfRedis() {
    // The values are from the Redis Cluster specification, and from CLUSTER KEYSLOT of a server.
    #expect(hashSlot("123456789") == 12_739)
    #expect(hashSlot("foo{hash_tag}") == hashSlot("hash_tag"))
    #expect(hashSlot("foo{}{bar}") != hashSlot("bar"))
  }

  @Test func differentNamesHaveDifferentKeys() throws {
    let keys = try KeySpace()
    let names = ["a", "{a}", "%7Ba%7D", "%257Ba%257D", "a:tasks", "A", "a%"]
    #expect(Set(names.map(keys.execution)).count == names.count)
    #expect(Set(names.map(keys.agent)).count == names.count)
    #expect(Set(names.map(keys.idempotency)).count == names.count)
  }

  @Test(arguments: [
    (0, "197001010000"), (59_999, "197001010000"), (60_000, "197001010001"), (1_768_473_000_250, "202601151030"),
    (1_709_164_799_999, "202402282359"), (1_709_251_199_999, "202402292359"),
  ])
  func aBucketIsTheMinuteInUTC(milliseconds: Int64, name: String) {
    #expect(ExecutionBucket(at: Timestamp(milliseconds: milliseconds)).name == name)
  }
}

/// The Cluster slot of a key: CRC16 (XMODEM) of the key, or of the text in its first pair of braces unless that text is empty.
private func hashSlot(_ key: String) -> Int {
  var bytes = Array(key.utf8)
  if let open = bytes.firstIndex(of: UInt8(ascii: "{")),
    let close = bytes[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
  {
    bytes = Array(bytes[(open + 1)..<close])
  }
  var crc: UInt16 = 0
  for byte in bytes {
    crc ^= UInt16(byte) << 8
    for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
  }
  return Int(crc) % 16_384
}
