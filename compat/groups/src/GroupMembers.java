import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * Members of groups, started and stopped by lines on the standard input.
 *
 * <p>{@code start NAME key=value ...} (tabs between), where {@code topics} or {@code pattern} say what is subscribed to,
 * {@code commit} is {@code sync} (after every poll) or {@code none}, and the rest configures the consumer; {@code stop NAME}
 * leaves the group. The end of the input stops them all. What happens is printed a line each: milliseconds, name, event,
 * what it is about.
 */
public final class GroupMembers {
    private GroupMembers() {}

    static synchronized void say(String name, String event, Object about) {
        System.out.println(System.currentTimeMillis() + "\t" + name + "\t" + event + "\t" + about);
        System.out.flush();
    }

    static final class Member extends Thread implements ConsumerRebalanceListener {
        private final String name;
        private final Map<String, String> settings;
        private volatile boolean stopped;

        Member(String name, Map<String, String> settings) {
            this.name = name;
            this.settings = settings;
        }

        @Override
        public void run() {
            String topics = settings.remove("topics");
            String pattern = settings.remove("pattern");
            boolean commits = "sync".equals(settings.remove("commit"));
            Properties properties = new Properties();
            properties.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
            properties.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
            properties.put("enable.auto.commit", "false");
            properties.put("auto.offset.reset", "earliest");
            properties.put("client.id", name);
            properties.putAll(settings);
            try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
                if (topics != null) {
                    consumer.subscribe(List.of(topics.split(",")), this);
                } else {
                    consumer.subscribe(Pattern.compile(pattern), this);
                }
                while (!stopped) {
                    ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
                    Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
                    for (ConsumerRecord<String, String> record : records) {
                        say(name, "record", record.topic() + ":" + record.partition() + "\t" + record.offset() + "\t" + record.value());
                        next.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
                    }
                    if (commits && !next.isEmpty()) {
                        commit(consumer, next);
                    }
                }
            } catch (Exception e) {
                say(name, "error", e.toString().replace('\n', ' '));
            }
            say(name, "closed", "");
        }

        private void commit(KafkaConsumer<String, String> consumer, Map<TopicPartition, OffsetAndMetadata> next) {
            try {
                consumer.commitSync(next, Duration.ofSeconds(30));
                next.forEach((partition, offset) -> say(name, "committed", partition.topic() + ":" + partition.partition() + "\t" + offset.offset()));
            } catch (RuntimeException e) {
                say(name, "uncommitted", e.toString().replace('\n', ' '));
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            say(name, "assigned", names(partitions));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            say(name, "revoked", names(partitions));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            say(name, "lost", names(partitions));
        }

        private static String names(Collection<TopicPartition> partitions) {
            return partitions.stream().map(p -> p.topic() + ":" + p.partition()).sorted().collect(Collectors.joining(","));
        }
    }

    public static void main(String[] args) throws Exception {
        Map<String, Member> members = new HashMap<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t");
            if (words[0].equals("start")) {
                Map<String, String> settings = new HashMap<>();
                for (int i = 2; i < words.length; i++) {
                    String[] pair = words[i].split("=", 2);
                    settings.put(pair[0], pair[1]);
                }
                Member member = new Member(words[1], settings);
                members.put(words[1], member);
                member.start();
            } else {
                members.get(words[1]).stopped = true;
            }
        }
        for (Member member : members.values()) {
            member.stopped = true;
        }
        for (Member member : members.values()) {
            member.join();
        }
    }
}
