#include "agent.h"
#include <libwebsockets.h>
#include <unistd.h>

static const char *name;
static int port, code, opened, over;
static char *outgoing, *incoming;
static size_t received;

static void say(struct lws *socket, char *text) {
  outgoing = text;
  lws_callback_on_writable(socket);
}

static int on_event(struct lws *socket, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
  (void)user;
  switch (reason) {
  case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
    unsigned char **at = in;
    return lws_add_http_header_by_name(
      socket, (const unsigned char *)"x-agent-id:", (const unsigned char *)name, (int)strlen(name), at, *at + length);
  }
  case LWS_CALLBACK_CLIENT_ESTABLISHED:
    opened = 1, received = 0;
    say(socket, agent_registration(name));
    break;
  case LWS_CALLBACK_CLIENT_RECEIVE:
    incoming = realloc(incoming, received + length + 1);
    memcpy(incoming + received, in, length);
    incoming[received += length] = 0;
    if (lws_is_final_fragment(socket)) {
      char *answer = agent_answer(incoming);
      received = 0;
      if (answer) say(socket, answer);
    }
    break;
  case LWS_CALLBACK_CLIENT_WRITEABLE:
    if (outgoing) {
      size_t count = strlen(outgoing);
      unsigned char *buffer = malloc(LWS_PRE + count);
      memcpy(buffer + LWS_PRE, outgoing, count);
      free(outgoing), outgoing = NULL;
      int written = lws_write(socket, buffer + LWS_PRE, count, LWS_WRITE_TEXT);
      free(buffer);
      if (written < 0) return -1;
    }
    break;
  case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    code = length >= 2 ? ((unsigned char *)in)[0] << 8 | ((unsigned char *)in)[1] : 1005;
    break;
  case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
  case LWS_CALLBACK_CLIENT_CLOSED:
    over = 1;
    break;
  default: break;
  }
  return 0;
}

int main(int count, char **arguments) {
  static const struct lws_protocols protocols[] = {{"agent", on_event, 0, 65536, 0, NULL, 0}, {NULL, NULL, 0, 0, 0, NULL, 0}};
  if (count < 3) return 2;
  name = arguments[2];
  sscanf(arguments[1], "ws://127.0.0.1:%d", &port);
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context_creation_info options = {.port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .gid = -1, .uid = -1};
  struct lws_context *context = lws_create_context(&options);
  for (;; usleep(500000)) {
    over = opened = 0, code = 1006;
    struct lws_client_connect_info target = {
      .context = context, .address = "127.0.0.1", .port = port, .path = "/ws/agent", .host = "127.0.0.1", .origin = "127.0.0.1",
      .local_protocol_name = "agent"};
    if (!lws_client_connect_via_info(&target)) continue;
    while (!over) lws_service(context, 0);
    if (opened) agent_closed(code);
  }
}
