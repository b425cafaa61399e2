import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads partition 0 of a topic from the beginning with the consumer's defaults, assigned rather than subscribed: what
 * kafka-consumer-perf-test does, for brokers that have no consumer groups. Prints records, bytes and milliseconds.
 *
 * <p>Arguments: bootstrap topic count
 */
public final class BenchConsumer {
    private BenchConsumer() {}

    public static void main(String[] args) {
        Properties config = new Properties();
        config.putAll(Map.of("bootstrap.servers", args[0], "enable.auto.commit", "false", "check.crcs", "false", "receive.buffer.bytes", "2097152"));
        long want = Long.parseLong(args[2]);
        long records = 0;
        long bytes = 0;
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = List.of(new TopicPartition(args[1], 0));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            consumer.position(partitions.get(0));
            long began = System.nanoTime();
            long last = began;
            while (records < want) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    records++;
                    bytes += record.value().length;
                    last = System.nanoTime();
                }
                if (System.nanoTime() - last > 30_000_000_000L) {
                    throw new IllegalStateException("no record for 30 s after " + records + " of " + want);
                }
            }
            System.out.println(records + " " + bytes + " " + (System.nanoTime() - began) / 1_000_000);
        }
    }
}
