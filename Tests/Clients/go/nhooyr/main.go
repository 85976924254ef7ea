package main

import (
	"context"
	"fmt"
	"net/http"

	"agent"
	"nhooyr.io/websocket"
)

func main() {
	agent.Forever(func() {
		everything := context.Background()
		socket, _, err := websocket.Dial(everything, agent.URL, &websocket.DialOptions{HTTPHeader: http.Header{"X-Agent-Id": {agent.Name}}})
		if err != nil {
			return
		}
		err = socket.Write(everything, websocket.MessageText, agent.Registration())
		for err == nil {
			var text []byte
			if _, text, err = socket.Read(everything); err == nil {
				if reply := agent.Answer(text); reply != nil {
					err = socket.Write(everything, websocket.MessageText, reply)
				}
			}
		}
		fmt.Println("closed", int(websocket.CloseStatus(err)))
	})
}
