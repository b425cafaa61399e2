import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * Producers and consumers that do what the standard input says, a line each with tabs between the words: what to do, who, and with
 * what. Each command prints what came of it in one line: {@code ok}, a value, or the exception with its message.
 *
 * <p>{@code transaction_client.c} takes the same commands for producers.
 */
public final class TransactionClients {
    private static final String TEXT = "org.apache.kafka.common.serialization.String";

    private final Map<String, KafkaProducer<String, String>> producers = new HashMap<>();
    private final Map<String, KafkaConsumer<String, String>> consumers = new HashMap<>();
    private final Map<String, List<Future<RecordMetadata>>> sent = new HashMap<>();

    private static int patience = 20;
    private final TransactionAdmin admin;

    private TransactionClients(String bootstrap) {
        admin = new TransactionAdmin(bootstrap);
    }

    private interface Action {
        String run() throws Exception;
    }

    private static String done(Runnable action) {
        action.run();
        return "ok";
    }

    private String perform(String[] words) throws Exception {
        String who = words.length > 1 ? words[1] : "";
        switch (words[0]) {
            case "producer":
                producers.put(who, new KafkaProducer<>(properties(words, "Serializer")));
                return "ok";
            case "patience":
                patience = Integer.parseInt(who) / 1000;
                return "ok";
            case "init":
                return done(() -> producers.get(who).initTransactions());
            case "begin":
                return done(() -> producers.get(who).beginTransaction());
            case "send":
                return outcome(send(words));
            case "post":
                sent.computeIfAbsent(who, key -> new ArrayList<>()).add(send(words));
                return "ok";
            case "outcomes":
                return outcomes(sent.remove(who));
            case "flush":
                return done(() -> producers.get(who).flush());
            case "commit":
                return done(() -> producers.get(who).commitTransaction());
            case "abort":
                return done(() -> producers.get(who).abortTransaction());
            case "offsets":
                return done(() -> producers.get(who).sendOffsetsToTransaction(offsets(words[6]), group(words)));
            case "offsets-of":
                return done(() -> producers.get(who).sendOffsetsToTransaction(offsets(words[3]), consumers.get(words[2]).groupMetadata()));
            case "close":
                producers.remove(who).close(Duration.ZERO);
                return "ok";
            case "consumer":
                KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties(words, "Deserializer"));
                consumers.put(who, consumer);
                return "ok";
            case "subscribe":
                consumers.get(who).subscribe(List.of(words[2].split(",")));
                return "ok";
            case "poll":
                return poll(consumers.get(who), Integer.parseInt(words[2]));
            case "member":
                ConsumerGroupMetadata now = consumers.get(who).groupMetadata();
                return now.generationId() + " " + now.memberId();
            case "leave":
                consumers.remove(who).close();
                return "ok";
            default:
                return admin.perform(words);
        }
    }

    private static Properties properties(String[] words, String kind) {
        String side = kind.equals("Serializer") ? "key.serializer,value.serializer" : "key.deserializer,value.deserializer";
        Properties properties = new Properties();
        for (String setting : side.split(",")) {
            properties.put(setting, TEXT + kind);
        }
        for (int i = 2; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            properties.put(pair[0], pair[1]);
        }
        return properties;
    }

    /** {@code send WHO topic partition key value [timestamp]} */
    private Future<RecordMetadata> send(String[] words) {
        Long timestamp = words.length > 6 ? Long.valueOf(words[6]) : null;
        return producers.get(words[1]).send(new ProducerRecord<>(words[2], Integer.valueOf(words[3]), timestamp, words[4], words[5]));
    }

    private static String outcome(Future<RecordMetadata> record) throws Exception {
        RecordMetadata metadata = record.get(patience, TimeUnit.SECONDS);
        return metadata.topic() + "-" + metadata.partition() + "@" + metadata.offset();
    }

    private static String outcomes(List<Future<RecordMetadata>> records) {
        List<String> out = new ArrayList<>();
        for (Future<RecordMetadata> record : records) {
            out.add(told(() -> outcome(record)));
        }
        return String.join("; ", out);
    }

    /** {@code offsets WHO group generation member instance topic:partition:offset,...} */
    @SuppressWarnings({"deprecation", "removal"})
    private static ConsumerGroupMetadata group(String[] words) {
        Optional<String> instance = words[5].isEmpty() ? Optional.empty() : Optional.of(words[5]);
        return new ConsumerGroupMetadata(words[2], Integer.parseInt(words[3]), words[4], instance);
    }

    private static Map<TopicPartition, OffsetAndMetadata> offsets(String text) {
        Map<TopicPartition, OffsetAndMetadata> out = new TreeMap<>((a, b) -> a.toString().compareTo(b.toString()));
        for (String one : text.split(",")) {
            String[] parts = one.split(":");
            out.put(new TopicPartition(parts[0], Integer.parseInt(parts[1])), new OffsetAndMetadata(Long.parseLong(parts[2])));
        }
        return out;
    }

    /** Polls until that many records have come, or the time is over. */
    private static String poll(KafkaConsumer<String, String> consumer, int records) {
        List<String> out = new ArrayList<>();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(patience);
        do {
            consumer.poll(Duration.ofMillis(100)).forEach(r -> out.add(r.topic() + "-" + r.partition() + "@" + r.offset() + "=" + r.value()));
        } while ((out.size() < records || consumer.assignment().isEmpty()) && System.nanoTime() < deadline);
        out.sort(null);
        return String.join(" ", out);
    }

    private static String told(Action action) {
        try {
            return action.run();
        } catch (ExecutionException e) {
            return "failed: " + chain(e.getCause());
        } catch (Exception e) {
            return chain(e);
        }
    }

    /** The exceptions, each with its message, without what comes only from where it was thrown. */
    private static String chain(Throwable e) {
        StringBuilder out = new StringBuilder();
        for (Throwable at = e; at != null; at = at.getCause()) {
            out.append(out.length() == 0 ? "" : " <- ").append(at.getClass().getSimpleName()).append(": ").append(at.getMessage());
        }
        return out.toString().replaceAll("\\s+", " ");
    }

    public static void main(String[] args) throws Exception {
        TransactionClients clients = new TransactionClients(args[0]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t", -1);
            System.out.println(told(() -> clients.perform(words)));
            System.out.flush();
        }
        Runtime.getRuntime().halt(0);
    }
}
