#include "../c/agent.h"
#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/WebSocket.h>
#include <Poco/URI.h>
#include <chrono>
#include <thread>

using namespace Poco::Net;

static void say(WebSocket &socket, char *message) {
  if (message) socket.sendFrame(message, static_cast<int>(strlen(message)));
  free(message);
}

static void session(const Poco::URI &url, const char *name) {
  HTTPClientSession http(url.getHost(), url.getPort());
  HTTPRequest request(HTTPRequest::HTTP_GET, url.getPath(), HTTPMessage::HTTP_1_1);
  request.set("X-Agent-Id", name);
  HTTPResponse response;
  WebSocket socket(http, request, response);
  socket.setReceiveTimeout(Poco::Timespan(0));
  say(socket, agent_registration(name));
  for (;;) {
    Poco::Buffer<char> buffer(0);
    int flags = 0, length = socket.receiveFrame(buffer, flags);
    switch (flags & WebSocket::FRAME_OP_BITMASK) {
    case WebSocket::FRAME_OP_PING: // the library leaves pongs to the program
      socket.sendFrame(buffer.begin(), length, WebSocket::FRAME_FLAG_FIN | WebSocket::FRAME_OP_PONG);
      break;
    case WebSocket::FRAME_OP_CLOSE:
      agent_closed(length >= 2 ? (unsigned char)buffer[0] << 8 | (unsigned char)buffer[1] : 1005);
      socket.shutdown();
      return;
    default:
      if (length == 0 && flags == 0) return agent_closed(1006);
      buffer.append('\0');
      say(socket, agent_answer(buffer.begin()));
    }
  }
}

int main(int, char **arguments) {
  for (;;) {
    try {
      session(Poco::URI(arguments[1]), arguments[2]);
    } catch (const Poco::Exception &) { // nobody listens yet
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}
