// kafkajs: what the standard input asks for, a JSON object a line, answered by one a line. See ../README.md.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import kafkajs from 'kafkajs';

const PATIENCE = 20_000;
const { Kafka, logLevel } = kafkajs;

function client(ask) {
  const config = {
    clientId: 'compat',
    brokers: [ask.address],
    logLevel: logLevel.NOTHING,
    retry: { retries: 3, initialRetryTime: 50 },
  };
  if (ask.protocol.includes('SSL')) {
    config.ssl = { ca: [readFileSync(ask.ca)] };
    if (ask.certificate) {
      config.ssl.cert = readFileSync(ask.certificate);
      config.ssl.key = readFileSync(ask.key);
    }
  }
  if (ask.mechanism === 'OAUTHBEARER') {
    config.sasl = { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: ask.token }) };
  } else if (ask.mechanism) {
    config.sasl = { mechanism: ask.mechanism.toLowerCase(), username: ask.username, password: ask.password };
  }
  return new Kafka(config);
}

async function carry(ask) {
  const kafka = client(ask);
  const producer = kafka.producer();
  const messages = Array.from({ length: ask.records }, (_, i) => ({ value: `${ask.topic}-${i}`, partition: 0 }));
  try {
    await producer.connect();
    await producer.send({ topic: ask.topic, messages });
  } finally {
    await producer.disconnect();
  }
  const consumer = kafka.consumer({ groupId: ask.topic, maxWaitTimeInMs: 100 });
  const records = [];
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [ask.topic], fromBeginning: true });
    await new Promise((resolve, reject) => {
      const late = setTimeout(resolve, PATIENCE);
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      const eachMessage = async ({ message }) => {
        records.push(message.value.toString());
        if (records.length >= ask.records) {
          clearTimeout(late);
          resolve();
        }
      };
      consumer.run({ autoCommit: false, eachMessage }).catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return { records };
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await carry(JSON.parse(line));
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
