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
import org.testcontainers.kafka.ConfluentKafkaContainer;
import org.testcontainers.kafka.KafkaContainer;
import org.testcontainers.utility.DockerImageName;

/** A record through the broker of each of the module's containers, which are told that the image is as good. */
public class OneRecord {
    public static void main(String[] args) throws Exception {
        DockerImageName image = DockerImageName.parse(args[0]);
        long began = System.nanoTime();
        try (KafkaContainer kafka = new KafkaContainer(image.asCompatibleSubstituteFor("apache/kafka"))) {
            kafka.start();
            pass("KafkaContainer", kafka.getBootstrapServers(), began);
        }
        began = System.nanoTime();
        try (KafkaContainer kafka = new KafkaContainer(image.asCompatibleSubstituteFor("apache/kafka-native"))) {
            kafka.start();
            pass("KafkaContainer as kafka-native", kafka.getBootstrapServers(), began);
        }
        began = System.nanoTime();
        try (ConfluentKafkaContainer kafka =
                new ConfluentKafkaContainer(image.asCompatibleSubstituteFor("confluentinc/cp-kafka"))) {
            kafka.start();
            pass("ConfluentKafkaContainer", kafka.getBootstrapServers(), began);
        }
    }

    private static void pass(String name, String bootstrap, long began) throws Exception {
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
                    System.out.printf("ok %s in %d ms%n", name, (System.nanoTime() - began) / 1_000_000);
                    return;
                }
            }
        }
        throw new AssertionError(name + ": the record did not come");
    }
}
