// A record through the broker of @testcontainers/kafka's container, whose image is ours.
import { KafkaContainer } from "@testcontainers/kafka";
import { Kafka, logLevel } from "kafkajs";

const began = Date.now();
const container = await new KafkaContainer(process.argv[2]).withKraft().withExposedPorts(9093).start();
try {
  const started = Date.now();
  const kafka = new Kafka({ brokers: [`${container.getHost()}:${container.getMappedPort(9093)}`], logLevel: logLevel.ERROR });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "t", messages: [{ key: "key", value: "value" }] });
  const consumer = kafka.consumer({ groupId: "g" });
  await consumer.connect();
  await consumer.subscribe({ topic: "t", fromBeginning: true });
  const value = await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("the record did not come")), 30_000).unref();
    consumer.run({ eachMessage: async ({ message }) => resolve(message.value.toString()) });
  });
  if (value !== "value") throw new Error(`${value} came`);
  console.log(`ok KafkaContainer in ${Date.now() - began} ms, of which the start ${started - began}`);
  await consumer.disconnect();
  await producer.disconnect();
} finally {
  await container.stop();
}
