package require json
package require websocket

lassign $argv url name
fconfigure stdout -buffering line
::websocket::loglevel critical

proc answer {socket text} {
  set message [::json::json2dict $text]
  switch [dict get $message type] {
    registered { puts registered }
    error { puts "error $text" }
    task {
      set task [dict get $message payload]
      if {[dict exists $task input bytes]} {
        set result "\"data\":\"[string repeat x [dict get $task input bytes]]\""
      } else {
        set result "\"echo\":\"[dict get $task input text]\""
      }
      set ids "\"taskId\":\"[dict get $task taskId]\",\"executionId\":\"[dict get $task executionId]\""
      ::websocket::send $socket text "{\"type\":\"task_result\",\"payload\":{$ids,\"result\":{$result}}}"
    }
  }
}

proc on_event {socket type message} {
  global name closing
  switch $type {
    connect {
      set closing {}
      ::websocket::send $socket text "{\"type\":\"register\",\"payload\":{\"capabilities\":\[\"$name\"\]}}"
    }
    text { answer $socket $message }
    close { set closing [lindex $message 0] }
    disconnect {
      if {$closing ne {}} { puts "closed $closing" }
      after 500 connect
    }
    error { after 500 connect }
  }
}

proc connect {} {
  global url name
  if {[catch { ::websocket::open $url on_event -headers [list X-Agent-Id $name] }]} { after 500 connect }
}

connect
vwait forever
