import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** kafka-clients, by the driver's protocol: one command a line on standard input, one answer a line on standard output. Compiles against every version from 2.8 on. */
public class JavaAdapter {
    static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
    final String bootstrap, version;
    final Admin admin;
    final Map<String, KafkaProducer<String, String>> producers = new HashMap<>();
    final Map<String, KafkaConsumer<String, String>> consumers = new HashMap<>();

    static class NotApplicable extends RuntimeException {
        NotApplicable(String why) {
            super(why);
        }
    }

    JavaAdapter(String version, String bootstrap) {
        this.bootstrap = bootstrap;
        this.version = version;
        this.admin = Admin.create(base());
    }

    Properties base() {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        return p;
    }

    public static void main(String[] args) throws Exception {
        JavaAdapter adapter = new JavaAdapter(args[0], args[1]);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Map<String, Object> answer = new HashMap<>();
            try {
                Object done = adapter.run(JsonParser.parseString(line).getAsJsonObject());
                answer.put("ok", done == null ? Collections.emptyMap() : done);
                say(GSON.toJson(answer));
            } catch (NotApplicable e) {
                answer.put("na", e.getMessage());
                say(GSON.toJson(answer));
            } catch (Exception e) {
                Throwable cause = e;
                while ((cause instanceof ExecutionException || cause instanceof CompletionException
                        || cause instanceof java.lang.reflect.InvocationTargetException) && cause.getCause() != null) {
                    cause = cause.getCause();
                }
                Errors known = Errors.forException(cause);
                say("{\"error\":" + GSON.toJson(String.valueOf(cause)) + ",\"code\":" + (known == Errors.UNKNOWN_SERVER_ERROR ? "null" : known.code()) + "}");
            }
        }
        System.exit(0);
    }

    static void say(String line) {
        byte[] data = (line + "\n").getBytes(StandardCharsets.UTF_8);
        System.out.write(data, 0, data.length);
        System.out.flush();
    }

    /** A method that some of the versions call otherwise. */
    static Object call(Object on, Class<?> type, String... names) throws Exception {
        for (String name : names) {
            try {
                return type.getMethod(name).invoke(on);
            } catch (NoSuchMethodException e) {
                // The next name, then.
            }
        }
        throw new NoSuchMethodException(String.join(", ", names));
    }

    static List<Integer> ids(List<Node> nodes) {
        List<Integer> out = new ArrayList<>();
        nodes.forEach(n -> out.add(n.id()));
        return out;
    }

    static String text(JsonObject c, String name) {
        JsonElement e = c.get(name);
        return e == null || e.isJsonNull() ? null : e.getAsString();
    }

    /** Offsets as [topic, partition, offset], or [partition, offset] of the command's topic. */
    static Map<TopicPartition, OffsetAndMetadata> offsets(JsonObject c) {
        Map<TopicPartition, OffsetAndMetadata> out = new HashMap<>();
        for (JsonElement e : c.getAsJsonArray("offsets")) {
            JsonArray row = e.getAsJsonArray();
            int at = row.size() - 2;
            String topic = at == 1 ? row.get(0).getAsString() : text(c, "topic");
            out.put(new TopicPartition(topic, row.get(at).getAsInt()), new OffsetAndMetadata(row.get(at + 1).getAsLong()));
        }
        return out;
    }

    Object run(JsonObject c) throws Exception {
        String topic = text(c, "topic"), group = text(c, "group");
        switch (text(c, "do")) {
            case "metadata": {
                List<Object> brokers = new ArrayList<>();
                for (Node n : admin.describeCluster().nodes().get()) brokers.add(List.of(n.id(), n.host(), n.port()));
                return Map.of("brokers", brokers, "topics", admin.listTopics().names().get());
            }
            case "create_topic":
                NewTopic made = new NewTopic(topic, c.get("partitions").getAsInt(), (short) 1).configs(configs(c));
                admin.createTopics(List.of(made)).all().get();
                return null;
            case "describe_topic": {
                Object asked = admin.describeTopics(List.of(topic));
                @SuppressWarnings("unchecked")
                KafkaFuture<Map<String, TopicDescription>> all = (KafkaFuture<Map<String, TopicDescription>>)
                    call(asked, asked.getClass(), "allTopicNames", "all");
                List<Object> out = new ArrayList<>();
                for (TopicPartitionInfo p : all.get().get(topic).partitions()) {
                    out.add(List.of(p.partition(), p.leader().id(), ids(p.replicas()), ids(p.isr())));
                }
                return Map.of("partitions", out);
            }
            case "delete_topic":
                admin.deleteTopics(List.of(topic)).all().get();
                return null;
            case "describe_config": {
                ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
                Config got = admin.describeConfigs(List.of(resource)).all().get().get(resource);
                Map<String, String> out = new HashMap<>();
                got.entries().forEach(e -> out.put(e.name(), e.value()));
                return Map.of("configs", out);
            }
            case "alter_config": {
                Collection<AlterConfigOp> set = new ArrayList<>();
                configs(c).forEach((k, v) -> set.add(new AlterConfigOp(new ConfigEntry(k, v), AlterConfigOp.OpType.SET)));
                admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic), set)).all().get();
                return null;
            }
            case "create_partitions":
                admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(c.get("count").getAsInt()))).all().get();
                return null;
            case "list_groups": {
                List<String> out = new ArrayList<>();
                for (ConsumerGroupListing g : admin.listConsumerGroups().all().get()) out.add(g.groupId());
                return Map.of("groups", out);
            }
            case "describe_group": {
                ConsumerGroupDescription got = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
                return Map.of("state", call(got, ConsumerGroupDescription.class, "groupState", "state").toString(), "members", got.members().size());
            }
            case "delete_group":
                admin.deleteConsumerGroups(List.of(group)).all().get();
                return null;
            case "group_offsets": {
                Map<Integer, Long> out = new TreeMap<>();
                admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach((t, o) -> {
                    if (t.topic().equals(topic)) out.put(t.partition(), o.offset());
                });
                List<Object> rows = new ArrayList<>();
                out.forEach((p, o) -> rows.add(List.of(p, o)));
                return Map.of("offsets", rows);
            }
            case "alter_group_offsets":
                admin.alterConsumerGroupOffsets(group, offsets(c)).all().get();
                return null;
            case "offset": {
                String at = text(c, "at");
                OffsetSpec spec = at.equals("earliest") ? OffsetSpec.earliest() : at.equals("latest") ? OffsetSpec.latest() : OffsetSpec.forTimestamp(Long.parseLong(at));
                TopicPartition which = new TopicPartition(topic, c.get("partition").getAsInt());
                return Map.of("offset", admin.listOffsets(Map.of(which, spec)).partitionResult(which).get().offset());
            }
            case "open_producer":
                openProducer(c);
                return null;
            case "send":
                return send(producers.get(text(c, "producer")), topic, c.getAsJsonArray("records"));
            case "close_producer":
                producers.remove(text(c, "producer")).close(Duration.ofSeconds(5));
                return null;
            case "begin":
                producers.get(text(c, "producer")).beginTransaction();
                return null;
            case "end":
                if (c.get("commit").getAsBoolean()) producers.get(text(c, "producer")).commitTransaction();
                else producers.get(text(c, "producer")).abortTransaction();
                return null;
            case "send_offsets":
                producers.get(text(c, "producer")).sendOffsetsToTransaction(offsets(c), consumers.get(text(c, "consumer")).groupMetadata());
                return null;
            case "open_consumer":
                openConsumer(c);
                return null;
            case "poll":
                return poll(consumers.get(text(c, "consumer")), c.get("ms").getAsLong());
            case "commit":
                consumers.get(text(c, "consumer")).commitSync(offsets(c));
                return null;
            case "close_consumer":
                consumers.remove(text(c, "consumer")).close(Duration.ofSeconds(5));
                return null;
            default:
                throw new IllegalArgumentException("no such command: " + c);
        }
    }

    static Map<String, String> configs(JsonObject c) {
        Map<String, String> out = new HashMap<>();
        c.getAsJsonObject("configs").entrySet().forEach(e -> out.put(e.getKey(), e.getValue().getAsString()));
        return out;
    }

    void openProducer(JsonObject c) {
        Properties p = base();
        String transactional = text(c, "transactional");
        boolean idempotent = transactional != null || c.has("idempotent") && c.get("idempotent").getAsBoolean();
        p.put("enable.idempotence", String.valueOf(idempotent));
        p.put("acks", "all");
        p.put("linger.ms", "5");
        p.put("compression.type", c.has("codec") ? text(c, "codec") : "none");
        if (transactional != null) p.put("transactional.id", transactional);
        if (c.has("max_bytes")) {
            p.put("max.request.size", String.valueOf(c.get("max_bytes").getAsInt() + 50_000));
            p.put("batch.size", text(c, "max_bytes"));
        }
        if (c.has("timeout_ms")) {
            p.put("max.block.ms", text(c, "timeout_ms"));
            p.put("request.timeout.ms", "1000");
            p.put("delivery.timeout.ms", text(c, "timeout_ms"));
        }
        KafkaProducer<String, String> made = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
        if (transactional != null) made.initTransactions();
        producers.put(text(c, "producer"), made);
    }

    static Object send(KafkaProducer<String, String> producer, String topic, JsonArray records) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonElement e : records) {
            JsonObject r = e.getAsJsonObject();
            String time = text(r, "timestamp");
            ProducerRecord<String, String> record = new ProducerRecord<>(topic, r.get("partition").getAsInt(), time == null ? null : Long.valueOf(time), text(r, "key"), text(r, "value"));
            for (JsonElement h : r.getAsJsonArray("headers")) {
                JsonArray pair = h.getAsJsonArray();
                record.headers().add(pair.get(0).getAsString(), pair.get(1).getAsString().getBytes(StandardCharsets.UTF_8));
            }
            sent.add(producer.send(record));
        }
        producer.flush();
        List<Object> out = new ArrayList<>();
        for (Future<RecordMetadata> one : sent) {
            RecordMetadata done = one.get();
            out.add(List.of(done.partition(), done.offset()));
        }
        return Map.of("offsets", out);
    }

    void openConsumer(JsonObject c) {
        Properties p = base();
        String group = text(c, "group"), protocol = text(c, "protocol");
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("fetch.max.wait.ms", "50");
        p.put("max.poll.records", "1000");
        if (c.has("isolation")) p.put("isolation.level", text(c, "isolation"));
        if (group != null) p.put("group.id", group);
        if (c.has("instance")) p.put("group.instance.id", text(c, "instance"));
        if ("consumer".equals(protocol)) {
            if (version.equals("2.8")) throw new NotApplicable("the client has no KIP-848 consumer protocol");
            p.put("group.protocol", "consumer");
        } else {
            p.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + ("cooperative".equals(protocol) ? "CooperativeStickyAssignor" : "RangeAssignor"));
            p.put("session.timeout.ms", "10000");
            p.put("heartbeat.interval.ms", "300");
        }
        KafkaConsumer<String, String> made = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
        if (c.has("assign")) {
            List<TopicPartition> all = new ArrayList<>();
            for (JsonElement e : c.getAsJsonArray("assign")) all.add(new TopicPartition(e.getAsJsonArray().get(0).getAsString(), e.getAsJsonArray().get(1).getAsInt()));
            made.assign(all);
            made.seekToBeginning(all);
        } else {
            List<String> topics = new ArrayList<>();
            c.getAsJsonArray("topics").forEach(t -> topics.add(t.getAsString()));
            made.subscribe(topics);
        }
        consumers.put(text(c, "consumer"), made);
    }

    static Object poll(KafkaConsumer<String, String> consumer, long ms) {
        List<Object> records = new ArrayList<>();
        for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(ms))) {
            Map<String, Object> one = new HashMap<>();
            one.put("topic", r.topic());
            one.put("partition", r.partition());
            one.put("offset", r.offset());
            one.put("key", r.key());
            one.put("value", r.value());
            one.put("timestamp", r.timestamp());
            List<Object> headers = new ArrayList<>();
            for (Header h : r.headers()) headers.add(List.of(h.key(), new String(h.value(), StandardCharsets.UTF_8)));
            one.put("headers", headers);
            records.add(one);
        }
        List<Object> owned = new ArrayList<>();
        consumer.assignment().forEach(t -> owned.add(List.of(t.topic(), t.partition())));
        return Map.of("records", records, "assignment", owned);
    }
}
