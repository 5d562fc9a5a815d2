/**
 * A Kafka Streams application, one topology per run; it runs until SIGTERM and prints what happens
 * to it: its state, what each store was restored from, and how far it is. The tests write its
 * input, read its output and kill it.
 *
 * <p>java -cp 'libs/*:classes' Streams SERVER TOPOLOGY STATE_FOLDER [NAME=VALUE...]
 */
import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.state.WindowStore;

public class Streams {
  private static final int TELL_EVERY = 250;
  private static final Duration WINDOW = Duration.ofSeconds(10);
  private static final Duration GRACE = Duration.ofMinutes(5);
  private static final AtomicLong PROCESSED = new AtomicLong();

  public static void main(String[] args) {
    String topology = args[1];
    StreamsBuilder builder = new StreamsBuilder();
    switch (topology) {
      case "words" -> words(builder);
      case "orders" -> orders(builder);
      default -> throw new IllegalArgumentException(topology);
    }
    KafkaStreams streams = new KafkaStreams(builder.build(), properties(args));
    streams.setStateListener((now, before) -> System.out.println("state " + now));
    streams.setGlobalStateRestoreListener(new Restores());
    streams.setUncaughtExceptionHandler(
        exception -> {
          System.out.println("exception " + exception);
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    Thread stop =
        new Thread(() -> System.out.println("closed " + streams.close(Duration.ofSeconds(30))));
    Runtime.getRuntime().addShutdownHook(stop);
    streams.start();
  }

  private static Properties properties(String[] args) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("application.id", args[1]);
    properties.put("state.dir", args[2]);
    properties.put("default.key.serde", Serdes.StringSerde.class.getName());
    properties.put("default.value.serde", Serdes.StringSerde.class.getName());
    properties.put("auto.offset.reset", "earliest");
    // Every update goes out: what was counted can be seen one by one.
    properties.put("statestore.cache.max.bytes", "0");
    properties.put("repartition.purge.interval.ms", "100");
    properties.put("session.timeout.ms", "6000");
    properties.put("heartbeat.interval.ms", "500");
    for (String more : Arrays.asList(args).subList(3, args.length)) {
      int equals = more.indexOf('=');
      properties.put(more.substring(0, equals), more.substring(equals + 1));
    }
    return properties;
  }

  /** Lines to counts of words, over a repartition topic and a store with its changelog. */
  private static void words(StreamsBuilder builder) {
    KStream<String, String> lines = builder.stream("words.lines");
    lines
        .peek((key, line) -> tell())
        .flatMapValues(line -> Arrays.asList(line.split(" ")))
        .groupBy((key, word) -> word, Grouped.as("by-word"))
        .count(Materialized.as("counts"))
        .toStream()
        .mapValues(count -> Long.toString(count))
        .to("words.counts");
  }

  /**
   * Joins of a stream with a table, of a stream with a stream, of a stream with a global table and
   * of a table with a table by a foreign key; sums by window, and the same once each window closes.
   */
  private static void orders(StreamsBuilder builder) {
    KTable<String, String> regions = builder.table("customers", Materialized.as("regions"));
    KStream<String, String> orders = builder.stream("orders");
    Serde<String> text = Serdes.String();
    Materialized<String, String, WindowStore<Bytes, byte[]>> store = Materialized.as("sums");
    KTable<Windowed<String>, String> sums =
        orders
            .peek((key, amount) -> tell())
            .join(regions, (amount, region) -> region + " " + amount)
            .selectKey((customer, joined) -> joined.split(" ")[0])
            .mapValues(joined -> joined.split(" ")[1])
            .groupByKey(Grouped.with("by-region", text, text))
            .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, GRACE))
            .reduce(Streams::add, store.withKeySerde(text).withValueSerde(text));
    sums.toStream((window, sum) -> name(window)).to("orders.sums");
    Suppressed.StrictBufferConfig whole = Suppressed.BufferConfig.unbounded();
    sums.suppress(Suppressed.untilWindowCloses(whole).withName("last"))
        .toStream((window, sum) -> name(window))
        .to("orders.closed");

    KStream<String, String> payments = builder.stream("payments");
    JoinWindows near = JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(1), GRACE);
    orders
        .join(payments, (amount, paid) -> amount + " " + paid, near, StreamJoined.as("payment"))
        .join(builder.globalTable("methods"), (key, both) -> both.split(" ")[1], Streams::paidBy)
        .to("orders.paid");

    KTable<String, String> accounts = builder.table("accounts", Materialized.as("accounts"));
    accounts
        .join(regions, account -> account, (account, region) -> account + " in " + region)
        .toStream()
        .to("accounts.regions");
  }

  private static String add(String sum, String amount) {
    return Long.toString(Long.parseLong(sum) + Long.parseLong(amount));
  }

  private static String paidBy(String both, String method) {
    return both.split(" ")[0] + " by " + method;
  }

  private static String name(Windowed<String> window) {
    return window.key() + "@" + window.window().start();
  }

  private static void tell() {
    long processed = PROCESSED.incrementAndGet();
    if (processed % TELL_EVERY == 0) System.out.println("processed " + processed);
  }

  private static class Restores implements StateRestoreListener {
    @Override
    public void onRestoreStart(TopicPartition from, String store, long start, long end) {}

    @Override
    public void onBatchRestored(TopicPartition from, String store, long end, long records) {}

    @Override
    public void onRestoreEnd(TopicPartition from, String store, long records) {
      System.out.println("restored " + store + " " + from.partition() + " " + records);
    }
  }
}
