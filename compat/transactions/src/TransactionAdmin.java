import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** What is asked of the broker beside the producers: topics, transactions, and how the log reads in both isolation levels. */
final class TransactionAdmin {
    private static final String TEXT = "org.apache.kafka.common.serialization.StringDeserializer";
    private static final int PATIENCE = 20;
    private final String bootstrap;
    private final Admin admin;
    private final Map<String, KafkaConsumer<String, String>> consumers = new TreeMap<>();

    TransactionAdmin(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    String perform(String[] words) throws Exception {
        switch (words[0]) {
            case "create":
                return create(words);
            case "delete":
                admin.deleteTopics(List.of(words[1])).all().get();
                return "ok";
            case "delete-records":
                TopicPartition from = new TopicPartition(words[1], Integer.parseInt(words[2]));
                return "low " + admin.deleteRecords(Map.of(from, RecordsToDelete.beforeOffset(Long.parseLong(words[3])))).lowWatermarks().get(from).get().lowWatermark();
            case "describe":
                return describe(words[1]);
            case "await":
                return await(words[1], words[2]);
            case "ended":
                return ended(words[1]);
            case "view":
                return partitions(words[1]).stream().flatMap(p -> List.of(read(p, "read_committed"), read(p, "read_uncommitted")).stream())
                        .collect(Collectors.joining("\t"));
            case "producers":
                return producers(words[1]);
            case "committed":
                return committed(words[1]);
            case "terminate":
                admin.forceTerminateTransaction(words[1]).result().get();
                return "ok";
            case "fence":
                admin.fenceProducers(List.of(words[1])).all().get();
                return "ok";
            default:
                throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    /** {@code create topic partitions [name=value...]}; waits until the partitions can be read. */
    private String create(String[] words) throws Exception {
        Map<String, String> configs = new TreeMap<>();
        for (int i = 3; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            configs.put(pair[0], pair[1]);
        }
        admin.createTopics(List.of(new NewTopic(words[1], Integer.parseInt(words[2]), (short) 1).configs(configs))).all().get();
        for (TopicPartition partition : partitions(words[1])) {
            end(partition, "read_uncommitted");
        }
        return "ok";
    }

    private List<TopicPartition> partitions(String topic) throws Exception {
        // A topic that was made a moment ago may not be known yet.
        for (int attempt = 0; ; attempt++) {
            try {
                int count = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
                List<TopicPartition> out = new ArrayList<>();
                for (int i = 0; i < count; i++) {
                    out.add(new TopicPartition(topic, i));
                }
                return out;
            } catch (Exception e) {
                if (attempt == 20) {
                    throw e;
                }
                Thread.sleep(100);
            }
        }
    }

    /** Once its end, if that is decided, has come to all partitions. */
    private String describe(String id) throws Exception {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE);
        TransactionDescription d = admin.describeTransactions(List.of(id)).all().get().get(id);
        while (d.state().toString().startsWith("Prepare") && System.nanoTime() < until) {
            Thread.sleep(20);
            d = admin.describeTransactions(List.of(id)).all().get().get(id);
        }
        String partitions = d.topicPartitions().stream().map(TopicPartition::toString).sorted().collect(Collectors.joining(","));
        return d.state() + " producer=" + d.producerId() + "/" + d.producerEpoch() + " timeout=" + d.transactionTimeoutMs() + " [" + partitions + "]"
                + (d.transactionStartTimeMs().isPresent() ? " begun" : "");
    }

    /** Waits until the transaction is in that state. */
    private String await(String id, String state) throws Exception {
        String now = "";
        for (long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE); System.nanoTime() < until; Thread.sleep(20)) {
            now = describe(id);
            if (now.startsWith(state + " ")) {
                break;
            }
        }
        return now;
    }

    /** Waits until nothing in the topic's partitions is open. */
    private String ended(String topic) throws Exception {
        for (long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE); System.nanoTime() < until; Thread.sleep(20)) {
            boolean open = false;
            for (TopicPartition partition : partitions(topic)) {
                open |= end(partition, "read_committed") != end(partition, "read_uncommitted");
            }
            if (!open) {
                return "ok";
            }
        }
        return "still open";
    }

    private long end(TopicPartition partition, String isolation) {
        return consumer(isolation).endOffsets(List.of(partition)).get(partition);
    }

    /** One for each isolation level: a new one takes as long as ten views. */
    private KafkaConsumer<String, String> consumer(String isolation) {
        return consumers.computeIfAbsent(isolation, this::newConsumer);
    }

    private KafkaConsumer<String, String> newConsumer(String isolation) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("isolation.level", isolation);
        properties.put("key.deserializer", TEXT);
        properties.put("value.deserializer", TEXT);
        properties.put("enable.auto.commit", "false");
        // What waits at an open transaction waits for nobody else.
        properties.put("fetch.max.wait.ms", "50");
        properties.put("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(properties);
    }

    private String read(TopicPartition partition, String isolation) {
        List<String> records = new ArrayList<>();
        KafkaConsumer<String, String> consumer = consumer(isolation);
        consumer.assign(List.of(partition));
        consumer.seekToBeginning(List.of(partition));
        long begin = consumer.beginningOffsets(List.of(partition)).get(partition);
        long end = consumer.endOffsets(List.of(partition)).get(partition);
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE);
        while (consumer.position(partition) < end && System.nanoTime() < until) {
            consumer.poll(Duration.ofMillis(20)).forEach(r -> records.add(r.offset() + ":" + r.key() + "=" + shortened(r.value())));
        }
        return partition + " " + isolation + " " + begin + ".." + end + " read to " + consumer.position(partition) + ": " + String.join(" ", records);
    }

    private static String shortened(String value) {
        return value.length() < 40 ? value : value.length() + " characters";
    }

    private String producers(String topic) throws Exception {
        List<String> out = new ArrayList<>();
        for (TopicPartition partition : partitions(topic)) {
            Collection<ProducerState> states = admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers();
            String text = states.stream().map(TransactionAdmin::state).sorted().collect(Collectors.joining("; "));
            out.add(partition + " producers: " + text);
        }
        return String.join("\t", out);
    }

    private static String state(ProducerState s) {
        return s.producerId() + "/" + s.producerEpoch() + " sequence " + s.lastSequence() + " coordinator " + s.coordinatorEpoch().orElse(-1)
                + " open from " + (s.currentTransactionStartOffset().isPresent() ? String.valueOf(s.currentTransactionStartOffset().getAsLong()) : "-");
    }

    private String committed(String group) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        return offsets.entrySet().stream().map(e -> e.getKey() + "@" + Optional.ofNullable(e.getValue()).map(o -> String.valueOf(o.offset())).orElse("none")).sorted()
                .collect(Collectors.joining(" "));
    }
}
