import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Transactions at a fixed rate: each sends its records to the partitions in turn and commits. Several producers share the rate,
 * so that a commit that takes long delays nobody else's. A transaction begins when its time has come, or when the one before it
 * has ended. Prints transactions, records, the seconds that they took, and the 50th and 99th percentile of what
 * commitTransaction took, in microseconds; the first fifth is left out of them.
 *
 * <p>Arguments: bootstrap topic partitions records-of-a-transaction record-bytes transactions-a-second producers seconds
 */
public final class BenchTransactions {
    private BenchTransactions() {}

    public static void main(String[] args) throws Exception {
        int partitions = Integer.parseInt(args[2]);
        int records = Integer.parseInt(args[3]);
        byte[] value = new byte[Integer.parseInt(args[4])];
        int producers = Integer.parseInt(args[6]);
        long period = 1_000_000_000L * producers / Integer.parseInt(args[5]);
        int count = (int) (Long.parseLong(args[7]) * 1_000_000_000L / period);
        List<Long> commits = Collections.synchronizedList(new ArrayList<>());
        List<KafkaProducer<byte[], byte[]>> all = new ArrayList<>();
        for (int n = 0; n < producers; n++) {
            Properties config = new Properties();
            config.putAll(Map.of("bootstrap.servers", args[0], "transactional.id", "bench-" + n, "linger.ms", "0"));
            all.add(new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer()));
            all.get(n).initTransactions();
        }
        List<Thread> threads = new ArrayList<>();
        List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
        long began = System.nanoTime();
        for (int n = 0; n < producers; n++) {
            KafkaProducer<byte[], byte[]> producer = all.get(n);
            long first = began + period * n / producers;
            Thread thread = new Thread(() -> {
                for (int t = 0; t < count; t++) {
                    pause(first + t * period);
                    producer.beginTransaction();
                    for (int r = 0; r < records; r++) {
                        producer.send(new ProducerRecord<>(args[1], r % partitions, null, value));
                    }
                    long asked = System.nanoTime();
                    producer.commitTransaction();
                    if (t >= count / 5) {
                        commits.add((System.nanoTime() - asked) / 1000);
                    }
                }
            });
            thread.setUncaughtExceptionHandler((failed, why) -> failures.add(why));
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        double seconds = (System.nanoTime() - began) / 1e9;
        all.forEach(KafkaProducer::close);
        if (!failures.isEmpty()) {
            throw new IllegalStateException(failures.get(0));
        }
        Collections.sort(commits);
        long done = (long) count * producers;
        System.out.printf("%d %d %.3f %d %d%n", done, done * records, seconds, at(commits, 50), at(commits, 99));
    }

    private static long at(List<Long> sorted, int percent) {
        return sorted.get(Math.min(sorted.size() - 1, sorted.size() * percent / 100));
    }

    private static void pause(long until) {
        long left = until - System.nanoTime();
        if (left > 0) {
            try {
                Thread.sleep(left / 1_000_000, (int) (left % 1_000_000));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
