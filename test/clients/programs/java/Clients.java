/**
 * Producer, consumer and admin of the Java client: each scenario that is asked for prints `ok` and
 * its name. Run as one source file: java -cp 'libs/*' Clients.java SERVER SCENARIO...
 */
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Clients {
  private static final long START = 1_700_000_000_000L;
  private static final long PATIENCE = 30_000;
  private static String server;
  private static Admin admin;

  public static void main(String[] args) throws Exception {
    server = args[0];
    admin = Admin.create(common());
    for (String name : Arrays.copyOfRange(args, 1, args.length)) {
      switch (name) {
        case "codecs" -> codecs();
        case "nulls" -> nulls();
        case "classic", "consumer" -> group(name);
        case "seek" -> seek();
        case "topics" -> topics();
        case "offsets" -> offsets();
        case "groups" -> groups();
        default -> throw new IllegalArgumentException(name);
      }
      System.out.println("ok " + name);
    }
    admin.close();
  }

  private static void expect(Object actual, Object wanted) {
    if (!actual.equals(wanted)) throw new AssertionError("expected " + wanted + ", got " + actual);
  }

  private static void until(String what, BooleanSupplier holds) {
    long end = System.currentTimeMillis() + PATIENCE;
    while (!holds.getAsBoolean()) {
      if (System.currentTimeMillis() > end) throw new AssertionError(what + " did not happen");
    }
  }

  private static void refused(Class<?> wanted, org.apache.kafka.common.KafkaFuture<?> future)
      throws Exception {
    try {
      future.get();
    } catch (ExecutionException error) {
      expect(error.getCause().getClass(), wanted);
      return;
    }
    throw new AssertionError("not refused: " + wanted);
  }

  private static Properties common() {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", server);
    return properties;
  }

  private static KafkaProducer<byte[], byte[]> producer(String codec) {
    Properties properties = common();
    properties.put("enable.idempotence", "true");
    properties.put("compression.type", codec);
    properties.put("linger.ms", "20");
    properties.put("key.serializer", ByteArraySerializer.class.getName());
    properties.put("value.serializer", ByteArraySerializer.class.getName());
    return new KafkaProducer<>(properties);
  }

  private static KafkaConsumer<byte[], byte[]> consumer(String group, String protocol) {
    Properties properties = common();
    properties.put("group.id", group);
    properties.put("group.protocol", protocol);
    if (protocol.equals("classic")) properties.put("heartbeat.interval.ms", "200");
    properties.put("enable.auto.commit", "false");
    properties.put("auto.offset.reset", "earliest");
    properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
    properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
    return new KafkaConsumer<>(properties);
  }

  private static String topic(int partitions) throws Exception {
    String name = "java-" + UUID.randomUUID();
    admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
    return name;
  }

  /** A topic with records 0 to 9, a second apart, in each partition. */
  private static String filled(int partitions) throws Exception {
    String topic = topic(partitions);
    try (var producer = producer("none")) {
      for (int n = 0; n < 10; n++) {
        for (int partition = 0; partition < partitions; partition++) {
          long time = START + n * 1000L;
          producer.send(new ProducerRecord<>(topic, partition, time, null, bytes("" + n)));
        }
      }
    }
    return topic;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static List<ConsumerRecord<byte[], byte[]>> take(
      KafkaConsumer<byte[], byte[]> reader, int count) {
    List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
    until(count + " records", () -> {
      reader.poll(Duration.ofMillis(200)).forEach(got::add);
      return got.size() >= count;
    });
    expect(got.size(), count);
    return got;
  }

  private static void codecs() throws Exception {
    String topic = topic(3);
    Random random = new Random(7);
    Map<String, byte[]> wanted = new HashMap<>();
    var headers = new RecordHeaders();
    headers.add("a", bytes("1")).add("b", new byte[] {0, -1}).add("a", bytes("2"));
    headers.add("empty", new byte[0]).add("none", null);
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      try (var producer = producer(codec)) {
        for (int n = 0; n < 30; n++) {
          String key = codec + " " + n;
          byte[] value = Arrays.copyOf(bytes(key.repeat(80)), 1500);
          byte[] noise = new byte[500];
          random.nextBytes(noise);
          System.arraycopy(noise, 0, value, 100, noise.length);
          wanted.put(key, value);
          producer.send(new ProducerRecord<>(topic, null, START + n, bytes(key), value, headers));
        }
      }
    }
    Set<Integer> used = new TreeSet<>();
    try (var reader = consumer(topic, "classic")) {
      reader.subscribe(List.of(topic));
      for (var record : take(reader, wanted.size())) {
        String key = new String(record.key(), StandardCharsets.UTF_8);
        byte[] value = wanted.remove(key);
        if (!Arrays.equals(value, record.value())) throw new AssertionError("other bytes: " + key);
        expect(record.headers(), headers);
        expect(record.timestamp(), START + Integer.parseInt(key.split(" ")[1]));
        used.add(record.partition());
      }
    }
    expect(wanted.size(), 0);
    expect(used, Set.of(0, 1, 2));
  }

  private static void nulls() throws Exception {
    String topic = topic(1);
    byte[][][] pairs = {
      {bytes("key"), bytes("value")}, {null, bytes("value")}, {bytes("key"), null},
      {new byte[0], new byte[0]}, {null, null},
    };
    try (var producer = producer("none")) {
      for (var pair : pairs) producer.send(new ProducerRecord<>(topic, 0, pair[0], pair[1])).get();
    }
    try (var reader = consumer(topic, "classic")) {
      reader.assign(List.of(new TopicPartition(topic, 0)));
      var got = take(reader, pairs.length);
      for (int n = 0; n < pairs.length; n++) {
        byte[][] found = {got.get(n).key(), got.get(n).value()};
        if (!Arrays.deepEquals(found, pairs[n])) throw new AssertionError("pair " + n);
      }
    }
  }

  /** Two members over three partitions; one leaves, and the offsets outlive both. */
  private static void group(String protocol) throws Exception {
    String topic = filled(3);
    var first = consumer(topic, protocol);
    var second = consumer(topic, protocol);
    first.subscribe(List.of(topic));
    second.subscribe(List.of(topic));
    Set<TopicPartition> owned = new java.util.HashSet<>();
    until("a share for each", () -> {
      first.poll(Duration.ofMillis(100));
      second.poll(Duration.ofMillis(100));
      owned.clear();
      owned.addAll(first.assignment());
      owned.addAll(second.assignment());
      int sizes = first.assignment().size() * second.assignment().size();
      return sizes == 2 && owned.size() == 3;
    });
    second.close();
    until("all for one", () -> {
      first.poll(Duration.ofMillis(100));
      return first.assignment().size() == 3;
    });
    Map<TopicPartition, OffsetAndMetadata> marks = new HashMap<>();
    for (int n = 0; n < 3; n++) {
      marks.put(new TopicPartition(topic, n), new OffsetAndMetadata(4 + n, "m" + n));
    }
    first.commitSync(marks);
    first.close();
    expect(admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get(), marks);
    Set<String> wanted = new TreeSet<>();
    for (int part = 0; part < 3; part++) {
      for (int n = 4 + part; n < 10; n++) wanted.add(part + " " + n + " " + n);
    }
    try (var again = consumer(topic, protocol)) {
      again.subscribe(List.of(topic));
      Set<String> got = new TreeSet<>();
      for (var record : take(again, wanted.size())) {
        got.add(record.partition() + " " + record.offset() + " " + new String(record.value()));
      }
      expect(got, wanted);
      var described = admin.describeConsumerGroups(List.of(topic)).all().get().get(topic);
      expect(described.type().toString().toLowerCase(), protocol);
      expect(described.members().size(), 1);
    }
  }

  private static void seek() throws Exception {
    String topic = filled(1);
    var part = new TopicPartition(topic, 0);
    var all = List.of(part);
    try (var reader = consumer(topic, "classic")) {
      reader.assign(all);
      expect(reader.beginningOffsets(all).get(part), 0L);
      expect(reader.endOffsets(all).get(part), 10L);
      var found = reader.offsetsForTimes(Map.of(part, START + 2001)).get(part);
      expect(List.of(found.offset(), found.timestamp()), List.of(3L, START + 3000));
      reader.seek(part, found.offset());
      expect(new String(take(reader, 7).get(0).value()), "3");
      reader.seekToBeginning(all);
      expect(take(reader, 10).get(0).offset(), 0L);
      reader.seekToEnd(all);
      expect(reader.position(part), 10L);
    }
  }

  private static void topics() throws Exception {
    String topic = topic(3);
    refused(TopicExistsException.class,
        admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all());
    admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
    var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    expect(described.partitions().size(), 5);
    var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    Collection<AlterConfigOp> changes = List.of(
        new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET),
        new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND));
    admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
    var config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
    expect(config.get("retention.ms").value(), "7200000");
    expect(config.get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
    expect(config.get("cleanup.policy").value(), "delete,compact");
    expect(admin.listTopics().names().get().contains(topic), true);
    admin.deleteTopics(List.of(topic)).all().get();
    refused(UnknownTopicOrPartitionException.class,
        admin.describeTopics(List.of(topic)).allTopicNames());
    expect(admin.describeCluster().nodes().get().size(), 1);
  }

  private static void offsets() throws Exception {
    String topic = filled(2);
    var part = new TopicPartition(topic, 0);
    admin.deleteRecords(Map.of(part, RecordsToDelete.beforeOffset(4))).all().get();
    Map<OffsetSpec, Long> wanted = Map.of(OffsetSpec.earliest(), 4L, OffsetSpec.latest(), 10L,
        OffsetSpec.maxTimestamp(), 9L, OffsetSpec.forTimestamp(START + 5001), 6L);
    for (var one : wanted.entrySet()) {
      var listed = admin.listOffsets(Map.of(part, one.getKey())).all().get().get(part);
      expect(listed.offset(), one.getValue());
    }
    try (var reader = consumer(topic, "classic")) {
      reader.assign(List.of(part));
      expect(new String(take(reader, 6).get(0).value()), "4");
    }
  }

  private static void groups() throws Exception {
    String topic = filled(1);
    var part = new TopicPartition(topic, 0);
    try (var reader = consumer(topic, "classic")) {
      reader.subscribe(List.of(topic));
      take(reader, 10);
      reader.commitSync();
      expect(listed(topic), true);
      refused(GroupNotEmptyException.class, admin.deleteConsumerGroups(List.of(topic)).all());
    }
    admin.alterConsumerGroupOffsets(topic, Map.of(part, new OffsetAndMetadata(2))).all().get();
    var found = admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get();
    expect(found.get(part).offset(), 2L);
    admin.deleteConsumerGroupOffsets(topic, Set.of(part)).all().get();
    expect(admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get().size(), 0);
    admin.deleteConsumerGroups(List.of(topic)).all().get();
    expect(listed(topic), false);
  }

  private static boolean listed(String group) throws Exception {
    return admin.listGroups().all().get().stream().map(GroupListing::groupId).anyMatch(group::equals);
  }
}
