import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads topics from beginning to end through Kafka's Java consumer. One line for each partition: topic, partition, number of
 * records, SHA-256 over "key, byte 1, value, newline" of every record in order. Offsets must be contiguous.
 *
 * <p>Arguments: bootstrap topic...
 */
public final class DatasetReader {
    private DatasetReader() {}

    public static void main(String[] args) throws Exception {
        Properties config = new Properties();
        config.putAll(Map.of("bootstrap.servers", args[0], "fetch.max.bytes", "16777216", "max.poll.records", "10000"));
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            for (int t = 1; t < args.length; t++) {
                List<TopicPartition> partitions = new ArrayList<>();
                for (PartitionInfo p : consumer.partitionsFor(args[t])) {
                    partitions.add(new TopicPartition(args[t], p.partition()));
                }
                Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
                for (TopicPartition partition : partitions) {
                    read(consumer, partition, ends.get(partition));
                }
            }
        }
    }

    private static void read(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, long end) throws Exception {
        consumer.assign(List.of(partition));
        consumer.seekToBeginning(List.of(partition));
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        long next = 0;
        long deadline = System.nanoTime() + 60_000_000_000L;
        while (next < end) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException(partition + ": no record for a minute at offset " + next + " of " + end);
            }
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                if (record.offset() != next) {
                    throw new IllegalStateException(partition + ": offset " + record.offset() + " where " + next + " should be");
                }
                digest.update(record.key());
                digest.update((byte) 1);
                digest.update(record.value());
                digest.update((byte) '\n');
                next++;
                deadline = System.nanoTime() + 60_000_000_000L;
            }
        }
        System.out.println(partition.topic() + " " + partition.partition() + " " + next + " "
                + HexFormat.of().formatHex(digest.digest()));
    }
}
