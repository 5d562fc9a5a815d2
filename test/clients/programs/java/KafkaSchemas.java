import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

/**
 * Writes bodies of requests and responses as the schemas of kafka-clients lay them out: each API and
 * version once with every field set, and once with nothing in what may be null or empty. One line
 * each: key, version, "request" or "response", "full" or "empty", hexadecimal bytes. With the jars
 * of Kafka on the class path: java -cp JARS KafkaSchemas.java > kafka-clients-VERSION-schemas.txt
 */
public class KafkaSchemas {
  private static int drawn;

  public static void main(String[] args) {
    for (ApiKeys api : ApiKeys.values()) {
      Schema[] requests = api.messageType.requestSchemas();
      Schema[] responses = api.messageType.responseSchemas();
      for (int version = api.oldestVersion(); version <= api.latestVersion(true); version++) {
        for (boolean full : new boolean[] {true, false}) {
          say(api, version, "request", full, requests[version]);
          say(api, version, "response", full, responses[version]);
        }
      }
    }
  }

  private static void say(ApiKeys api, int version, String what, boolean full, Schema schema) {
    drawn = 0;
    Struct body = struct(schema, full);
    ByteBuffer bytes = ByteBuffer.allocate(schema.sizeOf(body));
    schema.write(bytes, body);
    String hex = HexFormat.of().formatHex(bytes.array());
    System.out.println(
        api.id + " " + version + " " + what + " " + (full ? "full" : "empty") + " " + hex);
  }

  private static Struct struct(Schema schema, boolean full) {
    Struct struct = new Struct(schema);
    for (BoundField field : schema.fields()) struct.set(field, value(field.def.type, full));
    return struct;
  }

  private static Object value(Type type, boolean full) {
    drawn++;
    if (type instanceof Schema schema) return struct(schema, full);
    if (type instanceof TaggedFields) return new TreeMap<Integer, Object>();
    if (!full && type.isNullable()) return null;
    if (type.arrayElementType().isPresent()) {
      List<Object> items = new ArrayList<>();
      for (int n = 0; full && n < 2; n++) items.add(value(type.arrayElementType().get(), true));
      return items.toArray();
    }
    String name = type.toString();
    if (name.contains("RECORDS")) return records();
    if (name.contains("STRING")) return full ? "text-" + drawn : "";
    if (name.contains("BYTES")) {
      return ByteBuffer.wrap(full ? new byte[] {(byte) drawn, 0, -1} : new byte[0]);
    }
    return switch (name) {
      case "BOOLEAN" -> full;
      case "INT8" -> (byte) (full ? drawn % 100 : -1);
      case "INT16" -> (short) (full ? drawn : -1);
      case "UINT16" -> full ? drawn : 0;
      case "INT32" -> full ? 100_000 + drawn : -1;
      case "UINT32" -> full ? 100_000L + drawn : 0L;
      case "INT64" -> full ? 10_000_000_000L + drawn : -1L;
      case "FLOAT64" -> full ? drawn + 0.5 : 0.0;
      case "UUID" -> new Uuid(full ? drawn : 0, full ? ~drawn : 0);
      default -> {
        if (type.isNullable() || name.startsWith("Schema") || name.contains("Struct")) {
          throw new IllegalStateException("a structure of type " + name + " " + type.getClass());
        }
        throw new IllegalStateException("unknown type " + name);
      }
    };
  }

  private static MemoryRecords records() {
    SimpleRecord record = new SimpleRecord(1_700_000_000_000L, "key".getBytes(), "value".getBytes());
    return MemoryRecords.withRecords(Compression.NONE, record);
  }
}
