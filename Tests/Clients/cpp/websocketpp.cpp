#include "../c/agent.h"
#include <chrono>
#include <string>
#include <thread>
#include <websocketpp/client.hpp>
#include <websocketpp/config/asio_no_tls_client.hpp>

using Client = websocketpp::client<websocketpp::config::asio_client>;
using Handle = websocketpp::connection_hdl;
constexpr auto text = websocketpp::frame::opcode::text;

static void say(Client &client, Handle socket, char *message) {
  if (message) client.send(socket, message, text);
  free(message);
}

int main(int, char **arguments) {
  const char *name = arguments[2];
  for (;;) {
    Client client;
    client.clear_access_channels(websocketpp::log::alevel::all);
    client.clear_error_channels(websocketpp::log::elevel::all);
    client.init_asio();
    client.set_open_handler([&](Handle socket) { say(client, socket, agent_registration(name)); });
    client.set_message_handler([&](Handle socket, Client::message_ptr message) {
      say(client, socket, agent_answer(message->get_payload().c_str()));
    });
    client.set_close_handler([&](Handle socket) { agent_closed(client.get_con_from_hdl(socket)->get_remote_close_code()); });
    websocketpp::lib::error_code error;
    auto connection = client.get_connection(arguments[1], error);
    connection->append_header("X-Agent-Id", name);
    client.connect(connection);
    client.run();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}
