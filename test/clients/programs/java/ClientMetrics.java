/**
 * Metrics that Java clients push (KIP-714): a subscription is made, a producer and a consumer run
 * until the server has their values, and go. Run as one source file, with the libraries of Kafka's
 * tools: java -cp 'libs/*' ClientMetrics.java SERVER USER PASSWORD LIST
 */
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class ClientMetrics {
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("security.protocol", "SASL_PLAINTEXT");
    properties.put("sasl.mechanism", "PLAIN");
    properties.put("sasl.jaas.config",
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"" + args[1] + "\" password=\"" + args[2] + "\";");
    properties.put("key.serializer", StringSerializer.class.getName());
    properties.put("value.serializer", StringSerializer.class.getName());
    properties.put("key.deserializer", StringDeserializer.class.getName());
    properties.put("value.deserializer", StringDeserializer.class.getName());
    properties.put("auto.offset.reset", "earliest");
    properties.put("client.id", "metrics-admin");
    // On by default, but for this one.
    properties.put("enable.metrics.push", "true");
    try (Admin admin = Admin.create(properties)) {
      ConfigResource subscription = new ConfigResource(ConfigResource.Type.CLIENT_METRICS, "tests");
      List<AlterConfigOp> set = List.of(
          new AlterConfigOp(new ConfigEntry("metrics", "*"), AlterConfigOp.OpType.SET),
          new AlterConfigOp(new ConfigEntry("interval.ms", "200"), AlterConfigOp.OpType.SET),
          new AlterConfigOp(new ConfigEntry("match", "client_software_name=apache-kafka-java,client_id=metrics-.*"), AlterConfigOp.OpType.SET));
      admin.incrementalAlterConfigs(Map.of(subscription, set)).all().get(30, TimeUnit.SECONDS);
      System.out.println("admin " + uuidOf(admin.clientInstanceId(PATIENCE)));
      properties.put("client.id", "metrics-producer");
      KafkaProducer<String, String> producer = new KafkaProducer<>(properties);
      producer.send(new ProducerRecord<>("client-metrics-test", "key", "value")).get(30, TimeUnit.SECONDS);
      System.out.println("producer " + uuidOf(producer.clientInstanceId(PATIENCE)));
      properties.put("client.id", "metrics-consumer");
      properties.put("group.id", "client-metrics-test");
      KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties);
      consumer.subscribe(List.of("client-metrics-test"));
      while (consumer.poll(Duration.ofMillis(100)).isEmpty());
      System.out.println("consumer " + uuidOf(consumer.clientInstanceId(PATIENCE)));
      // Clients push on their own: all of them are there at last, with what they did.
      String wanted = "org.apache.kafka.";
      List<String> metrics = List.of(wanted + "producer.", wanted + "consumer.", wanted + "admin.");
      while (!metrics.stream().allMatch(shown(args)::contains)) consumer.poll(Duration.ofMillis(100));
      System.out.println("shown");
      consumer.close();
      producer.close();
    }
    System.out.println("done");
  }

  /** The list of the server. */
  private static String shown(String[] args) throws Exception {
    String login = Base64.getEncoder().encodeToString((args[1] + ":" + args[2]).getBytes());
    HttpRequest request = HttpRequest.newBuilder(URI.create(args[3])).header("Authorization", "Basic " + login).build();
    return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
  }

  /** As the server writes it. */
  private static String uuidOf(Uuid id) {
    return new java.util.UUID(id.getMostSignificantBits(), id.getLeastSignificantBits()).toString();
  }
}
