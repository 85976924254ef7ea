// Package agent is what the Go agents have in common: what they send, and what they print for the driver.
package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// URL and Name are the program's arguments.
var URL, Name = os.Args[1], os.Args[2]

// Registration is the first message of each connection.
func Registration() []byte {
	return []byte(`{"type":"register","payload":{"capabilities":["` + Name + `"]}}`)
}

// Answer returns the message that answers a message, nil where there is nothing to say.
func Answer(text []byte) []byte {
	var message struct {
		Type    string
		Payload struct {
			TaskID      string `json:"taskId"`
			ExecutionID string `json:"executionId"`
			Input       struct {
				Text  string
				Bytes *int
			}
		}
	}
	if err := json.Unmarshal(text, &message); err != nil {
		panic(err)
	}
	switch message.Type {
	case "registered":
		fmt.Println("registered")
	case "error":
		fmt.Println("error", string(text))
	case "task":
		result := map[string]string{"echo": message.Payload.Input.Text}
		if count := message.Payload.Input.Bytes; count != nil {
			result = map[string]string{"data": strings.Repeat("x", *count)}
		}
		payload := map[string]interface{}{
			"taskId": message.Payload.TaskID, "executionId": message.Payload.ExecutionID, "result": result}
		reply, _ := json.Marshal(map[string]interface{}{"type": "task_result", "payload": payload})
		return reply
	}
	return nil
}

// Forever runs one connection after another.
func Forever(session func()) {
	for {
		session()
		time.Sleep(500 * time.Millisecond)
	}
}
