import asyncio
from urllib.parse import urlsplit
from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say


class Agent(WebSocketClientProtocol):
    def onOpen(self):
        self.sendMessage(REGISTRATION.encode())

    def onMessage(self, payload, is_binary):
        if reply := answer(payload):
            self.sendMessage(reply.encode())

    def onClose(self, was_clean, code, reason):
        say("closed", code)
        self.factory.closed.set()


async def main():
    while True:
        factory = WebSocketClientFactory(URL, headers=HEADERS)
        factory.protocol, factory.closed = Agent, asyncio.Event()
        try:
            await asyncio.get_running_loop().create_connection(factory, urlsplit(URL).hostname, urlsplit(URL).port)
            await factory.closed.wait()
        except OSError:
            pass
        await asyncio.sleep(PAUSE)


asyncio.run(main())
