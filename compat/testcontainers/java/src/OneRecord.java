import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.kafka.ConfluentKafkaContainer;
import org.testcontainers.kafka.KafkaContainer;
import org.testcontainers.utility.DockerImageName;

/** A record through the broker of each of the module's containers, which are told that the image is as good. */
public class OneRecord {
    private interface Bootstrap<C> {
        String of(C container);
    }

    private interface Make<C> {
        C with(DockerImageName image);
    }

    private static DockerImageName image;

    public static void main(String[] args) throws Exception {
        image = DockerImageName.parse(args[0]);
        one("KafkaContainer", "apache/kafka", KafkaContainer::new, KafkaContainer::getBootstrapServers);
        one("KafkaContainer as kafka-native", "apache/kafka-native", KafkaContainer::new, KafkaContainer::getBootstrapServers);
        one("ConfluentKafkaContainer", "confluentinc/cp-kafka", ConfluentKafkaContainer::new, ConfluentKafkaContainer::getBootstrapServers);
        one("the old KafkaContainer", "confluentinc/cp-kafka",
                name -> new org.testcontainers.containers.KafkaContainer(name).withKraft(),
                org.testcontainers.containers.KafkaContainer::getBootstrapServers);
    }

    private static <C extends GenericContainer<?>> void one(String name, String instead, Make<C> make, Bootstrap<C> bootstrap)
            throws Exception {
        long began = System.nanoTime();
        try (C kafka = make.with(image.asCompatibleSubstituteFor(instead))) {
            kafka.start();
            long started = System.nanoTime();
            pass(bootstrap.of(kafka));
            long ended = System.nanoTime();
            System.out.printf("ok %s in %d ms, of which the start %d%n", name, (ended - began) / 1_000_000, (started - began) / 1_000_000);
        }
    }

    private static void pass(String bootstrap) throws Exception {
        Properties producing = new Properties();
        producing.put("bootstrap.servers", bootstrap);
        Properties consuming = new Properties();
        consuming.putAll(Map.of("bootstrap.servers", bootstrap, "group.id", "g", "auto.offset.reset", "earliest"));
        try (KafkaProducer<String, String> producer =
                        new KafkaProducer<>(producing, new StringSerializer(), new StringSerializer());
                KafkaConsumer<String, String> consumer =
                        new KafkaConsumer<>(consuming, new StringDeserializer(), new StringDeserializer())) {
            producer.send(new ProducerRecord<>("t", "key", "value")).get();
            consumer.subscribe(List.of("t"));
            for (int i = 0; i < 60; i++) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    if (!record.value().equals("value")) throw new AssertionError(record.value());
                    return;
                }
            }
        }
        throw new AssertionError("the record did not come");
    }
}
