import asyncio, aiohttp
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say


async def main():
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.ws_connect(URL, headers=HEADERS) as socket:
                    await socket.send_str(REGISTRATION)
                    async for message in socket:
                        if reply := answer(message.data):
                            await socket.send_str(reply)
                say("closed", socket.close_code)
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(PAUSE)


asyncio.run(main())
