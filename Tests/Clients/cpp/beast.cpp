#include "../c/agent.h"
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

namespace asio = boost::asio;
namespace beast = boost::beast;

static std::string taken(char *text) {
  std::unique_ptr<char, decltype(&free)> owner(text, free);
  return text;
}

static void session(const std::string &host, const std::string &port, const std::string &name) {
  asio::io_context context;
  beast::websocket::stream<asio::ip::tcp::socket> socket(context);
  asio::connect(socket.next_layer(), asio::ip::tcp::resolver(context).resolve(host, port));
  socket.set_option(beast::websocket::stream_base::decorator([&](beast::websocket::request_type &request) {
    request.set("X-Agent-Id", name);
  }));
  socket.handshake(host + ":" + port, "/ws/agent");
  socket.write(asio::buffer(taken(agent_registration(name.c_str()))));
  for (;;) {
    beast::flat_buffer buffer;
    beast::error_code error;
    socket.read(buffer, error);
    if (error == beast::websocket::error::closed) return agent_closed(socket.reason().code);
    if (error) {
      std::cout << "closed " << error.message() << std::endl;
      return;
    }
    if (char *answer = agent_answer(beast::buffers_to_string(buffer.data()).c_str())) socket.write(asio::buffer(taken(answer)));
  }
}

int main(int, char **arguments) {
  std::string url = arguments[1], port = url.substr(strlen("ws://127.0.0.1:"));
  port = port.substr(0, port.find('/'));
  for (;;) {
    try {
      session("127.0.0.1", port, arguments[2]);
    } catch (const std::exception &) { // nobody listens yet
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}
