import asyncio, json
from curl_cffi import AsyncSession, CurlError
from curl_cffi.requests import WebSocketClosed
from curl_cffi.requests.websockets import WebSocketTimeout
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say

HEARTBEAT = json.dumps({"type": "heartbeat", "payload": {}})


async def session(socket):
    await socket.send_str(REGISTRATION)
    while True:
        try:
            reply = answer(await socket.recv_str(timeout=20))
        except WebSocketTimeout:
            reply = HEARTBEAT  # the library keeps its pongs until the program sends something
        if reply:
            await socket.send_str(reply)


async def main():
    async with AsyncSession() as client:
        while True:
            try:
                await session(await client.ws_connect(URL, headers=HEADERS))
            except WebSocketClosed as end:
                say("closed", int(end.code))
            except CurlError:
                pass
            await asyncio.sleep(PAUSE)


asyncio.run(main())
