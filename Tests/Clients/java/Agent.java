import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What the Java agents have in common: what they send, and what they print for the driver. */
final class Agent {
  static String url;
  static String name;

  /** One connection: returns its close code when it has ended, and throws where it could not be opened. */
  interface Session {
    int run() throws Exception;
  }

  static void forever(String[] arguments, Session session) throws InterruptedException {
    url = arguments[0];
    name = arguments[1];
    while (true) {
      try {
        System.out.println("closed " + session.run());
      } catch (Exception nobodyListensYet) {
      }
      Thread.sleep(500);
    }
  }

  static String registration() {
    return "{\"type\":\"register\",\"payload\":{\"capabilities\":[\"" + name + "\"]}}";
  }

  /** The message that answers a message; null where there is nothing to say. */
  static String answer(String message) {
    String type = member(message, "type");
    if (type.equals("registered")) System.out.println("registered");
    if (type.equals("error")) System.out.println(message);
    if (!type.equals("task")) return null;
    Matcher bytes = Pattern.compile("\"bytes\":(\\d+)").matcher(message);
    String result = bytes.find()
        ? "{\"data\":\"" + "x".repeat(Integer.parseInt(bytes.group(1))) + "\"}" : "{\"echo\":\"" + member(message, "text") + "\"}";
    return "{\"type\":\"task_result\",\"payload\":{\"taskId\":\"" + member(message, "taskId") + "\",\"executionId\":\""
        + member(message, "executionId") + "\",\"result\":" + result + "}}";
  }

  /** The node's JSON has no spaces, so that looking for a member's text is enough here. */
  private static String member(String message, String name) {
    Matcher found = Pattern.compile("\"" + name + "\":\"([^\"]*)\"").matcher(message);
    return found.find() ? found.group(1) : "";
  }
}
