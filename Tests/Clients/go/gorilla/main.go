package main

import (
	"fmt"
	"net/http"

	"github.com/gorilla/websocket"
	"agent"
)

func main() {
	agent.Forever(func() {
		socket, _, err := websocket.DefaultDialer.Dial(agent.URL, http.Header{"X-Agent-Id": {agent.Name}})
		if err != nil {
			return
		}
		defer socket.Close()
		err = socket.WriteMessage(websocket.TextMessage, agent.Registration())
		for err == nil {
			var text []byte
			if _, text, err = socket.ReadMessage(); err == nil {
				if reply := agent.Answer(text); reply != nil {
					err = socket.WriteMessage(websocket.TextMessage, reply)
				}
			}
		}
		if end, ok := err.(*websocket.CloseError); ok {
			fmt.Println("closed", end.Code)
		} else {
			fmt.Println("closed", err)
		}
	})
}
