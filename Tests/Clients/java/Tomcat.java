import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import javax.websocket.ClientEndpointConfig;
import javax.websocket.CloseReason;
import javax.websocket.ContainerProvider;
import javax.websocket.Endpoint;
import javax.websocket.EndpointConfig;
import javax.websocket.MessageHandler;
import javax.websocket.Session;

/** The client of javax.websocket that the class path brings: Tomcat's. */
final class Tomcat extends Endpoint {
  private final CompletableFuture<Integer> closed = new CompletableFuture<>();

  @Override
  public void onOpen(Session session, EndpointConfig configuration) {
    session.addMessageHandler(String.class, (MessageHandler.Whole<String>) text -> {
      String answer = Agent.answer(text);
      if (answer != null) session.getAsyncRemote().sendText(answer);
    });
    session.getAsyncRemote().sendText(Agent.registration());
  }

  @Override
  public void onClose(Session session, CloseReason reason) {
    closed.complete(reason.getCloseCode().getCode());
  }

  public static void main(String[] arguments) throws InterruptedException {
    ClientEndpointConfig configuration = ClientEndpointConfig.Builder.create().configurator(new ClientEndpointConfig.Configurator() {
      @Override
      public void beforeRequest(Map<String, List<String>> headers) {
        headers.put("X-Agent-Id", List.of(Agent.name));
      }
    }).build();
    Agent.forever(arguments, () -> {
      Tomcat endpoint = new Tomcat();
      ContainerProvider.getWebSocketContainer().connectToServer(endpoint, configuration, URI.create(Agent.url));
      return endpoint.closed.join();
    });
  }
}
