import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

final class JDK implements WebSocket.Listener {
  private final CompletableFuture<Integer> closed = new CompletableFuture<>();
  private final StringBuilder message = new StringBuilder();

  @Override
  public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
    message.append(part);
    if (last) {
      String answer = Agent.answer(message.toString());
      message.setLength(0);
      if (answer != null) socket.sendText(answer, true);
    }
    socket.request(1);
    return null;
  }

  @Override
  public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
    closed.complete(code);
    return null;
  }

  @Override
  public void onError(WebSocket socket, Throwable error) {
    closed.complete(1006);
  }

  public static void main(String[] arguments) throws InterruptedException {
    HttpClient client = HttpClient.newHttpClient();
    Agent.forever(arguments, () -> {
      JDK listener = new JDK();
      WebSocket socket = client.newWebSocketBuilder().header("X-Agent-Id", Agent.name).buildAsync(URI.create(Agent.url), listener).join();
      socket.sendText(Agent.registration(), true);
      return listener.closed.join();
    });
  }
}
