import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Prints what a read_committed consumer sees of topics, from the first record to the last stable offset of the moment: topic,
 * partition, offset, timestamp, key, value, with tabs between. Arguments: bootstrap, {@code text} or {@code long} (the values), topics.
 */
public final class TopicDump {
    private TopicDump() {}

    public static void main(String[] args) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "none");
        Deserializer<?> values = args[1].equals("long") ? new LongDeserializer() : new StringDeserializer();
        try (KafkaConsumer<String, ?> consumer = new KafkaConsumer<>(properties, new StringDeserializer(), values);
                PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false, StandardCharsets.UTF_8)) {
            List<TopicPartition> all = List.of(args).subList(2, args.length).stream()
                    .flatMap(topic -> consumer.partitionsFor(topic).stream())
                    .map(p -> new TopicPartition(p.topic(), p.partition()))
                    .collect(Collectors.toList());
            consumer.assign(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            consumer.seekToBeginning(all);
            Set<TopicPartition> open = new HashSet<>(all);
            while (!open.isEmpty()) {
                for (ConsumerRecord<String, ?> r : consumer.poll(Duration.ofMillis(200))) {
                    if (r.offset() < ends.get(new TopicPartition(r.topic(), r.partition()))) {
                        out.println(r.topic() + "\t" + r.partition() + "\t" + r.offset() + "\t" + r.timestamp() + "\t" + r.key() + "\t" + r.value());
                    }
                }
                open.removeIf(p -> consumer.position(p) >= ends.get(p));
            }
        }
    }
}
