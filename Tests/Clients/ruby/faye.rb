require "eventmachine"
require "faye/websocket"
require "json"

URL, NAME = ARGV
$stdout.sync = true

def answer(text)
  message = JSON.parse(text)
  task = message["payload"]
  puts "registered" if message["type"] == "registered"
  puts "error #{task}" if message["type"] == "error"
  return unless message["type"] == "task"
  input = task["input"]
  result = input.key?("bytes") ? { data: "x" * input["bytes"] } : { echo: input["text"] }
  JSON.generate(type: "task_result", payload: { taskId: task["taskId"], executionId: task["executionId"], result: result })
end

def connect
  opened = false
  socket = Faye::WebSocket::Client.new(URL, [], headers: { "X-Agent-Id" => NAME })
  socket.on(:open) do
    opened = true
    socket.send(JSON.generate(type: "register", payload: { capabilities: [NAME] }))
  end
  socket.on(:message) do |event|
    reply = answer(event.data)
    socket.send(reply) if reply
  end
  socket.on(:close) do |event|
    puts "closed #{event.code}" if opened
    EM.add_timer(0.5) { connect }
  end
end

EM.run { connect }
