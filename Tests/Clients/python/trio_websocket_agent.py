import trio
from trio_websocket import ConnectionClosed, HandshakeError, open_websocket_url
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say


async def main():
    while True:
        try:
            async with open_websocket_url(URL, extra_headers=[(name.encode(), value.encode()) for name, value in HEADERS.items()]) as socket:
                await socket.send_message(REGISTRATION)
                while True:
                    if reply := answer(await socket.get_message()):
                        await socket.send_message(reply)
        except ConnectionClosed as end:
            say("closed", int(end.reason.code))
        except (OSError, HandshakeError):
            pass
        await trio.sleep(PAUSE)


trio.run(main)
