import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaAdmin;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.ConcurrentMessageListenerContainer;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.listener.MessageListener;
import org.springframework.util.backoff.FixedBackOff;

/** Spring for Apache Kafka: template, listener containers, transactions, dead letters. Ends with 0 if all went right, and tells on standard error what did not. */
public class SpringApplication {
    final String bootstrap;

    SpringApplication(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] args) throws Exception {
        SpringApplication application = new SpringApplication(args[1]);
        switch (args[0]) {
            case "listener" -> application.listener();
            case "transaction" -> application.transaction();
            case "dead letters" -> application.deadLetters();
            default -> throw new IllegalArgumentException(args[0]);
        }
        System.exit(0);
    }

    static void need(boolean good, String what) {
        if (!good) {
            System.err.println("WRONG " + what);
            System.exit(2);
        }
    }

    static void within(String what, BooleanSupplier question) throws InterruptedException {
        long deadline = System.nanoTime() + 60_000_000_000L;
        while (!question.getAsBoolean()) {
            need(System.nanoTime() < deadline, what + ": not within 60 s");
            Thread.sleep(50);
        }
    }

    void create(String... topics) {
        KafkaAdmin admin = new KafkaAdmin(Map.of("bootstrap.servers", bootstrap));
        for (String topic : topics) admin.createOrModifyTopics(new NewTopic(topic, 2, (short) 1));
        need(admin.describeTopics(topics).size() == topics.length, "KafkaAdmin describes what it created");
    }

    DefaultKafkaProducerFactory<String, String> producers(String prefix) {
        DefaultKafkaProducerFactory<String, String> made = new DefaultKafkaProducerFactory<>(Map.of("bootstrap.servers", bootstrap), new StringSerializer(), new StringSerializer());
        if (prefix != null) made.setTransactionIdPrefix(prefix);
        return made;
    }

    ConcurrentMessageListenerContainer<String, String> listen(String group, int threads, DefaultErrorHandler errors, MessageListener<String, String> listener, String... topics) {
        Map<String, Object> conf = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest", "isolation.level", "read_committed"));
        ContainerProperties properties = new ContainerProperties(topics);
        properties.setGroupId(group);
        properties.setMessageListener(listener);
        ConcurrentMessageListenerContainer<String, String> made = new ConcurrentMessageListenerContainer<>(new DefaultKafkaConsumerFactory<>(conf, new StringDeserializer(), new StringDeserializer()), properties);
        made.setConcurrency(threads);
        if (errors != null) made.setCommonErrorHandler(errors);
        made.start();
        return made;
    }

    void listener() throws Exception {
        create("spring");
        KafkaTemplate<String, String> template = new KafkaTemplate<>(producers(null));
        Set<String> seen = ConcurrentHashMap.newKeySet(), threads = ConcurrentHashMap.newKeySet();
        ConcurrentMessageListenerContainer<String, String> container = listen("spring-group", 2, null, r -> {
            seen.add(r.value());
            threads.add(Thread.currentThread().getName());
        }, "spring");
        // Else the first to join may read everything before the second is there.
        within("each thread has a partition", () -> container.getContainers().size() == 2
                && container.getContainers().stream().allMatch(one -> one.getAssignedPartitions() != null && one.getAssignedPartitions().size() == 1));
        for (int i = 0; i < 100; i++) template.send("spring", i % 2, "key", "value " + i).get();
        within("the listener gets 100 records", () -> seen.size() == 100);
        need(threads.size() == 2, "two threads share the partitions: " + threads);
        container.stop();
    }

    void transaction() throws Exception {
        create("spring-paid");
        KafkaTemplate<String, String> template = new KafkaTemplate<>(producers("spring-tx-"));
        ConcurrentLinkedQueue<String> seen = new ConcurrentLinkedQueue<>();
        template.executeInTransaction(t -> t.send("spring-paid", 0, "k", "first"));
        try {
            template.executeInTransaction(t -> {
                t.send("spring-paid", 0, "k", "never");
                throw new IllegalStateException("rolled back on purpose");
            });
        } catch (IllegalStateException e) {
            // As meant.
        }
        template.executeInTransaction(t -> t.send("spring-paid", 0, "k", "last"));
        ConcurrentMessageListenerContainer<String, String> container = listen("spring-paid-group", 1, null, r -> seen.add(r.value()), "spring-paid");
        within("the committed records come", () -> seen.size() >= 2);
        Thread.sleep(500);
        need(List.copyOf(seen).equals(List.of("first", "last")), "only committed records: " + seen);
        container.stop();
    }

    void deadLetters() throws Exception {
        create("spring-work", "spring-work-dlt");
        KafkaTemplate<String, String> template = new KafkaTemplate<>(producers(null));
        ConcurrentLinkedQueue<String> done = new ConcurrentLinkedQueue<>();
        ConcurrentLinkedQueue<ConsumerRecord<String, String>> dead = new ConcurrentLinkedQueue<>();
        DefaultErrorHandler errors = new DefaultErrorHandler(new DeadLetterPublishingRecoverer(template), new FixedBackOff(50, 2));
        ConcurrentMessageListenerContainer<String, String> container = listen("spring-work-group", 1, errors, r -> {
            if (r.value().equals("poison")) throw new IllegalStateException("fails on purpose");
            done.add(r.value());
        }, "spring-work");
        ConcurrentMessageListenerContainer<String, String> letters = listen("spring-dead-group", 1, null, dead::add, "spring-work-dlt");
        for (String value : List.of("one", "poison", "two")) template.send("spring-work", 0, "k", value).get();
        within("the good ones are done", () -> List.copyOf(done).equals(List.of("one", "two")));
        within("the bad one is a dead letter", () -> dead.size() == 1);
        need(dead.peek().value().equals("poison"), "the dead letter's value");
        need(dead.peek().headers().lastHeader("kafka_dlt-original-topic") != null, "the dead letter's headers");
        container.stop();
        letters.stop();
    }
}
