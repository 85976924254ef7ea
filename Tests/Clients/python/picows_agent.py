import asyncio
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from agent import HEADERS, PAUSE, REGISTRATION, URL, answer, say


class Agent(WSListener):
    def on_ws_connected(self, transport: WSTransport):
        transport.send(WSMsgType.TEXT, REGISTRATION.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame):
        if frame.msg_type == WSMsgType.CLOSE:
            say("closed", int(frame.get_close_code()))
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT and (reply := answer(frame.get_payload_as_utf8_text())):
            transport.send(WSMsgType.TEXT, reply.encode())


async def main():
    while True:
        try:
            transport, _ = await ws_connect(Agent, URL, extra_headers=HEADERS)
            await transport.wait_disconnected()
        except (OSError, WSError):
            pass
        await asyncio.sleep(PAUSE)


asyncio.run(main())
