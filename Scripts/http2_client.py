"""A client of HTTP/2 with WebSockets (RFC 8441), which a server has to offer in its settings."""
import json, os, socket, ssl

import h2.config, h2.connection, h2.events

from proxies import HOST


class Stream:
    def __init__(self):
        self.status, self.body, self.is_over = None, b"", False


class Connection:
    """A connection to a port of this machine, over TLS if there is a context, by the public name."""

    def __init__(self, port, context=None):
        self.scheme, self.socket = "https" if context else "http", socket.create_connection(("127.0.0.1", port), timeout=10)
        if context:
            context.set_alpn_protocols(["h2", "http/1.1"])
            self.socket = context.wrap_socket(self.socket, server_hostname=HOST)
            if self.socket.selected_alpn_protocol() != "h2":
                raise ConnectionError(f"the proxy chose {self.socket.selected_alpn_protocol()} of h2 and http/1.1")
        self.client, self.streams, self.offers_websockets = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8")), {}, None
        self.client.initiate_connection()
        self.flush()
        self.receive_until(lambda: self.offers_websockets is not None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.client.data_to_send())

    def receive_until(self, condition):
        while not condition():
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the proxy closed the connection")
            for event in self.client.receive_data(data):
                stream = self.streams.get(getattr(event, "stream_id", None))
                if isinstance(event, h2.events.RemoteSettingsChanged):
                    # A server may not withdraw the offer.
                    self.offers_websockets = self.offers_websockets or self.client.remote_settings.enable_connect_protocol == 1
                elif isinstance(event, h2.events.ConnectionTerminated):
                    raise ConnectionError(f"the proxy ended the connection: {event.error_code}")
                elif isinstance(event, h2.events.ResponseReceived):
                    stream.status = int(dict(event.headers)[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    stream.body += event.data
                    self.client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    stream.is_over = True
            self.flush()

    def open(self, method, path, fields, host=HOST, body=None, ends=True):
        identifier, stream = self.client.get_next_available_stream_id(), Stream()
        self.streams[identifier] = stream
        self.client.send_headers(
            identifier, [(":method", method), (":scheme", self.scheme), (":authority", host), (":path", path), *fields],
            end_stream=ends and body is None)
        if body is not None:
            self.client.send_data(identifier, body, end_stream=True)
        self.flush()
        return identifier, stream

    def ask(self, *requests):
        """The statuses and bodies of requests that are sent at once; each is a method, a path, a document or None, and perhaps a host."""
        opened = []
        for method, path, document, *host in requests:
            body = None if document is None else json.dumps(document).encode()
            fields = [] if body is None else [("content-type", "application/json"), ("content-length", str(len(body)))]
            opened.append(self.open(method, path, fields, *host, body=body)[1])
        self.receive_until(lambda: all(stream.is_over for stream in opened))
        return [(stream.status, stream.body.decode(errors="replace")) for stream in opened]

    def open_websocket(self, path):
        """The status of a handshake by extended CONNECT, or None if it has no response, and the WebSocket."""
        fields = [("sec-websocket-version", "13"), ("origin", f"{self.scheme}://{HOST}")]
        identifier, stream = self.open("CONNECT", path, [(":protocol", "websocket"), *fields], ends=False)
        try:
            self.receive_until(lambda: stream.status is not None or stream.is_over)
        except ConnectionError:
            pass  # what is not offered may cost the connection
        return stream.status, WebSocket(self, identifier, stream)


class WebSocket:
    """Short texts over a stream; of pings it takes no notice."""

    def __init__(self, connection, identifier, stream):
        self.connection, self.identifier, self.stream = connection, identifier, stream

    def send(self, document):
        text, mask = json.dumps(document).encode(), os.urandom(4)
        length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0x80 | 126]) + len(text).to_bytes(2, "big")
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
        self.connection.client.send_data(self.identifier, b"\x81" + length + mask + masked)
        self.connection.flush()

    def receive(self):
        """The next text's document."""
        while True:
            self.connection.receive_until(lambda: self.length() is not None or self.stream.is_over)
            if self.length() is None:
                raise ConnectionError("the WebSocket ended")
            start, end = self.length()
            frame, self.stream.body = self.stream.body[:end], self.stream.body[end:]
            if frame[0] & 0x0F == 1:
                return json.loads(frame[start:])

    def length(self):
        """Where the payload of the first frame begins and ends, once it is whole."""
        body = self.stream.body
        if len(body) < 4:
            return None
        start, size = (4, int.from_bytes(body[2:4], "big")) if body[1] == 126 else (2, body[1])
        return (start, start + size) if len(body) >= start + size else None
