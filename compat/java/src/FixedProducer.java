import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Produces records whose every byte is given beforehand (timestamps too, no producer id, one batch per flush), so that the
 * segment files of two brokers that got them must be equal byte for byte.
 *
 * <p>Arguments: bootstrap topic partition compression batches recordsPerBatch valueSize firstTimestamp
 */
public final class FixedProducer {
    private FixedProducer() {}

    public static void main(String[] args) throws Exception {
        String topic = args[1];
        int partition = Integer.parseInt(args[2]);
        int batches = Integer.parseInt(args[4]);
        int perBatch = Integer.parseInt(args[5]);
        int valueSize = Integer.parseInt(args[6]);
        long timestamp = Long.parseLong(args[7]);

        Properties config = new Properties();
        config.putAll(Map.of(
                "bootstrap.servers", args[0],
                "compression.type", args[3],
                "enable.idempotence", "false",
                "acks", "all",
                "linger.ms", "60000",
                "batch.size", "1048576",
                "max.request.size", "2097152",
                "buffer.memory", "67108864"));
        RecordMetadata last = null;
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int b = 0; b < batches; b++) {
                java.util.concurrent.Future<RecordMetadata> pending = null;
                for (int r = 0; r < perBatch; r++) {
                    int n = b * perBatch + r;
                    ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                            topic, partition, timestamp + n * 1000L, n % 5 == 4 ? null : bytes("key-" + n % 7),
                            n % 11 == 10 ? null : value(n, valueSize));
                    if (n % 3 == 0) {
                        record.headers().add("number", bytes(Integer.toString(n))).add("empty", new byte[0]).add("null", null);
                    }
                    pending = producer.send(record);
                }
                producer.flush();
                last = pending.get();
            }
        }
        System.out.println("last offset " + last.offset() + " timestamp " + last.timestamp());
    }

    private static byte[] bytes(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    /** Text that compresses, and differs from record to record. */
    private static byte[] value(int n, int size) {
        StringBuilder text = new StringBuilder(size + 32);
        long x = n + 1;
        while (text.length() < size) {
            x = x * 6364136223846793005L + 1442695040888963407L;
            text.append("line ").append((x >>> 33) % 1000).append(" of record ").append(n).append('\n');
        }
        text.setLength(size);
        return bytes(text.toString());
    }
}
