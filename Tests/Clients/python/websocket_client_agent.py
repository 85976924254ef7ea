import time, websocket
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say


def on_message(socket, text):
    if reply := answer(text):
        socket.send(reply)


while True:
    app = websocket.WebSocketApp(
        URL, header=HEADERS, on_open=lambda socket: socket.send(REGISTRATION), on_message=on_message,
        on_close=lambda socket, code, reason: say("closed", code) if code else None)
    app.run_forever()
    time.sleep(PAUSE)
