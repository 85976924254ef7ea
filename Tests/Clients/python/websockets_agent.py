import asyncio
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say
from websockets.asyncio.client import connect


async def main():
    while True:
        try:
            async with connect(URL, additional_headers=HEADERS) as socket:
                await socket.send(REGISTRATION)
                async for text in socket:
                    if reply := answer(text):
                        await socket.send(reply)
            say("closed", socket.close_code)
        except OSError:
            pass
        await asyncio.sleep(PAUSE)


asyncio.run(main())
