#include "agent.h"
#include <libsoup/soup.h>

static const char *url, *name;
static SoupSession *session;

static gboolean connect_once(gpointer unused);

static void on_message(SoupWebsocketConnection *socket, SoupWebsocketDataType type, GBytes *bytes, gpointer unused) {
  (void)type, (void)unused;
  gsize length;
  const char *data = g_bytes_get_data(bytes, &length);
  char *text = g_strndup(data, length), *answer = agent_answer(text);
  if (answer) soup_websocket_connection_send_text(socket, answer);
  free(answer);
  g_free(text);
}

static void on_closed(SoupWebsocketConnection *socket, gpointer unused) {
  (void)unused;
  agent_closed(soup_websocket_connection_get_close_code(socket));
  g_object_unref(socket);
  g_timeout_add(500, connect_once, NULL);
}

static void on_connected(GObject *source, GAsyncResult *result, gpointer unused) {
  (void)source, (void)unused;
  SoupWebsocketConnection *socket = soup_session_websocket_connect_finish(session, result, NULL);
  if (!socket) {
    g_timeout_add(500, connect_once, NULL);
    return;
  }
  g_signal_connect(socket, "message", G_CALLBACK(on_message), NULL);
  g_signal_connect(socket, "closed", G_CALLBACK(on_closed), NULL);
  char *registration = agent_registration(name);
  soup_websocket_connection_send_text(socket, registration);
  free(registration);
}

static gboolean connect_once(gpointer unused) {
  (void)unused;
  SoupMessage *request = soup_message_new("GET", url);
  soup_message_headers_append(soup_message_get_request_headers(request), "X-Agent-Id", name);
  soup_session_websocket_connect_async(session, request, NULL, NULL, G_PRIORITY_DEFAULT, NULL, on_connected, NULL);
  g_object_unref(request);
  return G_SOURCE_REMOVE;
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  url = arguments[1], name = arguments[2];
  session = soup_session_new();
  connect_once(NULL);
  g_main_loop_run(g_main_loop_new(NULL, FALSE));
}
