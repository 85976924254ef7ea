local cjson = require "cjson"
local cqueues = require "cqueues"
local websocket = require "http.websocket"

local url, name = arg[1], arg[2]
io.stdout:setvbuf("line")

local function answer(text)
  local message = cjson.decode(text)
  local task = message.payload
  if message.type == "registered" then print("registered") end
  if message.type == "error" then print("error", task.message) end
  if message.type ~= "task" then return nil end
  local result = task.input.bytes and { data = ("x"):rep(task.input.bytes) } or { echo = task.input.text }
  return cjson.encode { type = "task_result", payload = { taskId = task.taskId, executionId = task.executionId, result = result } }
end

while true do
  local socket = websocket.new_from_uri(url)
  socket.request.headers:upsert("x-agent-id", name)
  if socket:connect(5) then
    socket:send(cjson.encode { type = "register", payload = { capabilities = { name } } }, "text")
    while true do
      local text = socket:receive()
      if not text then break end
      local reply = answer(text)
      if reply then socket:send(reply, "text") end
    end
    print("closed " .. tostring(socket.got_close_code or 1006))
    socket:close()
  end
  cqueues.sleep(0.5)
end
