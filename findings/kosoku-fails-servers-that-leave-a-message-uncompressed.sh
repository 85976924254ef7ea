#!/usr/bin/env bash
# Expected: where permessage-deflate is agreed to, each message may still be sent uncompressed (RFC 7692, section 6).
# Happens:  kosoku 0.1.0, Autobahn's cases for Python 3, ends its cases of compression with ERROR, "Strings must be encoded before hashing".
# Matters:  a server that leaves small messages uncompressed, as ws for Node.js does below 1 KiB, cannot pass, and looks as if it were wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check kosoku==0.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, base64, functools, hashlib, os, zlib
from kosoku import FailureError, run_fuzzingclient

def frame(text, compresses):
    if not compresses:
        return bytes([0x81, len(text)]) + text
    deflate = zlib.compressobj(wbits=-15)
    payload = (deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    return bytes([0xC1, len(payload)]) + payload

async def serve(reader, writer, compresses):
    """Echoes the compressed texts of a client, which have less than 126 bytes."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = next(line.split(":", 1)[1].strip() for line in head.splitlines() if line.lower().startswith("sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    writer.write((
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
    inflate = zlib.decompressobj(wbits=-15)
    while True:
        start = await reader.read(2)
        if len(start) < 2:  # the client gives up
            return writer.close()
        first, second = start
        mask = await reader.readexactly(4)
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(await reader.readexactly(second & 0x7F)))
        if first != 0xC1:  # the client closes
            writer.write(bytes([first, len(payload)]) + payload)
            return writer.close()
        writer.write(frame(inflate.decompress(payload + b"\0\0\xFF\xFF"), compresses))

async def main():
    for compresses in True, False:
        server = await asyncio.start_server(functools.partial(serve, compresses=compresses), "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            results = await run_fuzzingclient(url, ["12.1.1"], [], concurrency=1)
        except FailureError as failure:
            results = failure.results
        result, = results
        print("echo compressed:" if compresses else "echo uncompressed:", result.behavior.value, result.result)
        assert result.behavior.value == ("OK" if compresses else "ERROR")

asyncio.run(main())
os._exit(0)  # a thread of kosoku's may abort an interpreter that ends in another way
PYTHON
