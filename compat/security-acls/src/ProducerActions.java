import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** What producers do. Each step of a transaction is told of, as a producer meets most refusals a step after they happened. */
final class ProducerActions {
    private static final long PATIENCE_S = 10;

    private ProducerActions() {}

    private interface Step {
        void run() throws Exception;
    }

    private static String step(String name, Step step) {
        return name + ": " + AclClients.told(() -> {
            step.run();
            return "ok";
        }) + "; ";
    }

    private static void send(KafkaProducer<String, String> producer, String topic) throws Exception {
        producer.send(new ProducerRecord<>(topic, 0, null, "walk")).get(PATIENCE_S, TimeUnit.SECONDS);
    }

    private static KafkaProducer<String, String> producer(Map<String, Object> login, Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(login);
        config.putAll(Map.of("max.block.ms", "6000", "delivery.timeout.ms", "6000", "request.timeout.ms", "5000", "linger.ms", "0"));
        config.putAll(more);
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    @SuppressWarnings({"deprecation", "removal"})
    static void all(Map<String, Object> login, Map<String, AclClients.Action> actions) {
        for (boolean idempotent : new boolean[] {false, true}) {
            actions.put(idempotent ? "produce, idempotent" : "produce", () -> {
                try (KafkaProducer<String, String> producer = producer(login, Map.of("enable.idempotence", String.valueOf(idempotent)))) {
                    return step("seen", () -> send(producer, "written")) + step("again", () -> send(producer, "written"));
                }
            });
        }
        actions.put("look up partitions to write to", () -> {
            try (KafkaProducer<String, String> producer = producer(login, Map.of())) {
                return "ok " + producer.partitionsFor("written").size();
            }
        });
        Map<String, Object> transactional = Map.of("transactional.id", "java-txn", "transaction.timeout.ms", "10000");
        actions.put("a transaction", () -> {
            try (KafkaProducer<String, String> producer = producer(login, transactional)) {
                return step("init", producer::initTransactions) + step("begin", producer::beginTransaction)
                        + step("send", () -> send(producer, "written")) + step("commit", producer::commitTransaction)
                        + step("abort", producer::abortTransaction);
            }
        });
        actions.put("a transaction with offsets", () -> {
            try (KafkaProducer<String, String> producer = producer(login, transactional)) {
                return step("init", producer::initTransactions) + step("begin", producer::beginTransaction)
                        + step("offsets", () -> producer.sendOffsetsToTransaction(Map.of(TopicActions.SEEN, new OffsetAndMetadata(1)),
                                new ConsumerGroupMetadata("txn-g")))
                        + step("commit", producer::commitTransaction) + step("abort", producer::abortTransaction);
            }
        });
    }
}
