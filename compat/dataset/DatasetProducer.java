import java.io.BufferedInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Produces the lines of a file, "key, byte 1, value, newline", through Kafka's Java producer with its defaults
 * (idempotent, acks=all), and ends with an error if any record was not acknowledged.
 *
 * <p>Arguments: bootstrap topic compression file
 */
public final class DatasetProducer {
    private static final byte BETWEEN = 1;

    private DatasetProducer() {}

    public static void main(String[] args) throws Exception {
        Properties config = new Properties();
        config.putAll(Map.of(
                "bootstrap.servers", args[0],
                "compression.type", args[2],
                "max.request.size", "1048576"));
        AtomicReference<Exception> failure = new AtomicReference<>();
        long sent = 0;
        try (InputStream in = new BufferedInputStream(Files.newInputStream(Path.of(args[3])), 1 << 20);
                KafkaProducer<byte[], byte[]> producer =
                        new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            byte[] line = new byte[1 << 20];
            int length = 0;
            int between = -1;
            for (int b = in.read(); b >= 0; b = in.read()) {
                if (b == '\n') {
                    if (between < 0) {
                        throw new IllegalStateException("a line without a key");
                    }
                    byte[] key = Arrays.copyOf(line, between);
                    byte[] value = Arrays.copyOfRange(line, between + 1, length);
                    producer.send(new ProducerRecord<>(args[1], key, value), (metadata, e) -> {
                        if (e != null) {
                            failure.compareAndSet(null, e);
                        }
                    });
                    sent++;
                    length = 0;
                    between = -1;
                    continue;
                }
                if (b == BETWEEN && between < 0) {
                    between = length;
                }
                line[length++] = (byte) b;
            }
        }
        if (failure.get() != null) {
            throw failure.get();
        }
        System.out.println(sent);
    }
}
