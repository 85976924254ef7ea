"""WebSockets over HTTP/2 (RFC 8441), if the settings of the server offer them."""
import socket

import h2.config, h2.connection, h2.events

from proxies import HOST


def extended_connect(port):
    """Whether WebSockets over HTTP/2 (RFC 8441) are offered, and the status of one that is tried."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        client.initiate_connection()
        peer.sendall(client.data_to_send())
        offered = None
        while data := peer.recv(65536):
            for event in client.receive_data(data):
                if isinstance(event, h2.events.RemoteSettingsChanged) and offered is None:
                    offered = client.remote_settings.enable_connect_protocol == 1
                    client.send_headers(1, [
                        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/ws/agent"),
                        (":authority", HOST), ("sec-websocket-version", "13")])
                elif isinstance(event, h2.events.ResponseReceived):
                    return offered, int(dict(event.headers)[":status"])
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    return offered, None
            peer.sendall(client.data_to_send())
        return offered, None
