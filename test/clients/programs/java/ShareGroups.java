/**
 * The share consumer of the Java client, one scenario per run: what it finds it prints. Run as one
 * source file, with the libraries of Kafka's tools: java -cp 'libs/*' ShareGroups.java SERVER NAME
 */
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ShareMemberDescription;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class ShareGroups {
  private static String server;

  public static void main(String[] args) throws Exception {
    server = args[0];
    switch (args[1]) {
      case "implicit" -> implicit();
      case "explicit" -> explicit();
      case "together" -> together();
      case "timeout" -> timeout();
      case "begin" -> begin(args[2], args[3]);
      case "read" -> read(args[2], args[3], Integer.parseInt(args[4]));
      default -> throw new IllegalArgumentException(args[1]);
    }
    System.out.println("done");
  }

  private static Properties common() {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", server);
    return properties;
  }

  private static KafkaShareConsumer<String, String> consumer(String group, String topic, Map<String, String> more) {
    Properties properties = common();
    properties.put("group.id", group);
    properties.put("key.deserializer", StringDeserializer.class.getName());
    properties.put("value.deserializer", StringDeserializer.class.getName());
    properties.putAll(more);
    KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(properties);
    consumer.subscribe(List.of(topic));
    return consumer;
  }

  private static void topic(String name, int partitions) throws Exception {
    try (Admin admin = Admin.create(common())) {
      admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
    }
  }

  private static void configure(String group, String name, String value) throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
    AlterConfigOp set = new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
    try (Admin admin = Admin.create(common())) {
      admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
    }
  }

  private static void produce(String topic, int from, int to) throws Exception {
    Properties properties = common();
    properties.put("key.serializer", StringSerializer.class.getName());
    properties.put("value.serializer", StringSerializer.class.getName());
    properties.put("compression.type", "lz4");
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
      for (int n = from; n < to; n++) {
        producer.send(new ProducerRecord<>(topic, "key " + n, "value " + n));
      }
    }
  }

  private static ConsumerRecords<String, String> some(KafkaShareConsumer<String, String> consumer) {
    while (true) {
      ConsumerRecords<String, String> records = consumer.poll(Duration.ofSeconds(5));
      if (!records.isEmpty()) return records;
    }
  }

  private static void check(Map<TopicIdPartition, Optional<KafkaException>> results) {
    for (Optional<KafkaException> result : results.values()) if (result.isPresent()) throw result.get();
  }

  private static void implicit() throws Exception {
    topic("share.implicit", 3);
    configure("implicit", "share.auto.offset.reset", "earliest");
    produce("share.implicit", 0, 300);
    Set<String> seen = new HashSet<>();
    int count = 0;
    try (KafkaShareConsumer<String, String> consumer = consumer("implicit", "share.implicit", Map.of("max.poll.records", "100"))) {
      while (count < 300) {
        for (ConsumerRecord<String, String> record : some(consumer)) {
          seen.add(record.value());
          count++;
        }
      }
      check(consumer.commitSync());
    }
    System.out.println("read " + count + " different " + seen.size());
    produce("share.implicit", 300, 310);
    Set<String> later = new HashSet<>();
    try (KafkaShareConsumer<String, String> consumer = consumer("implicit", "share.implicit", Map.of())) {
      while (later.size() < 10) for (ConsumerRecord<String, String> record : some(consumer)) later.add(record.value());
      check(consumer.commitSync());
    }
    later.retainAll(seen);
    System.out.println("again " + later.size());
  }

  private static void explicit() throws Exception {
    topic("share.explicit", 1);
    configure("explicit", "share.auto.offset.reset", "earliest");
    produce("share.explicit", 0, 30);
    Map<String, String> mode = Map.of("share.acknowledgement.mode", "explicit");
    Map<Long, Integer> times = new HashMap<>();
    try (KafkaShareConsumer<String, String> consumer = consumer("explicit", "share.explicit", mode)) {
      int accepted = 0;
      int twice = 0;
      while (accepted < 20) {
        for (ConsumerRecord<String, String> record : some(consumer)) {
          int time = times.merge(record.offset(), 1, Integer::sum);
          if (record.deliveryCount().get() != time) throw new IllegalStateException("delivery " + record.deliveryCount());
          AcknowledgeType type = AcknowledgeType.ACCEPT;
          if (record.offset() % 3 == 1 && time == 1) type = AcknowledgeType.RELEASE;
          if (record.offset() % 3 == 2) type = AcknowledgeType.REJECT;
          if (type == AcknowledgeType.ACCEPT) accepted++;
          if (time == 2) twice++;
          consumer.acknowledge(record, type);
        }
        check(consumer.commitSync());
      }
      System.out.println("accepted " + accepted + " twice " + twice + " offsets " + times.size());
      System.out.println("left " + consumer.poll(Duration.ofMillis(600)).count());
    }
  }

  /** Polls until the server has given each of them partitions. */
  private static void join(String group, List<KafkaShareConsumer<String, String>> consumers) throws Exception {
    try (Admin admin = Admin.create(common())) {
      while (assigned(admin, group) < consumers.size()) {
        for (KafkaShareConsumer<String, String> consumer : consumers) consumer.poll(Duration.ofMillis(100));
      }
    }
  }

  private static int assigned(Admin admin, String group) throws Exception {
    try {
      int count = 0;
      for (ShareMemberDescription member : admin.describeShareGroups(List.of(group)).all().get().get(group).members()) {
        if (!member.assignment().topicPartitions().isEmpty()) count++;
      }
      return count;
    } catch (ExecutionException error) {
      if (error.getCause() instanceof GroupIdNotFoundException) return 0;
      throw error;
    }
  }

  private static void together() throws Exception {
    topic("share.together", 1);
    Map<String, String> few = Map.of("max.poll.records", "20", "share.acquire.mode", "record_limit");
    Set<String> seen = new HashSet<>();
    int count = 0;
    try (KafkaShareConsumer<String, String> one = consumer("together", "share.together", few);
        KafkaShareConsumer<String, String> two = consumer("together", "share.together", few)) {
      List<KafkaShareConsumer<String, String>> both = List.of(one, two);
      join("together", both);
      produce("share.together", 0, 400);
      for (KafkaShareConsumer<String, String> consumer : both) {
        // Neither can have taken all while the other was not asked.
        for (ConsumerRecord<String, String> record : some(consumer)) {
          seen.add(record.value());
          count++;
        }
        check(consumer.commitSync());
      }
      System.out.println("both");
      while (count < 400) {
        for (KafkaShareConsumer<String, String> consumer : both) {
          for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
            seen.add(record.value());
            count++;
          }
          check(consumer.commitSync());
        }
      }
    }
    System.out.println("read " + count + " different " + seen.size());
  }

  private static void timeout() throws Exception {
    topic("share.timeout", 1);
    configure("timeout", "share.auto.offset.reset", "earliest");
    configure("timeout", "share.record.lock.duration.ms", "2000");
    produce("share.timeout", 0, 5);
    Map<String, String> mode = Map.of("share.acknowledgement.mode", "explicit");
    try (KafkaShareConsumer<String, String> slow = consumer("timeout", "share.timeout", mode);
        KafkaShareConsumer<String, String> quick = consumer("timeout", "share.timeout", mode)) {
      List<ConsumerRecord<String, String>> kept = new ArrayList<>();
      Set<Long> open = new HashSet<>();
      for (ConsumerRecord<String, String> record : some(slow)) {
        kept.add(record);
        open.add(record.offset());
      }
      int again = 0;
      while (!open.isEmpty()) {
        List<ConsumerRecord<String, String>> taken = new ArrayList<>();
        for (ConsumerRecord<String, String> record : some(quick)) {
          taken.add(record);
          quick.acknowledge(record);
        }
        // Where the machine takes longer than the lock, they come once more.
        if (quick.commitSync().values().stream().anyMatch(Optional::isPresent)) continue;
        for (ConsumerRecord<String, String> record : taken) {
          if (open.remove(record.offset()) && record.deliveryCount().get() > 1) again++;
        }
      }
      System.out.println("again " + (again == kept.size()));
      for (ConsumerRecord<String, String> record : kept) slow.acknowledge(record);
      Optional<KafkaException> error = slow.commitSync().values().iterator().next();
      System.out.println("late " + error.map((late) -> late.getClass().getSimpleName()).orElse("none"));
    }
  }

  /** A member has been there: the group has its place. */
  private static void begin(String group, String topic) throws Exception {
    configure(group, "share.auto.offset.reset", "earliest");
    try (KafkaShareConsumer<String, String> consumer = consumer(group, topic, Map.of())) {
      join(group, List.of(consumer));
    }
  }

  /** Reads so many and accepts them. */
  private static void read(String group, String topic, int count) throws Exception {
    List<String> values = new ArrayList<>();
    try (KafkaShareConsumer<String, String> consumer = consumer(group, topic, Map.of())) {
      while (values.size() < count) {
        for (ConsumerRecord<String, String> record : some(consumer)) values.add(record.value());
        check(consumer.commitSync());
      }
    }
    System.out.println("values " + String.join(",", values));
  }
}
