import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClassicGroupsOptions;
import org.apache.kafka.clients.admin.DescribeConsumerGroupsOptions;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** What an administrator does with groups, and what their members do. */
final class GroupActions {
    private static final TopicPartition SEEN = TopicActions.SEEN;
    private static final TopicPartition GONE = TopicActions.GONE;
    private static final long PATIENCE_S = 8;

    private GroupActions() {}

    static void all(Admin admin, Map<String, Object> config, Map<String, AclClients.Action> actions) {
        actions.put("list groups", () -> new TreeSet<>(admin.listGroups().all().get().stream().map(GroupListing::groupId).toList()).contains("listed")
                ? "told of it" : "not told of it");
        actions.put("describe consumer groups", () -> {
            Map<String, String> out = new TreeMap<>();
            admin.describeConsumerGroups(List.of("kip", "listed", "none"), new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true))
                    .describedGroups().forEach((id, group) -> out.put(id, AclClients.told(() -> group.get().type() + " " + group.get().groupState() + " "
                            + TopicActions.operations(group.get().authorizedOperations()))));
            return out.toString();
        });
        actions.put("describe classic groups", () -> {
            Map<String, String> out = new TreeMap<>();
            admin.describeClassicGroups(List.of("listed", "none"), new DescribeClassicGroupsOptions().includeAuthorizedOperations(true))
                    .describedGroups().forEach((id, group) -> out.put(id, AclClients.told(() -> group.get().state() + " "
                            + TopicActions.operations(group.get().authorizedOperations()))));
            return out.toString();
        });
        actions.put("list offsets of a group", () -> String.valueOf(new TreeMap<>(
                named(admin.listConsumerGroupOffsets("listed").partitionsToOffsetAndMetadata().get()))));
        actions.put("delete groups", () -> TopicActions.each(admin.deleteConsumerGroups(List.of("nobody", "none")).deletedGroups()));
        actions.put("delete offsets of a group", () -> {
            var gone = admin.deleteConsumerGroupOffsets("listed", Set.of(GONE));
            return AclClients.told(() -> "ok" + gone.partitionResult(GONE).get());
        });
        actions.put("alter offsets of a group", () -> {
            var changed = admin.alterConsumerGroupOffsets("altered", Map.of(SEEN, new OffsetAndMetadata(0)));
            return AclClients.told(() -> "ok" + changed.partitionResult(SEEN).get());
        });

        actions.put("consume what is assigned", with(config, Map.of(), consumer -> {
            consumer.assign(List.of(SEEN));
            consumer.seekToBeginning(List.of(SEEN));
            return poll(consumer);
        }));
        for (String protocol : List.of("classic", "consumer")) {
            Map<String, Object> group = Map.of("group.id", protocol + "-g", "group.protocol", protocol, "auto.offset.reset", "earliest");
            actions.put("consume in a group of protocol " + protocol, with(config, group, consumer -> {
                consumer.subscribe(List.of("seen"));
                return poll(consumer) + " " + AclClients.told(() -> {
                    consumer.commitSync(Map.of(SEEN, new OffsetAndMetadata(1)));
                    return "committed";
                });
            }));
            actions.put("consume two topics in a group of protocol " + protocol, with(config, group, consumer -> {
                consumer.subscribe(List.of("seen", "also"));
                return poll(consumer);
            }));
            actions.put("consume by a pattern in a group of protocol " + protocol, with(config, group, consumer -> {
                consumer.subscribe(Pattern.compile("see."));
                return poll(consumer);
            }));
        }
        Map<String, Object> group = Map.of("group.id", "g");
        actions.put("commit", with(config, group, consumer -> {
            consumer.assign(List.of(SEEN));
            consumer.commitSync(Map.of(SEEN, new OffsetAndMetadata(1)));
            return "ok";
        }));
        actions.put("look up what is committed", with(config, group, consumer -> String.valueOf(named(consumer.committed(Set.of(SEEN, GONE))))));
        actions.put("look up ends", with(config, group, consumer -> "ok " + consumer.beginningOffsets(List.of(SEEN)).get(SEEN)));
        actions.put("look up times", with(config, group, consumer -> "ok " + consumer.offsetsForTimes(Map.of(SEEN, 0L)).keySet()));
        actions.put("look up partitions", with(config, group, consumer -> "ok " + consumer.partitionsFor("seen").size()));
        actions.put("look up topics", with(config, group, consumer -> new TreeSet<>(consumer.listTopics().keySet()).headSet("t").tailSet("s").toString()));
    }

    private static Map<String, String> named(Map<TopicPartition, OffsetAndMetadata> offsets) {
        Map<String, String> out = new TreeMap<>();
        offsets.forEach((partition, at) -> out.put(partition.toString(), at == null ? "none" : String.valueOf(at.offset())));
        return out;
    }

    private static AclClients.Action with(Map<String, Object> login, Map<String, Object> more,
                                          Function<KafkaConsumer<String, String>, String> what) {
        Map<String, Object> config = new HashMap<>(login);
        config.putAll(Map.of("default.api.timeout.ms", "6000", "request.timeout.ms", "5000", "enable.auto.commit", "false", "fetch.max.wait.ms", "50",
                "allow.auto.create.topics", "false"));
        config.putAll(more);
        return () -> {
            try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
                return what.apply(consumer);
            }
        };
    }

    /** Until a record comes, or nothing can. */
    private static String poll(KafkaConsumer<String, String> consumer) {
        List<String> out = new ArrayList<>();
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
        Consumer<Duration> once = wait -> consumer.poll(wait).forEach(r -> out.add(r.topic() + "=" + r.value()));
        while (out.isEmpty() && System.nanoTime() < until) {
            once.accept(Duration.ofMillis(50));
        }
        return out.isEmpty() ? "nothing came" : out.get(0);
    }
}
