import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.*;
import org.apache.kafka.coordinator.group.assignor.*;
import org.apache.kafka.coordinator.group.modern.*;

/**
 * Prints a fingerprint of what Kafka's assignors make of generated groups. `src/group/machine/assign/tests/golden.rs` has
 * the list and generates the same groups; with an argument, the assignments too.
 */
public class AssignorGolden {
    static long state;

    static long random() {
        state += 0x9E3779B97F4A7C15L;
        long z = state;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    static int below(int n) {
        return (int) ((random() >>> 1) % n);
    }

    static long fingerprint(String text) {
        long hash = 0xcbf29ce484222325L;
        for (byte b : text.getBytes(java.nio.charset.StandardCharsets.UTF_8)) {
            hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
        }
        return hash;
    }

    public static void main(String[] args) {
        for (String kind : List.of("range", "alike", "different")) {
            for (int seed = 0; seed < 64; seed++) {
                System.out.printf("%s %d 0x%016x%n", kind, seed, one(kind, seed, args.length > 0));
            }
        }
    }

    static long one(String kind, int seed, boolean verbose) {
        state = seed;
        int topicCount = 1 + below(12);
        List<Uuid> topics = new ArrayList<>();
        List<Integer> partitions = new ArrayList<>();
        for (int t = 0; t < topicCount; t++) {
            partitions.add(1 + below(20));
            // Small ids are in order in Java's hash sets.
            topics.add(kind.equals("alike") ? new Uuid(0, t + 1) : new Uuid(random(), random()));
        }
        int memberCount = 2 + below(15);
        List<String> members = new ArrayList<>();
        List<Optional<String>> instances = new ArrayList<>();
        List<Set<Uuid>> subscriptions = new ArrayList<>();
        for (int m = 0; m < memberCount; m++) {
            members.add(String.format("m%02d", m));
            instances.add(below(3) == 0 ? Optional.of("i" + (below(1000) * 100 + m)) : Optional.empty());
            Set<Uuid> subscription = new LinkedHashSet<>();
            for (int t = 0; t < topicCount; t++) {
                boolean all = kind.equals("alike") || m == 0 || m == 1 && t > 0;
                if (below(3) != 0 && m > 1 || all) {
                    subscription.add(topics.get(t));
                }
            }
            subscriptions.add(subscription);
        }
        List<Map<Uuid, Set<Integer>>> current = new ArrayList<>();
        for (int m = 0; m < memberCount; m++) current.add(new TreeMap<>());
        Map<Uuid, Map<Integer, String>> inverted = new HashMap<>();
        for (int t = 0; t < topicCount; t++) {
            for (int p = 0; p < partitions.get(t); p++) {
                if (below(4) == 0) continue;
                int owner = below(1 + below(memberCount));
                current.get(owner).computeIfAbsent(topics.get(t), k -> new TreeSet<>()).add(p);
                inverted.computeIfAbsent(topics.get(t), k -> new HashMap<>()).put(p, members.get(owner));
            }
        }
        Map<String, MemberSubscriptionAndAssignmentImpl> specs = new LinkedHashMap<>();
        for (int m = 0; m < memberCount; m++) {
            specs.put(members.get(m), new MemberSubscriptionAndAssignmentImpl(Optional.empty(), instances.get(m),
                subscriptions.get(m), new Assignment(Collections.unmodifiableMap(current.get(m)))));
        }
        GroupSpec spec = new GroupSpecImpl(specs,
            kind.equals("alike") ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS, inverted);
        SubscribedTopicDescriber describer = new SubscribedTopicDescriber() {
            public int numPartitions(Uuid id) {
                int t = topics.indexOf(id);
                return t < 0 ? -1 : partitions.get(t);
            }
            public Set<String> racksForPartition(Uuid id, int partition) {
                return Set.of();
            }
            public Set<Integer> assignablePartitions(Uuid id) {
                return Set.of();
            }
        };
        ConsumerGroupPartitionAssignor assignor = kind.equals("range") ? new RangeAssignor() : new UniformAssignor();
        GroupAssignment result = assignor.assign(spec, describer);
        StringBuilder text = new StringBuilder();
        for (int m = 0; m < memberCount; m++) {
            MemberAssignment assignment = result.members().get(members.get(m));
            for (int t = 0; t < topicCount; t++) {
                Set<Integer> of = assignment.partitions().getOrDefault(topics.get(t), Set.of());
                for (int p : new TreeSet<>(of)) {
                    text.append(m).append(':').append(t).append(':').append(p).append(';');
                }
            }
        }
        if (verbose) System.out.println(text);
        return fingerprint(text.toString());
    }
}
