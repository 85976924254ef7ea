import ParallaxAPI
import ParallaxRedis

/// The scripts over one execution: its hash and the hash of its tasks, which share a slot.
///
/// All are idempotent: a repeat finds the state that the first run left and gives the same answer. A hash without `version` is a tombstone:
/// its fields `barred:<session>` name the node sessions, or `*` for all, that must not create the execution, because their index entry was
/// or is about to be removed. All scripts answer `unreadable` to a hash of a newer format and do not change it.
enum ExecutionScripts {
  static let all = [create, read, update, restore, record, claim, remove]

  /// How long a tombstone lasts: longer than a creator can pause between writing its index entries and its hash.
  static let tombstoneLifetime: Duration = .seconds(3_600)

  /// Lua's test for a live status.
  ///
  /// - Parameter place: The index of the status in the script's `now`.
  /// - Returns: The test, in parentheses.
  private static func isLive(_ place: Int) -> String {
    let statuses = ExecutionStatus.allCases.filter { !$0.isTerminal }
    return "(" + statuses.map { "now[\(place)] == '\($0.rawValue)'" }.joined(separator: " or ") + ")"
  }

  /// Stores a new execution with its first tasks; a server with full memory refuses it.
  ///
  ///     KEYS  1 execution, 2 its tasks
  ///     ARGV  1 format version, 2 owner's nodeId, 3 owner's incarnation, 4 epoch, 5 revision, 6 recordings,
  ///           7 number of fields and values, then those, then id and JSON of each task
  ///     →     {created} | {exists, createdAt} | {barred} | {unreadable}
  static let create = RedisScript(
    """
    local now = redis.call('HMGET', KEYS[1], 'version', 'nodeId', 'incarnation', 'epoch', 'revision', 'createdAt')
    if now[1] then
      if tonumber(now[1]) > tonumber(ARGV[1]) then return {'unreadable'} end
      if now[2] == ARGV[2] and now[3] == ARGV[3] and now[4] == ARGV[4] and now[5] == ARGV[5] then return {'created'} end
      return {'exists', now[6]}
    end
    local barred = redis.call('HMGET', KEYS[1], 'barred:*', 'barred:' .. ARGV[2] .. ':' .. ARGV[3])
    if barred[1] or barred[2] then return {'barred'} end
    \(FullMemory.refusal)
    redis.call('DEL', KEYS[1], KEYS[2])
    local first = 8 + tonumber(ARGV[7])
    redis.call('HSET', KEYS[1], unpack(ARGV, 8, first - 1))
    for i = first, #ARGV, 2 do
      redis.call('HSET', KEYS[2], ARGV[i], '{"order":' .. (i - first) / 2 .. ',' .. string.sub(ARGV[i + 1], 2))
    end
    return {'created'}
    """)

  /// Reads an execution and its tasks atomically.
  ///
  ///     KEYS  1 execution, 2 its tasks
  ///     →     {fields and values, task ids and JSON}, both empty if there is none
  static let read = RedisScript(
    """
    return {redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}
    """)

  /// The Lua expression for the state of a task, from the end of its JSON, whose last sorted key is `state`.
  private static let state = "local function state(task) return string.match(task, '\"state\":\"(%a+)\"}$') end"

  /// The writes of `update` and `restore`.
  ///
  /// A completed task does not change, unless to a result that is `first` (a Lua test of the task at `i`), and an ended task is not
  /// reopened.
  private static func write(unless first: String) -> String {
    """
    \(state)
    local first = 8 + tonumber(ARGV[7])
    redis.call('HSET', KEYS[1], unpack(ARGV, 8, first - 1))
    for i = first, #ARGV, 2 do
      local former = redis.call('HGET', KEYS[2], ARGV[i])
      local was, is = former and state(former) or 'open', state(ARGV[i + 1])
      if is == 'completed' and \(first) or was ~= 'completed' and (was == 'open' or is ~= 'open') then
        local order = former and string.match(former, '^{"order":(%d+)') or redis.call('HLEN', KEYS[2])
        redis.call('HSET', KEYS[2], ARGV[i], '{"order":' .. order .. ',' .. string.sub(ARGV[i + 1], 2))
      end
    end
    """
  }

  /// The Lua expression for the text of a completed task's result, which precedes the slot, if that comes so late, and the state.
  private static let result = """
    local function result(task)
      local _, last = string.find(task, ',"result":', 1, true)
      if not last then return '' end
      return (string.gsub(string.sub(task, last + 1, -22), ',"slot":%d+$', ''))
    end
    """

  /// Lets a server with full memory accept an end without a result that the store lacks (see `FullMemory`), so that retention can remove
  /// the execution.
  private static let admissionOfEnds = """
    local hasResult = false
    local function isCompleted(task) return task and string.sub(task, -20) == '"state":"completed"}' end
    for i = 8 + tonumber(ARGV[7]), #ARGV, 2 do
      hasResult = hasResult or isCompleted(ARGV[i + 1]) and not isCompleted(redis.call('HGET', KEYS[2], ARGV[i]))
    end
    for i = 8, 6 + tonumber(ARGV[7]), 2 do
      if not hasResult and ARGV[i] == 'status' and (ARGV[i + 1] == 'failed' or ARGV[i + 1] == 'cancelled' or ARGV[i + 1] == 'timed_out') then
        \(FullMemory.admission)
      end
    end
    """

  /// Applies the owner's change.
  ///
  /// A server with full memory accepts an end without a result; all other changes wait. Such an end has the revision of the change that the
  /// server refused; if an earlier attempt of that change arrives late after all, the end replaces it.
  ///
  ///     KEYS  1 execution, 2 its tasks
  ///     ARGV  1 format version, 2 owner's nodeId, 3 owner's incarnation, 4 epoch, 5 revision after the change,
  ///           6 how many recordings the owner has read, 7 number of fields and values, then those, then id and JSON of each task
  ///     →     applied | stale | behind | unread | missing | unreadable
  static let update = RedisScript(
    """
    local function endsInChange()
      for i = 8, 6 + tonumber(ARGV[7]), 2 do
        if ARGV[i] == 'status' then return ARGV[i + 1] ~= 'pending' and ARGV[i + 1] ~= 'running' and ARGV[i + 1] ~= 'aggregating' end
      end
    end
    local now = redis.call('HMGET', KEYS[1], 'version', 'nodeId', 'incarnation', 'epoch', 'revision', 'status', 'recordings')
    if not now[1] then return 'missing' end
    if tonumber(now[1]) > tonumber(ARGV[1]) then return 'unreadable' end
    local live = \(isLive(6))
    if live and tonumber(now[4]) < tonumber(ARGV[4]) then return 'behind' end
    if now[2] ~= ARGV[2] or now[3] ~= ARGV[3] or now[4] ~= ARGV[4] then return 'stale' end
    local isSame = now[5] == ARGV[5]
    if isSame and not (live and endsInChange()) then return 'applied' end
    if not live or tonumber(now[5]) > tonumber(ARGV[5]) then return 'stale' end
    if not isSame and tonumber(now[5]) + 1 ~= tonumber(ARGV[5]) then return 'behind' end
    if tonumber(now[7] or 0) > tonumber(ARGV[6]) then return 'unread' end
    \(admissionOfEnds)
    \(write(unless: "false"))
    return 'applied'
    """)

  /// Writes a whole execution where the store has lost writes of it.
  ///
  /// A restoration by the owner must not overrule a task or an outcome that the owner lacks. A server with full memory accepts an end
  /// without a result of an execution that it has; all other restorations wait.
  ///
  ///     KEYS  1 execution, 2 its tasks
  ///     ARGV  as of `update`, with all fields and all tasks; then the ids of the tasks whose results the store had acknowledged, each
  ///           between spaces; last the `RestorationClaim`
  ///     →     intact | restored | stale | unread | barred | unreadable
  static let restore = RedisScript(
    """
    local claim = table.remove(ARGV)
    local acknowledged = table.remove(ARGV)
    local function isFirst(task) return claim == 'witnessOfEnd' or string.find(acknowledged, ' ' .. task .. ' ', 1, true) end
    local now = redis.call('HMGET', KEYS[1], 'version', 'nodeId', 'incarnation', 'epoch', 'revision', 'status')
    if now[1] then
      if tonumber(now[1]) > tonumber(ARGV[1]) then return 'unreadable' end
      local own = now[2] == ARGV[2] and now[3] == ARGV[3] and now[4] == ARGV[4]
      if own and now[5] == ARGV[5] then return 'intact' end
      if not \(isLive(6)) then return 'stale' end
      local earlier = tonumber(now[4]) < tonumber(ARGV[4]) or own and tonumber(now[5]) < tonumber(ARGV[5])
      if not earlier and claim ~= 'witnessOfEnd' then return 'stale' end
      if claim ~= 'witnessOfEnd' then
        \(state)
        \(result)
        local known = {}
        for i = 8 + tonumber(ARGV[7]), #ARGV, 2 do known[ARGV[i]] = ARGV[i + 1] end
        local tasks = redis.call('HGETALL', KEYS[2])
        for i = 1, #tasks, 2 do
          local id, task = tasks[i], tasks[i + 1]
          if not known[id] then return 'unread' end
          local was, is = state(task), state(known[id])
          if was == 'completed' and is ~= 'completed' then return 'unread' end
          if was == 'completed' and not isFirst(id) and result(task) ~= result(known[id]) then return 'unread' end
          if was == 'failed' and is ~= 'completed' and is ~= 'failed' then return 'unread' end
        end
      end
      \(admissionOfEnds)
    elseif claim == 'ownerOfOld' then
      return 'barred'
    else
      local barred = redis.call('HMGET', KEYS[1], 'barred:*', 'barred:' .. ARGV[2] .. ':' .. ARGV[3])
      if barred[1] or barred[2] then return 'barred' end
      \(FullMemory.refusal)
      redis.call('DEL', KEYS[1], KEYS[2])
    end
    \(write(unless: "isFirst(ARGV[i])"))
    if tonumber(redis.call('HGET', KEYS[1], 'recordings') or 0) < tonumber(ARGV[6]) then
      redis.call('HSET', KEYS[1], 'recordings', ARGV[6])
    end
    return 'restored'
    """)

  /// Records how a task ended, for a node that does not own the execution.
  ///
  ///     KEYS  1 execution, 2 its tasks
  ///     ARGV  1 format version, 2 task's id, 3 its agent, 4 JSON of the task without order, slot and attempt
  ///     →     {recorded or already, owner's nodeId, its incarnation, terminal or live} | {unknown} | {unreadable}
  static let record = RedisScript(
    """
    local now = redis.call('HMGET', KEYS[1], 'version', 'nodeId', 'incarnation', 'status')
    if not now[1] then return {'unknown'} end
    if tonumber(now[1]) > tonumber(ARGV[1]) then return {'unreadable'} end
    local former = redis.call('HGET', KEYS[2], ARGV[2])
    local task = former and cjson.decode(former)
    if not task or task.agent ~= ARGV[3] then return {'unknown'} end
    if not \(isLive(4)) then return {'already', now[2], now[3], 'terminal'} end
    if task.state ~= 'open' then return {'already', now[2], now[3], 'live'} end
    local place = string.format('{"order":%.0f,"slot":%.0f,"attempt":%.0f,', task.order, task.slot, task.attempt)
    redis.call('HSET', KEYS[2], ARGV[2], place .. string.sub(ARGV[4], 2))
    redis.call('HINCRBY', KEYS[1], 'recordings', 1)
    return {'recorded', now[2], now[3], 'live'}
    """)

  /// Gives an execution to a new owner and raises its epoch.
  ///
  /// If the execution is missing and the former owner is gone, the script leaves a tombstone for that owner: its index entry is removed
  /// next, so a delayed creation by that owner must fail.
  ///
  ///     KEYS  1 execution, 2 its tasks
  ///     ARGV  1 format version, 2 former owner's nodeId, 3 its incarnation, 4 new owner's nodeId, 5 its incarnation,
  ///           6 lifetime of a tombstone in ms, 0 for none
  ///     →     {claimed, fields and values, task ids and JSON} | {taken} | {terminal} | {missing} | {unreadable}
  static let claim = RedisScript(
    """
    local now = redis.call('HMGET', KEYS[1], 'version', 'nodeId', 'incarnation', 'status')
    if not now[1] then
      if ARGV[6] ~= '0' and not redis.call('HGET', KEYS[1], 'barred:*') then
        \(FullMemory.admission)
        redis.call('HSET', KEYS[1], 'barred:' .. ARGV[2] .. ':' .. ARGV[3], '1')
        redis.call('PEXPIRE', KEYS[1], ARGV[6])
      end
      return {'missing'}
    end
    if tonumber(now[1]) > tonumber(ARGV[1]) then return {'unreadable'} end
    if not \(isLive(4)) then return {'terminal'} end
    if now[2] ~= ARGV[4] or now[3] ~= ARGV[5] then
      if now[2] ~= ARGV[2] or now[3] ~= ARGV[3] then return {'taken'} end
      \(FullMemory.admission)
      redis.call('HSET', KEYS[1], 'nodeId', ARGV[4], 'incarnation', ARGV[5])
      redis.call('HINCRBY', KEYS[1], 'epoch', 1)
    end
    return {'claimed', redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}
    """)

  /// Removes an execution if it is terminal.
  ///
  /// If the execution is missing, the script leaves a tombstone for all sessions, since the index entry is removed next. An execution with
  /// a live idempotency key leaves a tombstone with its end, so that a repeated request does not run again; one that had several owners
  /// leaves a tombstone, so that a former owner does not restore it. A server with full memory removes executions too (see `FullMemory`).
  ///
  ///     KEYS  1 execution, 2 its tasks
  ///     ARGV  1 format version, 2 the minute of the index entry, yyyymmddhhmm, 3 lifetime of a tombstone in ms,
  ///           4 how long the idempotency key of the execution lives on at most in ms, 0 if it has expired,
  ///           5 whether the index entry of a missing execution is an orphan (1); else the execution may be in creation,
  ///           6 the instant before which the execution has to have ended; empty for any
  ///     →     {removed, nodeId, incarnation} | {live} | {young}: ended too late | {orphan} | {unreadable}
  ///           | {elsewhere}: the entry is not this execution's
  static let remove = RedisScript(
    """
    local now = redis.call(
      'HMGET', KEYS[1], 'version', 'nodeId', 'incarnation', 'status', 'createdAt', 'completedAt', 'idempotencyKey', 'barred:*',
      'epoch')
    if not now[1] then
      if ARGV[5] ~= '1' then return {'live'} end
      if not now[8] then
        \(FullMemory.admission)
        redis.call('HSET', KEYS[1], 'barred:*', '1') redis.call('PEXPIRE', KEYS[1], ARGV[3])
      end
      return {'orphan'}
    end
    if tonumber(now[1]) > tonumber(ARGV[1]) then return {'unreadable'} end
    if string.gsub(string.sub(now[5], 1, -9), '%D', '') ~= ARGV[2] then return {'elsewhere'} end
    if \(isLive(4)) then return {'live'} end
    if ARGV[6] ~= '' and now[6] and now[6] >= ARGV[6] then return {'young'} end
    redis.call('DEL', KEYS[1], KEYS[2])
    if now[7] and ARGV[4] ~= '0' then
      redis.call('HSET', KEYS[1], 'barred:*', '1', 'status', now[4], 'completedAt', now[6] or now[5])
      redis.call('PEXPIRE', KEYS[1], ARGV[4])
    elseif now[9] ~= '1' then
      redis.call('HSET', KEYS[1], 'barred:*', '1')
      redis.call('PEXPIRE', KEYS[1], ARGV[3])
    end
    return {'removed', now[2], now[3]}
    """)
}
