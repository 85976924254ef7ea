package main

import (
	"fmt"
	"net/http"
	"strings"

	"agent"
	"golang.org/x/net/websocket"
)

func main() {
	// The library wants an origin, and sends it with a path.
	config, err := websocket.NewConfig(agent.URL, strings.Replace(agent.URL, "ws:", "http:", 1))
	if err != nil {
		panic(err)
	}
	config.Header = http.Header{"X-Agent-Id": {agent.Name}}
	agent.Forever(func() {
		socket, err := websocket.DialConfig(config)
		if err != nil {
			return
		}
		defer socket.Close()
		err = websocket.Message.Send(socket, string(agent.Registration()))
		for err == nil {
			var text []byte
			if err = websocket.Message.Receive(socket, &text); err == nil {
				if reply := agent.Answer(text); reply != nil {
					err = websocket.Message.Send(socket, string(reply))
				}
			}
		}
		fmt.Println("closed", err) // the library does not tell close codes
	})
}
