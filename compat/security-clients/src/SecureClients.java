import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Java's clients: what the standard input asks for, a JSON object a line, answered by one a line. See README.md. */
public final class SecureClients {
    private static final int PATIENCE = 20;
    private static final ObjectMapper JSON = new ObjectMapper();

    private SecureClients() {}

    /** A client's settings for a login in the words that all programs share. */
    static Map<String, Object> config(JsonNode ask) {
        Map<String, Object> config = new TreeMap<>();
        config.put("bootstrap.servers", ask.get("address").asText());
        config.put("security.protocol", ask.get("protocol").asText());
        if (ask.has("mechanism")) {
            String mechanism = ask.get("mechanism").asText();
            config.put("sasl.mechanism", mechanism);
            config.put("sasl.jaas.config", jaas(mechanism, ask));
            if (mechanism.equals("OAUTHBEARER")) {
                config.put("sasl.login.callback.handler.class", GivenToken.class.getName());
            }
        }
        if (ask.has("ca")) {
            config.put("ssl.truststore.type", "PEM");
            config.put("ssl.truststore.location", ask.get("ca").asText());
        }
        if (ask.has("keystore")) {
            config.put("ssl.keystore.type", "PEM");
            config.put("ssl.keystore.location", ask.get("keystore").asText());
            config.put("ssl.key.password", ask.get("keypassword").asText());
        }
        return config;
    }

    private static String jaas(String mechanism, JsonNode ask) {
        String security = "org.apache.kafka.common.security.";
        if (mechanism.equals("OAUTHBEARER")) {
            return security + "oauthbearer.OAuthBearerLoginModule required token=\"" + ask.get("token").asText() + "\";";
        }
        String module = mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
        return security + module + " required username=\"" + ask.get("username").asText() + "\" password=\"" + ask.get("password").asText() + "\""
                + (ask.path("tokenauth").asBoolean() ? " tokenauth=\"true\"" : "") + ";";
    }

    private static ObjectNode carry(JsonNode ask) throws Exception {
        String topic = ask.get("topic").asText();
        int count = ask.get("records").asInt();
        long pause = count == 0 ? 0 : ask.path("seconds").asLong() * 1000 / count;
        ObjectNode answer = JSON.createObjectNode();
        Map<String, Object> config = config(ask);
        config.putAll(Map.of("delivery.timeout.ms", "15000", "request.timeout.ms", "10000", "max.block.ms", "15000", "linger.ms", "0"));
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int number = 0; number < count; number++) {
                sent.add(producer.send(new ProducerRecord<>(topic, 0, null, topic + "-" + number)));
                if (number == 0 || pause > 0) {
                    // Who is refused is told so for every record, each after a try of its own.
                    sent.get(number).get(PATIENCE, TimeUnit.SECONDS);
                    Thread.sleep(pause);
                }
            }
            for (Future<RecordMetadata> one : sent) {
                one.get(PATIENCE, TimeUnit.SECONDS);
            }
            answer.put("reauthentications", total(producer.metrics(), "successful-reauthentication-total"));
        }
        config = config(ask);
        config.putAll(Map.of("group.id", topic, "enable.auto.commit", "false", "default.api.timeout.ms", "15000", "fetch.max.wait.ms", "100"));
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            List<String> read = new ArrayList<>();
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE);
            long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(ask.path("seconds").asLong());
            while ((read.size() < count || System.nanoTime() < until) && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(50)).forEach(r -> read.add(r.value()));
            }
            read.forEach(answer.putArray("records")::add);
            answer.put("reauthentications of the consumer", total(consumer.metrics(), "successful-reauthentication-total"));
        }
        return answer;
    }

    private static long total(Map<MetricName, ? extends Metric> metrics, String name) {
        return metrics.values().stream().filter(m -> m.metricName().name().equals(name) && m.metricName().tags().size() == 1)
                .mapToLong(m -> ((Double) m.metricValue()).longValue()).sum();
    }

    private static String told(Throwable e) {
        Throwable at = e instanceof ExecutionException && e.getCause() != null ? e.getCause() : e;
        StringBuilder out = new StringBuilder();
        for (; at != null; at = at.getCause()) {
            out.append(out.length() == 0 ? "" : " <- ").append(at.getClass().getSimpleName()).append(": ").append(at.getMessage());
        }
        return out.toString().replaceAll("\\s+", " ");
    }

    public static void main(String[] ignored) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            ObjectNode answer;
            try {
                JsonNode ask = JSON.readTree(line);
                answer = ask.has("do") ? Preparation.perform(ask, JSON.createObjectNode()) : carry(ask);
            } catch (Exception e) {
                answer = JSON.createObjectNode().put("error", told(e));
            }
            System.out.println(JSON.writeValueAsString(answer));
            System.out.flush();
        }
        Runtime.getRuntime().halt(0);
    }
}
