import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills a topic of one partition with records whose keys are drawn evenly: the log that compaction is measured on. The same
 * keys in the same order for every broker. Prints the number of records.
 *
 * <p>Arguments: bootstrap topic records keys value-bytes
 */
public final class BenchChangelog {
    private BenchChangelog() {}

    public static void main(String[] args) {
        long records = Long.parseLong(args[2]);
        long keys = Long.parseLong(args[3]);
        byte[] value = new byte[Integer.parseInt(args[4])];
        Properties config = new Properties();
        config.putAll(Map.of("bootstrap.servers", args[0], "linger.ms", "5", "buffer.memory", "134217728"));
        SplittableRandom dice = new SplittableRandom(1);
        AtomicReference<Exception> failure = new AtomicReference<>();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (long n = 0; n < records && failure.get() == null; n++) {
                byte[] key = String.format("key-%016d", dice.nextLong(keys)).getBytes(StandardCharsets.US_ASCII);
                producer.send(new ProducerRecord<>(args[1], 0, key, value), (done, why) -> {
                    if (why != null) {
                        failure.set(why);
                    }
                });
            }
        }
        if (failure.get() != null) {
            throw new IllegalStateException(failure.get());
        }
        System.out.println(records);
    }
}
