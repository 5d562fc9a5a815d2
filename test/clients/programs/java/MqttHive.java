/**
 * HiveMQ's client for MQTT 3.1.1 and 5, all scenarios in one run: it prints `ok NAME` or
 * `failed NAME REASON` for each. Run as one source file: java -cp 'libs/*' MqttHive.java HOST PORT
 */
import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.datatypes.MqttUtf8String;
import com.hivemq.client.mqtt.mqtt3.Mqtt3BlockingClient;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3ConnAckException;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3SubAckException;
import com.hivemq.client.mqtt.mqtt3.message.connect.Mqtt3Connect;
import com.hivemq.client.mqtt.mqtt3.message.connect.connack.Mqtt3ConnAckReturnCode;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import com.hivemq.client.mqtt.mqtt5.Mqtt5BlockingClient;
import com.hivemq.client.mqtt.mqtt5.Mqtt5BlockingClient.Mqtt5Publishes;
import com.hivemq.client.mqtt.mqtt5.Mqtt5ClientConfig;
import com.hivemq.client.mqtt.mqtt5.auth.Mqtt5EnhancedAuthMechanism;
import com.hivemq.client.mqtt.mqtt5.datatypes.Mqtt5UserProperties;
import com.hivemq.client.mqtt.mqtt5.exceptions.Mqtt5ConnAckException;
import com.hivemq.client.mqtt.mqtt5.exceptions.Mqtt5PubAckException;
import com.hivemq.client.mqtt.mqtt5.exceptions.Mqtt5SubAckException;
import com.hivemq.client.mqtt.mqtt5.message.auth.Mqtt5Auth;
import com.hivemq.client.mqtt.mqtt5.message.auth.Mqtt5AuthBuilder;
import com.hivemq.client.mqtt.mqtt5.message.auth.Mqtt5EnhancedAuth;
import com.hivemq.client.mqtt.mqtt5.message.auth.Mqtt5EnhancedAuthBuilder;
import com.hivemq.client.mqtt.mqtt5.message.connect.Mqtt5Connect;
import com.hivemq.client.mqtt.mqtt5.message.connect.connack.Mqtt5ConnAck;
import com.hivemq.client.mqtt.mqtt5.message.connect.connack.Mqtt5ConnAckReasonCode;
import com.hivemq.client.mqtt.mqtt5.message.disconnect.Mqtt5Disconnect;
import com.hivemq.client.mqtt.mqtt5.message.disconnect.Mqtt5DisconnectReasonCode;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5PayloadFormatIndicator;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5Publish;
import com.hivemq.client.mqtt.mqtt5.message.publish.puback.Mqtt5PubAckReasonCode;
import com.hivemq.client.mqtt.mqtt5.message.subscribe.suback.Mqtt5SubAckReasonCode;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import javax.crypto.Mac;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;

public class MqttHive {
  private static final int PATIENCE_S = 20;
  private static String host;
  private static int port;
  private static boolean failed;

  interface Scenario {
    void run() throws Exception;
  }

  public static void main(String[] args) {
    host = args[0];
    port = Integer.parseInt(args[1]);
    attempt("v3-qos", MqttHive::qos3);
    attempt("v3-session", MqttHive::session3);
    attempt("v3-refused", MqttHive::refused3);
    attempt("v5-qos", MqttHive::qos);
    attempt("v5-retained", MqttHive::retained);
    attempt("v5-will", MqttHive::will);
    attempt("v5-session", MqttHive::session);
    attempt("v5-shared", MqttHive::shared);
    attempt("v5-properties", MqttHive::properties);
    attempt("v5-receive-maximum", MqttHive::receiveMaximum);
    attempt("v5-refused", MqttHive::refused);
    attempt("v5-scram", MqttHive::scram);
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

  private static void expect(Object actual, Object wanted) {
    if (!wanted.equals(actual)) throw new AssertionError("expected " + wanted + ", got " + actual);
  }

  private static List<String> numbered(String prefix, int count) {
    return IntStream.range(0, count).mapToObj(number -> prefix + number).toList();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }

  // MQTT 3.1.1

  private static Mqtt3BlockingClient client3(String name) {
    return MqttClient.builder().useMqttVersion3().identifier("hive3-" + name)
        .serverHost(host).serverPort(port).buildBlocking();
  }

  private static void publish3(Mqtt3BlockingClient client, String topic, String body, MqttQos qos) {
    client.publishWith().topic(topic).payload(bytes(body)).qos(qos).send();
  }

  private static List<Mqtt3Publish> take(Mqtt3BlockingClient.Mqtt3Publishes inbox, int count) throws Exception {
    List<Mqtt3Publish> messages = new ArrayList<>();
    while (messages.size() < count) {
      messages.add(inbox.receive(PATIENCE_S, TimeUnit.SECONDS).orElseThrow());
    }
    return messages;
  }

  private static List<String> bodies3(List<Mqtt3Publish> messages, MqttQos qos) {
    return messages.stream().filter(message -> message.getQos() == qos)
        .map(message -> text(message.getPayloadAsBytes())).toList();
  }

  private static void qos3() throws Exception {
    Mqtt3BlockingClient reader = client3("reader");
    Mqtt3BlockingClient writer = client3("writer");
    var inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
    reader.connect();
    writer.connect();
    for (MqttQos level : MqttQos.values()) {
      String topic = "hive3/qos/" + level.getCode();
      reader.subscribeWith().topicFilter(topic).qos(level).send();
      List<String> wanted = numbered("m", 20);
      for (String body : wanted) publish3(writer, topic, body, level);
      expect(bodies3(take(inbox, 20), level), wanted);
    }
    reader.disconnect();
    writer.disconnect();
  }

  private static void session3() throws Exception {
    Mqtt3BlockingClient reader = client3("session");
    var inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
    Mqtt3Connect keep = Mqtt3Connect.builder().cleanSession(false).build();
    expect(reader.connect(keep).isSessionPresent(), false);
    reader.subscribeWith().topicFilter("hive3/session").qos(MqttQos.EXACTLY_ONCE).send();
    reader.disconnect();
    Mqtt3BlockingClient writer = client3("writer");
    writer.connect();
    List<String> ones = numbered("one", 20);
    List<String> twos = numbered("two", 20);
    for (int number = 0; number < 20; number++) {
      publish3(writer, "hive3/session", ones.get(number), MqttQos.AT_LEAST_ONCE);
      publish3(writer, "hive3/session", twos.get(number), MqttQos.EXACTLY_ONCE);
    }
    expect(reader.connect(keep).isSessionPresent(), true);
    List<Mqtt3Publish> messages = take(inbox, 40);
    expect(bodies3(messages, MqttQos.AT_LEAST_ONCE), ones);
    expect(bodies3(messages, MqttQos.EXACTLY_ONCE), twos);
    reader.disconnect();
    writer.disconnect();
  }

  private static void refused3() {
    Mqtt3BlockingClient stranger = client3("stranger");
    try {
      stranger.connectWith().simpleAuth().username("admin").password(bytes("wrong")).applySimpleAuth().send();
      throw new AssertionError("a wrong password was taken");
    } catch (Mqtt3ConnAckException refused) {
      expect(refused.getMqttMessage().getReturnCode(), Mqtt3ConnAckReturnCode.BAD_USER_NAME_OR_PASSWORD);
    }
    Mqtt3BlockingClient known = client3("known");
    known.connect();
    try {
      known.subscribeWith().topicFilter("forbidden/area").send();
      throw new AssertionError("a forbidden filter was granted");
    } catch (Mqtt3SubAckException refused) {
      expect(refused.getMqttMessage().getReturnCodes().get(0).isError(), true);
    }
    known.disconnect();
  }

  // MQTT 5

  private static Mqtt5BlockingClient client(String name) {
    return MqttClient.builder().useMqttVersion5().identifier("hive5-" + name)
        .serverHost(host).serverPort(port).buildBlocking();
  }

  private static Mqtt5BlockingClient connected(String name) {
    Mqtt5BlockingClient client = client(name);
    client.connect();
    return client;
  }

  private static void subscribe(Mqtt5BlockingClient client, String filter, MqttQos qos) {
    client.subscribeWith().topicFilter(filter).qos(qos).send();
  }

  private static void publish(Mqtt5BlockingClient client, String topic, String body, MqttQos qos) {
    client.publishWith().topic(topic).payload(bytes(body)).qos(qos).send();
  }

  private static List<Mqtt5Publish> take(Mqtt5Publishes inbox, int count) throws Exception {
    List<Mqtt5Publish> messages = new ArrayList<>();
    while (messages.size() < count) {
      messages.add(inbox.receive(PATIENCE_S, TimeUnit.SECONDS).orElseThrow());
    }
    return messages;
  }

  private static List<String> bodies(List<Mqtt5Publish> messages, MqttQos qos) {
    return messages.stream().filter(message -> message.getQos() == qos)
        .map(message -> text(message.getPayloadAsBytes())).toList();
  }

  private static void qos() throws Exception {
    Mqtt5BlockingClient reader = connected("reader");
    Mqtt5BlockingClient writer = connected("writer");
    Mqtt5Publishes inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
    for (MqttQos level : MqttQos.values()) {
      String topic = "hive5/qos/" + level.getCode();
      subscribe(reader, topic, level);
      List<String> wanted = numbered("m", 20);
      for (String body : wanted) publish(writer, topic, body, level);
      expect(bodies(take(inbox, 20), level), wanted);
    }
    reader.disconnect();
    writer.disconnect();
  }

  private static void retained() throws Exception {
    Mqtt5BlockingClient writer = connected("writer");
    for (String name : List.of("a", "b")) {
      writer.publishWith().topic("hive5/retained/" + name).payload(bytes(name))
          .qos(MqttQos.AT_LEAST_ONCE).retain(true).send();
    }
    Mqtt5BlockingClient reader = connected("reader");
    Mqtt5Publishes inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
    subscribe(reader, "hive5/retained/a", MqttQos.AT_LEAST_ONCE);
    Mqtt5Publish first = take(inbox, 1).get(0);
    expect(List.of(text(first.getPayloadAsBytes()), first.isRetain()), List.of("a", true));
    reader.disconnect();
    writer.publishWith().topic("hive5/retained/a").qos(MqttQos.AT_LEAST_ONCE).retain(true).send();
    Mqtt5BlockingClient later = connected("later");
    Mqtt5Publishes rest = later.publishes(MqttGlobalPublishFilter.ALL);
    subscribe(later, "hive5/retained/+", MqttQos.AT_LEAST_ONCE);
    expect(bodies(take(rest, 1), MqttQos.AT_LEAST_ONCE), List.of("b"));
    later.disconnect();
    writer.disconnect();
  }

  private static void will() throws Exception {
    Mqtt5BlockingClient witness = connected("witness");
    Mqtt5Publishes inbox = witness.publishes(MqttGlobalPublishFilter.ALL);
    subscribe(witness, "hive5/will", MqttQos.EXACTLY_ONCE);
    Mqtt5UserProperties pairs = Mqtt5UserProperties.builder().add("why", "asked").build();
    Mqtt5BlockingClient dying = client("dying");
    dying.connectWith()
        .willPublish().topic("hive5/will").payload(bytes("gone")).qos(MqttQos.EXACTLY_ONCE)
        .contentType("text/plain").userProperties(pairs).applyWillPublish()
        .send();
    dying.disconnectWith().reasonCode(Mqtt5DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE).send();
    Mqtt5Publish message = take(inbox, 1).get(0);
    expect(bodies(List.of(message), MqttQos.EXACTLY_ONCE), List.of("gone"));
    expect(message.getUserProperties(), pairs);
    expect(message.getContentType().orElseThrow(), MqttUtf8String.of("text/plain"));
    witness.disconnect();
  }

  private static void session() throws Exception {
    Mqtt5BlockingClient reader = client("session");
    Mqtt5Publishes inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
    Mqtt5Connect keep = Mqtt5Connect.builder().cleanStart(false).sessionExpiryInterval(300).build();
    expect(reader.connect(keep).isSessionPresent(), false);
    subscribe(reader, "hive5/session", MqttQos.EXACTLY_ONCE);
    reader.disconnect();
    Mqtt5BlockingClient writer = connected("writer");
    List<String> ones = numbered("one", 20);
    List<String> twos = numbered("two", 20);
    for (int number = 0; number < 20; number++) {
      publish(writer, "hive5/session", ones.get(number), MqttQos.AT_LEAST_ONCE);
      publish(writer, "hive5/session", twos.get(number), MqttQos.EXACTLY_ONCE);
    }
    expect(reader.connect(keep).isSessionPresent(), true);
    List<Mqtt5Publish> messages = take(inbox, 40);
    expect(bodies(messages, MqttQos.AT_LEAST_ONCE), ones);
    expect(bodies(messages, MqttQos.EXACTLY_ONCE), twos);
    reader.disconnect();
    writer.disconnect();
  }

  private static void shared() throws Exception {
    List<Mqtt5BlockingClient> members = List.of(connected("first"), connected("second"));
    List<Mqtt5Publishes> inboxes = new ArrayList<>();
    for (Mqtt5BlockingClient member : members) {
      inboxes.add(member.publishes(MqttGlobalPublishFilter.ALL));
      subscribe(member, "$share/hive5/hive5/shared", MqttQos.AT_LEAST_ONCE);
    }
    Mqtt5BlockingClient writer = connected("writer");
    List<String> wanted = numbered("m", 60);
    for (String body : wanted) publish(writer, "hive5/shared", body, MqttQos.AT_LEAST_ONCE);
    Set<String> got = new HashSet<>();
    int[] counts = new int[2];
    long late = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
    while (got.size() < 60 && System.nanoTime() < late) {
      for (int member = 0; member < 2; member++) {
        var message = inboxes.get(member).receive(10, TimeUnit.MILLISECONDS);
        if (message.isPresent() && got.add(text(message.get().getPayloadAsBytes()))) counts[member]++;
      }
    }
    expect(got, new HashSet<>(wanted));
    expect(counts[0] > 0 && counts[1] > 0, true);
    for (Mqtt5BlockingClient member : members) member.disconnect();
    writer.disconnect();
  }

  /** This client uses topic aliases by itself, as far as the server allows. */
  private static void properties() throws Exception {
    Mqtt5BlockingClient reader = client("reader");
    Mqtt5BlockingClient writer = client("writer");
    reader.connectWith().restrictions().topicAliasMaximum(10).applyRestrictions().send();
    Mqtt5ConnAck accepted =
        writer.connectWith().restrictions().sendTopicAliasMaximum(10).applyRestrictions().send();
    expect(accepted.getRestrictions().getTopicAliasMaximum() > 0, true);
    Mqtt5Publishes inbox = reader.publishes(MqttGlobalPublishFilter.ALL);
    subscribe(reader, "hive5/properties/#", MqttQos.AT_LEAST_ONCE);
    Mqtt5UserProperties pairs =
        Mqtt5UserProperties.builder().add("b", "1").add("a", "2").add("b", "3").build();
    List<String> wanted = numbered("m", 10);
    for (String body : wanted) {
      writer.publishWith().topic("hive5/properties/x").payload(bytes(body)).qos(MqttQos.AT_LEAST_ONCE)
          .messageExpiryInterval(100).payloadFormatIndicator(Mqtt5PayloadFormatIndicator.UTF_8)
          .contentType("text/plain").responseTopic("hive5/answers").correlationData(new byte[] {0, -1})
          .userProperties(pairs).send();
    }
    List<Mqtt5Publish> messages = take(inbox, 10);
    expect(bodies(messages, MqttQos.AT_LEAST_ONCE), wanted);
    for (Mqtt5Publish message : messages) {
      expect(message.getTopic().toString(), "hive5/properties/x");
      expect(message.getUserProperties(), pairs);
      long expiry = message.getMessageExpiryInterval().orElseThrow();
      expect(expiry > 0 && expiry <= 100, true);
      expect(message.getPayloadFormatIndicator().orElseThrow(), Mqtt5PayloadFormatIndicator.UTF_8);
      expect(message.getResponseTopic().orElseThrow().toString(), "hive5/answers");
      expect(message.getCorrelationData().orElseThrow(), ByteBuffer.wrap(new byte[] {0, -1}));
      expect(message.getContentType().orElseThrow(), MqttUtf8String.of("text/plain"));
    }
    reader.disconnect();
    writer.disconnect();
  }

  /** Acknowledgements are held back: no more than two messages may be on their way. */
  private static void receiveMaximum() throws Exception {
    Mqtt5BlockingClient reader = client("careful");
    reader.connectWith().restrictions().receiveMaximum(2).applyRestrictions().send();
    Mqtt5Publishes inbox = reader.publishes(MqttGlobalPublishFilter.ALL, true);
    subscribe(reader, "hive5/slow", MqttQos.AT_LEAST_ONCE);
    Mqtt5BlockingClient writer = connected("writer");
    List<String> wanted = numbered("m", 10);
    for (String body : wanted) publish(writer, "hive5/slow", body, MqttQos.AT_LEAST_ONCE);
    List<Mqtt5Publish> all = new ArrayList<>(take(inbox, 2));
    // The answer comes after whatever the server would have sent before it.
    subscribe(reader, "hive5/barrier", MqttQos.AT_LEAST_ONCE);
    expect(inbox.receiveNow().isPresent(), false);
    for (int number = 0; number < 10; number++) {
      all.get(number).acknowledge();
      if (all.size() < 10) all.addAll(take(inbox, 1));
    }
    expect(bodies(all, MqttQos.AT_LEAST_ONCE), wanted);
    reader.disconnect();
    writer.disconnect();
  }

  private static void refused() {
    try {
      client("stranger").connectWith()
          .simpleAuth().username("admin").password(bytes("wrong")).applySimpleAuth().send();
      throw new AssertionError("a wrong password was taken");
    } catch (Mqtt5ConnAckException refused) {
      expect(refused.getMqttMessage().getReasonCode(), Mqtt5ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD);
    }
    Mqtt5BlockingClient known = connected("known");
    try {
      subscribe(known, "forbidden/area", MqttQos.AT_LEAST_ONCE);
      throw new AssertionError("a forbidden filter was granted");
    } catch (Mqtt5SubAckException refused) {
      expect(refused.getMqttMessage().getReasonCodes(), List.of(Mqtt5SubAckReasonCode.NOT_AUTHORIZED));
    }
    try {
      publish(known, "forbidden/area", "x", MqttQos.AT_LEAST_ONCE);
      throw new AssertionError("a forbidden topic was taken");
    } catch (Mqtt5PubAckException refused) {
      expect(refused.getMqttMessage().getReasonCode(), Mqtt5PubAckReasonCode.NOT_AUTHORIZED);
    }
    known.disconnect();
  }

  private static void scram() throws Exception {
    Mqtt5BlockingClient client = client("scram");
    Scram proof = new Scram("admin", "robustmq");
    client.connectWith().enhancedAuth(proof).send();
    expect(proof.proved.get(), 1);
    client.reauth();
    expect(proof.proved.get(), 2);
    client.disconnect();
    try {
      client("forger").connectWith().enhancedAuth(new Scram("admin", "wrong")).send();
      throw new AssertionError("a wrong password was taken");
    } catch (Mqtt5ConnAckException refused) {
      expect(refused.getMqttMessage().getReasonCode().isError(), true);
    }
  }

  /** SCRAM-SHA-256 (RFC 7677) for the client's interface of mechanisms. */
  static class Scram implements Mqtt5EnhancedAuthMechanism {
    final AtomicInteger proved = new AtomicInteger();
    private final String user;
    private final String password;
    private String first;
    private byte[] serverSignature;

    Scram(String user, String password) {
      this.user = user;
      this.password = password;
    }

    @Override
    public MqttUtf8String getMethod() {
      return MqttUtf8String.of("SCRAM-SHA-256");
    }

    @Override
    public int getTimeout() {
      return PATIENCE_S;
    }

    private byte[] hello() {
      first = "n=" + user + ",r=" + Long.toHexString(System.nanoTime());
      return bytes("n,," + first);
    }

    private byte[] answer(String challenge) throws GeneralSecurityException {
      String[] parts = challenge.split(",");
      byte[] salt = Base64.getDecoder().decode(parts[1].substring(2));
      int rounds = Integer.parseInt(parts[2].substring(2));
      SecretKeyFactory stretch = SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256");
      byte[] salted = stretch.generateSecret(new PBEKeySpec(password.toCharArray(), salt, rounds, 256)).getEncoded();
      byte[] clientKey = hmac(salted, "Client Key");
      String last = "c=biws," + parts[0];
      String all = first + "," + challenge + "," + last;
      byte[] proof = hmac(MessageDigest.getInstance("SHA-256").digest(clientKey), all);
      for (int index = 0; index < proof.length; index++) proof[index] ^= clientKey[index];
      serverSignature = hmac(hmac(salted, "Server Key"), all);
      return bytes(last + ",p=" + Base64.getEncoder().encodeToString(proof));
    }

    private static byte[] hmac(byte[] key, String text) throws GeneralSecurityException {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(key, "HmacSHA256"));
      return mac.doFinal(bytes(text));
    }

    private static String dataOf(Mqtt5EnhancedAuth auth) {
      return StandardCharsets.UTF_8.decode(auth.getData().orElseThrow()).toString();
    }

    private CompletableFuture<Boolean> verified(Mqtt5EnhancedAuth auth) {
      byte[] claimed = Base64.getDecoder().decode(dataOf(auth).substring(2));
      boolean right = Arrays.equals(claimed, serverSignature);
      if (right) proved.incrementAndGet();
      return CompletableFuture.completedFuture(right);
    }

    @Override
    public CompletableFuture<Void> onAuth(
        Mqtt5ClientConfig config, Mqtt5Connect connect, Mqtt5EnhancedAuthBuilder builder) {
      builder.data(hello());
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletableFuture<Void> onReAuth(Mqtt5ClientConfig config, Mqtt5AuthBuilder builder) {
      builder.data(hello());
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletableFuture<Boolean> onContinue(
        Mqtt5ClientConfig config, Mqtt5Auth auth, Mqtt5AuthBuilder builder) {
      try {
        builder.data(answer(dataOf(auth)));
        return CompletableFuture.completedFuture(true);
      } catch (GeneralSecurityException error) {
        return CompletableFuture.failedFuture(error);
      }
    }

    @Override
    public CompletableFuture<Boolean> onAuthSuccess(Mqtt5ClientConfig config, Mqtt5ConnAck accepted) {
      return verified(accepted.getEnhancedAuth().orElseThrow());
    }

    @Override
    public CompletableFuture<Boolean> onReAuthSuccess(Mqtt5ClientConfig config, Mqtt5Auth auth) {
      return verified(auth);
    }

    @Override
    public void onAuthRejected(Mqtt5ClientConfig config, Mqtt5ConnAck refused) {}

    @Override
    public void onReAuthRejected(Mqtt5ClientConfig config, Mqtt5Disconnect refused) {}

    @Override
    public void onAuthError(Mqtt5ClientConfig config, Throwable cause) {}

    @Override
    public void onReAuthError(Mqtt5ClientConfig config, Throwable cause) {}
  }
}
