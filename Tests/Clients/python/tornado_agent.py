import asyncio
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say


async def main():
    while True:
        try:
            socket = await websocket_connect(HTTPRequest(URL, headers=HEADERS))
            await socket.write_message(REGISTRATION)
            while (text := await socket.read_message()) is not None:
                if reply := answer(text):
                    await socket.write_message(reply)
            say("closed", socket.close_code)
        except (OSError, HTTPClientError):
            pass
        await asyncio.sleep(PAUSE)


asyncio.run(main())
