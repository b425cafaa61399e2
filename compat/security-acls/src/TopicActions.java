import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;

/** What an administrator does with topics: `seen` is there, `gone` is not. */
final class TopicActions {
    static final TopicPartition SEEN = new TopicPartition("seen", 0);
    static final TopicPartition GONE = new TopicPartition("gone", 0);

    private TopicActions() {}

    /** What came of each part, in an order. */
    static <K> String each(Map<K, ? extends KafkaFuture<?>> futures) {
        Map<String, String> out = new TreeMap<>();
        futures.forEach((key, future) -> out.put(String.valueOf(key), AclClients.told(() -> "ok " + plain(future.get()))));
        return out.toString();
    }

    /** A value without what no two brokers share: ids, addresses, folders. */
    private static String plain(Object value) {
        if (value == null) {
            return "";
        }
        if (value instanceof Map<?, ?> map) {
            return new TreeSet<>(map.keySet().stream().map(String::valueOf).toList()).toString();
        }
        if (value instanceof Collection<?> all) {
            return new TreeSet<>(all.stream().map(String::valueOf).toList()).toString();
        }
        return value instanceof TopicDescription t ? t.name() + " " + t.partitions().size() + " " + operations(t.authorizedOperations()) : "";
    }

    static String operations(Set<?> operations) {
        return operations == null ? "-" : new TreeSet<>(operations.stream().map(String::valueOf).toList()).toString();
    }

    static Map<ConfigResource, Collection<AlterConfigOp>> change(ConfigResource.Type type, String name, String setting, String value) {
        return Map.of(new ConfigResource(type, name), List.of(new AlterConfigOp(new ConfigEntry(setting, value), AlterConfigOp.OpType.SET)));
    }

    static void all(Admin admin, Map<String, AclClients.Action> actions) {
        actions.put("create topics", () -> {
            List<NewTopic> topics = List.of(new NewTopic("seen", 1, (short) 1), new NewTopic("fresh", 2, (short) 1));
            CreateTopicsResult made = admin.createTopics(topics, new CreateTopicsOptions().validateOnly(true));
            return each(made.values()) + " configs: " + AclClients.told(() -> String.valueOf(made.config("fresh").get().get("cleanup.policy").value()))
                    + " partitions: " + AclClients.told(() -> String.valueOf(made.numPartitions("fresh").get()));
        });
        actions.put("delete topics", () -> each(admin.deleteTopics(List.of("doomed", "gone")).topicNameValues()));
        actions.put("delete topics by id", () -> {
            Uuid unknown = new Uuid(7, 7);
            return AclClients.told(() -> "ok" + plain(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(unknown))).topicIdValues().get(unknown).get()));
        });
        actions.put("list topics", () -> String.valueOf(new TreeSet<>(admin.listTopics().names().get()).headSet("t").tailSet("g")));
        actions.put("describe topics", () -> each(admin.describeTopics(List.of("seen", "gone"), new DescribeTopicsOptions()
                .includeAuthorizedOperations(true)).topicNameValues()));
        actions.put("describe topics by id", () -> {
            Uuid unknown = new Uuid(7, 7);
            return AclClients.told(() -> plain(admin.describeTopics(TopicCollection.ofTopicIds(List.of(unknown))).topicIdValues().get(unknown).get()));
        });
        actions.put("create partitions", () -> each(admin.createPartitions(
                Map.of("seen", NewPartitions.increaseTo(3), "gone", NewPartitions.increaseTo(3)), new CreatePartitionsOptions().validateOnly(true)).values()));
        actions.put("delete records", () -> each(admin.deleteRecords(Map.of(SEEN, RecordsToDelete.beforeOffset(0))).lowWatermarks()));
        actions.put("list offsets of a topic", () -> String.valueOf(admin.listOffsets(Map.of(SEEN, OffsetSpec.earliest())).partitionResult(SEEN).get().offset()));
        actions.put("describe configs of topics", () -> each(admin.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.TOPIC, "seen"),
                new ConfigResource(ConfigResource.Type.TOPIC, "gone"))).values()));
        actions.put("alter configs of a topic", () -> each(admin.incrementalAlterConfigs(change(ConfigResource.Type.TOPIC, "seen", "retention.ms", "1000000000"),
                new AlterConfigsOptions().validateOnly(true)).values()));
        actions.put("describe producers", () -> Objects.toString(admin.describeProducers(List.of(SEEN)).partitionResult(SEEN).get().activeProducers().size()));
        actions.put("abort a transaction", () -> AclClients.told(() ->
                "ok" + plain(admin.abortTransaction(new AbortTransactionSpec(SEEN, 4_000_000, (short) 0, 0)).all().get())));
        actions.put("describe folders", () -> "ok " + admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().stream()
                .flatMap(d -> d.replicaInfos().keySet().stream()).filter(SEEN::equals).collect(Collectors.toSet()));
        TopicPartitionReplica replica = new TopicPartitionReplica("seen", 0, 1);
        actions.put("describe folders of a replica", () -> "ok " + (admin.describeReplicaLogDirs(List.of(replica)).values().get(replica).get()
                .getCurrentReplicaLogDir() == null));
        actions.put("move a replica", () -> each(admin.alterReplicaLogDirs(Map.of(replica, "/nowhere")).values()));
        actions.put("elect leaders", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(SEEN)).partitions().get().toString());
        actions.put("reassign partitions", () -> each(admin.alterPartitionReassignments(Map.of(SEEN, Optional.empty())).values()));
        actions.put("list reassignments", () -> admin.listPartitionReassignments(Set.of(SEEN)).reassignments().get().toString());
    }
}
