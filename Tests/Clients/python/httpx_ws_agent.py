import asyncio, httpx
from httpx_ws import WebSocketDisconnect, WebSocketUpgradeError, aconnect_ws
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say


async def session(socket):
    await socket.send_text(REGISTRATION)
    try:
        while True:
            if reply := answer(await socket.receive_text()):
                await socket.send_text(reply)
    except WebSocketDisconnect as end:
        say("closed", end.code)


async def main():
    async with httpx.AsyncClient() as client:
        while True:
            try:
                async with aconnect_ws(URL, client, headers=HEADERS) as socket:
                    await session(socket)
            except (httpx.TransportError, WebSocketUpgradeError):
                pass
            await asyncio.sleep(PAUSE)


asyncio.run(main())
