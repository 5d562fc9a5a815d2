/**
 * The Java client with transactions, one scenario per run: what it finds it prints. Run as one
 * source file, with the libraries of Kafka's tools: java -cp 'libs/*' Transactions.java SERVER NAME
 */
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Transactions {
  private static String server;

  public static void main(String[] args) throws Exception {
    server = args[0];
    switch (args[1]) {
      case "isolation" -> isolation();
      case "fencing" -> fencing();
      case "transform" -> transform(args.length > 2 ? args[2] : "classic");
      default -> throw new IllegalArgumentException(args[1]);
    }
    System.out.println("done");
  }

  private static Properties common() {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", server);
    return properties;
  }

  private static KafkaProducer<String, String> producer(String id) {
    Properties properties = common();
    properties.put("transactional.id", id);
    properties.put("key.serializer", StringSerializer.class.getName());
    properties.put("value.serializer", StringSerializer.class.getName());
    return new KafkaProducer<>(properties);
  }

  private static KafkaConsumer<String, String> consumer(String isolation, String group, String protocol) {
    Properties properties = common();
    properties.put("isolation.level", isolation);
    properties.put("group.id", group);
    properties.put("group.protocol", protocol);
    properties.put("enable.auto.commit", "false");
    properties.put("auto.offset.reset", "earliest");
    properties.put("key.deserializer", StringDeserializer.class.getName());
    properties.put("value.deserializer", StringDeserializer.class.getName());
    return new KafkaConsumer<>(properties);
  }

  private static String topic(int partitions) throws Exception {
    String name = "java-" + UUID.randomUUID();
    try (Admin admin = Admin.create(common())) {
      admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
      var features = admin.describeFeatures().featureMetadata().get().finalizedFeatures();
      System.out.println("transaction.version " + features.get("transaction.version").maxVersionLevel());
    }
    return name;
  }

  private static List<String> readAll(String topic, String isolation) {
    List<String> values = new ArrayList<>();
    try (var reader = consumer(isolation, UUID.randomUUID().toString(), "classic")) {
      var partitions = reader.partitionsFor(topic).stream()
          .map(info -> new TopicPartition(topic, info.partition())).toList();
      reader.assign(partitions);
      reader.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = reader.endOffsets(partitions);
      while (partitions.stream().anyMatch(one -> reader.position(one) < ends.get(one))) {
        for (ConsumerRecord<String, String> record : reader.poll(Duration.ofMillis(200))) {
          values.add(record.value());
        }
      }
    }
    return values;
  }

  private static void isolation() throws Exception {
    String topic = topic(1);
    try (var producer = producer("isolation-" + topic)) {
      producer.initTransactions();
      for (int round = 0; round < 6; round++) {
        producer.beginTransaction();
        for (int n = 0; n < 3; n++) producer.send(new ProducerRecord<>(topic, round + "." + n));
        if (round % 2 == 0) producer.commitTransaction();
        else {
          producer.flush();
          producer.abortTransaction();
        }
      }
      producer.beginTransaction();
      producer.send(new ProducerRecord<>(topic, "open")).get();
      System.out.println("committed " + String.join(",", readAll(topic, "read_committed")));
      System.out.println("all " + readAll(topic, "read_uncommitted").size());
      producer.abortTransaction();
    }
  }

  private static void fencing() throws Exception {
    String topic = topic(1);
    var old = producer("fenced-" + topic);
    old.initTransactions();
    old.beginTransaction();
    old.send(new ProducerRecord<>(topic, "lost")).get();
    try (var fresh = producer("fenced-" + topic)) {
      fresh.initTransactions();
      fresh.beginTransaction();
      fresh.send(new ProducerRecord<>(topic, "kept"));
      fresh.commitTransaction();
    }
    try {
      old.send(new ProducerRecord<>(topic, "zombie"));
      old.commitTransaction();
      System.out.println("not refused");
    } catch (KafkaException error) {
      System.out.println("refused");
    }
    try {
      old.abortTransaction();
      System.out.println("not fenced");
    } catch (ProducerFencedException error) {
      System.out.println("fenced");
    }
    old.close(Duration.ZERO);
    System.out.println("committed " + String.join(",", readAll(topic, "read_committed")));
  }

  /** Reads, changes and writes; every third transaction is given up and done again. */
  private static void transform(String protocol) throws Exception {
    String from = topic(2);
    String to = topic(1);
    String group = "transform-" + from;
    try (var producer = producer("source-" + from)) {
      producer.initTransactions();
      producer.beginTransaction();
      for (int n = 0; n < 60; n++) producer.send(new ProducerRecord<>(from, n % 2, "k", "" + n));
      producer.commitTransaction();
    }
    int done = 0;
    int given = 0;
    try (var reader = consumer("read_committed", group, protocol); var producer = producer("sink-" + from)) {
      producer.initTransactions();
      reader.subscribe(Set.of(from));
      int turn = 0;
      while (done < 60) {
        var records = reader.poll(Duration.ofMillis(300));
        if (records.isEmpty()) continue;
        producer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        int taken = 0;
        for (TopicPartition partition : records.partitions()) {
          for (var record : records.records(partition)) {
            producer.send(new ProducerRecord<>(to, "x" + record.value()));
            offsets.put(partition, new OffsetAndMetadata(record.offset() + 1));
            taken++;
            if (taken == 7) break;
          }
          if (taken == 7) break;
        }
        producer.sendOffsetsToTransaction(offsets, reader.groupMetadata());
        if (++turn % 3 == 0) {
          producer.abortTransaction();
          given++;
        } else {
          producer.commitTransaction();
          done += taken;
        }
        var committed = reader.committed(reader.assignment());
        for (TopicPartition partition : reader.assignment()) {
          var place = committed.get(partition);
          reader.seek(partition, place == null ? 0 : place.offset());
        }
      }
    }
    List<String> values = readAll(to, "read_committed");
    System.out.println("given up " + (given > 0));
    System.out.println("values " + values.size() + " of them different " + Set.copyOf(values).size());
  }
}
