/**
 * Eclipse Paho for Java, for MQTT 3.1.1 and for 5, all scenarios in one run: it prints `ok NAME` or
 * `failed NAME REASON` for each. Run as one source file: java -cp 'libs/*' MqttPaho.java HOST PORT
 */
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.mqttv5.client.IMqttToken;
import org.eclipse.paho.mqttv5.client.MqttCallback;
import org.eclipse.paho.mqttv5.client.MqttClient;
import org.eclipse.paho.mqttv5.client.MqttConnectionOptions;
import org.eclipse.paho.mqttv5.client.MqttDisconnectResponse;
import org.eclipse.paho.mqttv5.client.persist.MemoryPersistence;
import org.eclipse.paho.mqttv5.common.MqttException;
import org.eclipse.paho.mqttv5.common.MqttMessage;
import org.eclipse.paho.mqttv5.common.packet.MqttProperties;
import org.eclipse.paho.mqttv5.common.packet.UserProperty;

public class MqttPaho {
  private static final int PATIENCE_MS = 20_000;
  private static String server;
  private static String webServer;
  private static boolean failed;

  interface Scenario {
    void run() throws Exception;
  }

  public static void main(String[] args) {
    server = "tcp://" + args[0] + ":" + args[1];
    webServer = "ws://" + args[0] + ":" + args[2] + "/mqtt";
    attempt("v3-qos", V3::qos);
    attempt("v3-retained", V3::retained);
    attempt("v3-will", V3::will);
    attempt("v3-session", V3::session);
    attempt("v3-shared", V3::shared);
    attempt("v3-refused", V3::refused);
    attempt("v3-websocket", V3::websocket);
    attempt("v5-qos", V5::qos);
    attempt("v5-will", V5::will);
    attempt("v5-session", V5::session);
    attempt("v5-properties", V5::properties);
    attempt("v5-receive-maximum", V5::receiveMaximum);
    attempt("v5-refused", V5::refused);
    // Threads of clients that a failed scenario left behind do not keep the process.
    System.exit(failed ? 1 : 0);
  }

  private static void attempt(String name, Scenario scenario) {
    try {
      scenario.run();
      System.out.println("ok " + name);
    } catch (Exception | AssertionError error) {
      failed = true;
      error.printStackTrace();
      System.out.println("failed " + name + " " + error);
    }
  }

  record Message(String topic, String body, int qos, boolean retained, int id, MqttProperties properties) {}

  static void expect(Object actual, Object wanted) {
    if (!wanted.equals(actual)) throw new AssertionError("expected " + wanted + ", got " + actual);
  }

  static List<String> numbered(String prefix, int count) {
    return IntStream.range(0, count).mapToObj(number -> prefix + number).toList();
  }

  static List<Message> take(BlockingQueue<Message> inbox, int count) throws InterruptedException {
    List<Message> messages = new ArrayList<>();
    while (messages.size() < count) {
      Message message = inbox.poll(PATIENCE_MS, TimeUnit.MILLISECONDS);
      if (message == null) throw new AssertionError(messages.size() + " of " + count + " came");
      messages.add(message);
    }
    return messages;
  }

  static List<String> bodies(List<Message> messages, int qos) {
    return messages.stream().filter(message -> message.qos == qos).map(Message::body).toList();
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** MQTT 3.1.1. */
  static class V3 {
    final org.eclipse.paho.client.mqttv3.MqttClient client;
    final LinkedBlockingQueue<Message> inbox = new LinkedBlockingQueue<>();
    boolean sessionPresent;

    V3(String at, String name, Consumer<MqttConnectOptions> change) throws Exception {
      var memory = new org.eclipse.paho.client.mqttv3.persist.MemoryPersistence();
      client = new org.eclipse.paho.client.mqttv3.MqttClient(at, "java3-" + name, memory);
      client.setTimeToWait(PATIENCE_MS);
      client.setCallback(
          new org.eclipse.paho.client.mqttv3.MqttCallback() {
            @Override
            public void connectionLost(Throwable cause) {}

            @Override
            public void messageArrived(String topic, org.eclipse.paho.client.mqttv3.MqttMessage message) {
              inbox.add(message(topic, message));
            }

            @Override
            public void deliveryComplete(org.eclipse.paho.client.mqttv3.IMqttDeliveryToken token) {}
          });
      MqttConnectOptions options = new MqttConnectOptions();
      change.accept(options);
      sessionPresent = client.connectWithResult(options).getSessionPresent();
    }

    static V3 open(String name) throws Exception {
      return new V3(server, name, options -> {});
    }

    static Message message(String topic, org.eclipse.paho.client.mqttv3.MqttMessage got) {
      String body = new String(got.getPayload(), StandardCharsets.UTF_8);
      return new Message(topic, body, got.getQos(), got.isRetained(), got.getId(), null);
    }

    void publish(String topic, String body, int qos, boolean retained) throws Exception {
      client.publish(topic, bytes(body), qos, retained);
    }

    static void qos() throws Exception {
      V3 reader = open("reader");
      V3 writer = open("writer");
      for (int level = 0; level < 3; level++) {
        String topic = "java3/qos/" + level;
        int[] granted = reader.client.subscribeWithResponse(topic, level).getGrantedQos();
        expect(granted[0], level);
        List<String> wanted = numbered("m", 20);
        for (String body : wanted) writer.publish(topic, body, level, false);
        expect(bodies(take(reader.inbox, 20), level), wanted);
      }
      reader.client.disconnect();
      writer.client.disconnect();
    }

    static void retained() throws Exception {
      V3 writer = open("writer");
      writer.publish("java3/retained/a", "kept", 1, true);
      writer.publish("java3/retained/b", "kept too", 1, true);
      V3 reader = open("reader");
      reader.client.subscribe("java3/retained/a", 1);
      Message first = take(reader.inbox, 1).get(0);
      expect(List.of(first.body, first.retained), List.of("kept", true));
      reader.client.disconnect();
      writer.publish("java3/retained/a", "", 1, true);
      reader = open("reader");
      reader.client.subscribe("java3/retained/+", 1);
      expect(take(reader.inbox, 1).get(0).body, "kept too");
      reader.client.disconnect();
      writer.client.disconnect();
    }

    static void will() throws Exception {
      V3 witness = open("witness");
      witness.client.subscribe("java3/will", 2);
      V3 dying = new V3(server, "dying", options -> options.setWill("java3/will", bytes("gone"), 2, false));
      // No DISCONNECT is sent: for the server the connection broke.
      dying.client.disconnectForcibly(0, 0, false);
      Message message = take(witness.inbox, 1).get(0);
      expect(List.of(message.body, message.qos), List.of("gone", 2));
      witness.client.disconnect();
    }

    static void session() throws Exception {
      Consumer<MqttConnectOptions> keep = options -> options.setCleanSession(false);
      V3 reader = new V3(server, "session", keep);
      expect(reader.sessionPresent, false);
      reader.client.subscribe("java3/session", 2);
      reader.client.disconnect();
      V3 writer = open("writer");
      List<String> ones = numbered("one", 20);
      List<String> twos = numbered("two", 20);
      for (int number = 0; number < 20; number++) {
        writer.publish("java3/session", ones.get(number), 1, false);
        writer.publish("java3/session", twos.get(number), 2, false);
      }
      reader = new V3(server, "session", keep);
      expect(reader.sessionPresent, true);
      List<Message> messages = take(reader.inbox, 40);
      expect(bodies(messages, 1), ones);
      expect(bodies(messages, 2), twos);
      reader.client.disconnect();
      writer.client.disconnect();
    }

    static void shared() throws Exception {
      V3 first = open("first");
      V3 second = open("second");
      V3 writer = open("writer");
      for (V3 member : List.of(first, second)) {
        // Its listeners compare topics with the filter as it is: messages come by the callback.
        member.client.subscribe("$share/java3/java3/shared", 1);
      }
      List<String> wanted = numbered("m", 60);
      for (String body : wanted) writer.publish("java3/shared", body, 1, false);
      Set<String> got = new HashSet<>();
      long late = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PATIENCE_MS);
      int[] counts = new int[2];
      while (got.size() < 60 && System.nanoTime() < late) {
        Message one = first.inbox.poll(10, TimeUnit.MILLISECONDS);
        Message two = second.inbox.poll(10, TimeUnit.MILLISECONDS);
        if (one != null && got.add(one.body)) counts[0]++;
        if (two != null && got.add(two.body)) counts[1]++;
      }
      expect(got, new HashSet<>(wanted));
      expect(counts[0] > 0 && counts[1] > 0, true);
      for (V3 each : List.of(first, second, writer)) each.client.disconnect();
    }

    static void refused() throws Exception {
      try {
        new V3(server, "stranger", options -> {
          options.setUserName("admin");
          options.setPassword("wrong".toCharArray());
        });
        throw new AssertionError("a wrong password was taken");
      } catch (org.eclipse.paho.client.mqttv3.MqttException refused) {
        expect(refused.getReasonCode(), 4);
      }
      V3 known = open("known");
      try {
        known.client.subscribe("forbidden/area", 1);
        throw new AssertionError("a forbidden filter was granted");
      } catch (org.eclipse.paho.client.mqttv3.MqttException refused) {
        expect(refused.getReasonCode(), 128);
      }
      expect(known.client.subscribeWithResponse("java3/open", 1).getGrantedQos()[0], 1);
      known.client.disconnect();
    }

    static void websocket() throws Exception {
      V3 reader = new V3(webServer, "web", options -> {});
      V3 writer = open("writer");
      reader.client.subscribe("java3/web", 2);
      String body = "0123456789".repeat(10_000);
      writer.publish("java3/web", body, 2, false);
      expect(take(reader.inbox, 1).get(0).body.equals(body), true);
      reader.client.disconnect();
      writer.client.disconnect();
    }
  }

  /** MQTT 5. */
  static class V5 implements MqttCallback {
    final MqttClient client;
    final LinkedBlockingQueue<Message> inbox = new LinkedBlockingQueue<>();
    boolean sessionPresent;

    V5(String name, Consumer<MqttConnectionOptions> change) throws Exception {
      client = new MqttClient(server, "java5-" + name, new MemoryPersistence());
      client.setTimeToWait(PATIENCE_MS);
      client.setCallback(this);
      MqttConnectionOptions options = new MqttConnectionOptions();
      options.setUseSubscriptionIdentifiers(false);
      change.accept(options);
      sessionPresent = client.connectWithResult(options).getSessionPresent();
    }

    static V5 open(String name) throws Exception {
      return new V5(name, options -> {});
    }

    @Override
    public void messageArrived(String topic, MqttMessage got) {
      String body = new String(got.getPayload(), StandardCharsets.UTF_8);
      inbox.add(new Message(topic, body, got.getQos(), got.isRetained(), got.getId(), got.getProperties()));
    }

    @Override
    public void disconnected(MqttDisconnectResponse response) {}

    @Override
    public void mqttErrorOccurred(MqttException error) {}

    @Override
    public void deliveryComplete(IMqttToken token) {}

    @Override
    public void connectComplete(boolean again, String uri) {}

    @Override
    public void authPacketArrived(int reason, MqttProperties properties) {}

    void publish(String topic, String body, int qos) throws Exception {
      client.publish(topic, bytes(body), qos, false);
    }

    static void qos() throws Exception {
      V5 reader = open("reader");
      V5 writer = open("writer");
      for (int level = 0; level < 3; level++) {
        String topic = "java5/qos/" + level;
        expect(reader.client.subscribe(topic, level).getReasonCodes()[0], level);
        List<String> wanted = numbered("m", 20);
        for (String body : wanted) writer.publish(topic, body, level);
        expect(bodies(take(reader.inbox, 20), level), wanted);
      }
      reader.client.disconnect();
      writer.client.disconnect();
    }

    static void will() throws Exception {
      V5 witness = open("witness");
      witness.client.subscribe("java5/will", 2);
      MqttProperties more = new MqttProperties();
      more.setUserProperties(List.of(new UserProperty("why", "broken")));
      V5 dying = new V5("dying", options -> {
        options.setWill("java5/will", new MqttMessage(bytes("gone"), 2, false, null));
        options.setWillMessageProperties(more);
      });
      dying.client.disconnectForcibly(0, 0, false);
      Message message = take(witness.inbox, 1).get(0);
      expect(List.of(message.body, message.qos), List.of("gone", 2));
      expect(message.properties.getUserProperties(), List.of(new UserProperty("why", "broken")));
      witness.client.disconnect();
    }

    static void session() throws Exception {
      Consumer<MqttConnectionOptions> keep = options -> {
        options.setCleanStart(false);
        options.setSessionExpiryInterval(300L);
      };
      V5 reader = new V5("session", keep);
      expect(reader.sessionPresent, false);
      reader.client.subscribe("java5/session", 2);
      reader.client.disconnect();
      V5 writer = open("writer");
      List<String> ones = numbered("one", 20);
      List<String> twos = numbered("two", 20);
      for (int number = 0; number < 20; number++) {
        writer.publish("java5/session", ones.get(number), 1);
        writer.publish("java5/session", twos.get(number), 2);
      }
      reader = new V5("session", keep);
      expect(reader.sessionPresent, true);
      List<Message> messages = take(reader.inbox, 40);
      expect(bodies(messages, 1), ones);
      expect(bodies(messages, 2), twos);
      reader.client.disconnect();
      writer.client.disconnect();
    }

    static void properties() throws Exception {
      // No aliases towards this client: it hands over an empty topic for them (its issue 866).
      V5 reader = open("reader");
      V5 writer = open("writer");
      reader.client.subscribe("java5/properties/#", 1);
      MqttProperties sent = new MqttProperties();
      List<UserProperty> pairs =
          List.of(new UserProperty("b", "1"), new UserProperty("a", "2"), new UserProperty("b", "3"));
      sent.setUserProperties(pairs);
      sent.setMessageExpiryInterval(100L);
      sent.setResponseTopic("java5/answers");
      sent.setCorrelationData(new byte[] {0, -1});
      sent.setContentType("text/plain");
      sent.setPayloadFormat(true);
      for (String body : List.of("a", "b", "c")) {
        writer.client.publish("java5/properties/x", new MqttMessage(bytes(body), 1, false, sent));
      }
      List<Message> messages = take(reader.inbox, 3);
      expect(bodies(messages, 1), List.of("a", "b", "c"));
      for (Message message : messages) {
        MqttProperties got = message.properties;
        expect(message.topic, "java5/properties/x");
        expect(got.getUserProperties(), pairs);
        long expiry = got.getMessageExpiryInterval();
        expect(expiry > 0 && expiry <= 100, true);
        expect(got.getResponseTopic(), "java5/answers");
        expect(Arrays.equals(got.getCorrelationData(), new byte[] {0, -1}), true);
        expect(got.getContentType(), "text/plain");
        expect(got.getPayloadFormat(), true);
      }
      reader.client.disconnect();
      writer.client.disconnect();
    }

    /** Acknowledgements are held back: no more than two messages may be on their way. */
    static void receiveMaximum() throws Exception {
      V5 reader = new V5("careful", options -> options.setReceiveMaximum(2));
      reader.client.setManualAcks(true);
      reader.client.subscribe("java5/slow", 1);
      V5 writer = open("writer");
      List<String> wanted = numbered("m", 10);
      for (String body : wanted) writer.publish("java5/slow", body, 1);
      List<Message> held = take(reader.inbox, 2);
      // The answer comes after whatever the server would have sent before it.
      reader.client.subscribe("java5/barrier", 1);
      expect(reader.inbox.size(), 0);
      List<Message> all = new ArrayList<>(held);
      for (int number = 0; number < 10; number++) {
        Message message = all.get(number);
        reader.client.messageArrivedComplete(message.id, message.qos);
        if (all.size() < 10) all.addAll(take(reader.inbox, 1));
      }
      expect(bodies(all, 1), wanted);
      reader.client.disconnect();
      writer.client.disconnect();
    }

    static void refused() throws Exception {
      try {
        new V5("stranger", options -> {
          options.setUserName("admin");
          options.setPassword(bytes("wrong"));
        });
        throw new AssertionError("a wrong password was taken");
      } catch (MqttException refused) {
        expect(refused.getReasonCode(), 0x86);
      }
      V5 known = open("known");
      int[] reasons = known.client.subscribe(new String[] {"forbidden/area", "java5/open"}, new int[] {1, 1})
          .getReasonCodes();
      expect(Arrays.toString(reasons), "[135, 1]");
      known.client.disconnect();
    }
  }
}
