import time
from simple_websocket import Client, ConnectionClosed, ConnectionError
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say

while True:
    try:
        socket = Client.connect(URL, headers=HEADERS)
        socket.send(REGISTRATION)
        while True:
            if reply := answer(socket.receive()):
                socket.send(reply)
    except ConnectionClosed as end:
        say("closed", int(end.reason))
    except (OSError, ConnectionError):
        pass
    time.sleep(PAUSE)
