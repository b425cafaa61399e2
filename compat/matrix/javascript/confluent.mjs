// @confluentinc/kafka-javascript (librdkafka), by its API that follows kafkajs'. It polls by itself: what it gives is held until the
// driver asks.

import confluent from '@confluentinc/kafka-javascript'
import { serve, text, Coded, Held, NotApplicable } from './adapter.mjs'

const { Kafka, ErrorCodes, logLevel } = confluent.KafkaJS
const kafka = new Kafka({ kafkaJS: { brokers: [process.argv[2]], logLevel: logLevel.ERROR } })
const admin = kafka.admin()
await admin.connect()
const producers = {}
const consumers = {}

const code = e => (typeof e?.code === 'number' ? e.code : (e?.errors ?? []).map(code).find(c => c !== null) ?? null)
const without = what => async () => {
  throw new NotApplicable(`the client has no call to ${what}`)
}

await serve({
  metadata: without('list the brokers'),
  async create_topic({ topic, partitions, configs }) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    // It tells by `false` that the topic is there, and by an exception everything else.
    if (!(await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }] }))) {
      throw new Coded('the topic exists', ErrorCodes.ERR_TOPIC_ALREADY_EXISTS)
    }
  },
  async describe_topic({ topic }) {
    const got = await admin.fetchTopicMetadata({ topics: [topic] })
    const [found] = got.topics ?? got
    return { partitions: found.partitions.map(p => [p.partitionId, p.leader, p.replicas, p.isr]) }
  },
  async delete_topic({ topic }) {
    await admin.deleteTopics({ topics: [topic] })
  },
  describe_config: without('describe configs'),
  alter_config: without('alter configs'),
  create_partitions: without('create partitions'),
  async list_groups() {
    return { groups: (await admin.listGroups()).groups.map(g => g.groupId) }
  },
  async describe_group({ group }) {
    const { groups } = await admin.describeGroups([group])
    const states = Object.fromEntries(Object.entries(confluent.KafkaJS.ConsumerGroupStates).map(([k, v]) => [v, k]))
    const state = states[groups[0].state]
    return { state: state[0] + state.slice(1).toLowerCase(), members: groups[0].members.length }
  },
  async delete_group({ group }) {
    await admin.deleteGroups([group])
  },
  async group_offsets({ group, topic }) {
    const [got] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    return { offsets: (got?.partitions ?? []).map(p => [p.partition, Number(p.offset)]).filter(p => p[1] >= 0).sort((a, b) => a[0] - b[0]) }
  },
  alter_group_offsets: without("set a group's offsets"),
  async offset({ topic, partition, at }) {
    const of = rows => rows.find(r => r.partition === partition)
    if (typeof at === 'number') return { offset: Number(of(await admin.fetchTopicOffsetsByTimestamp(topic, at)).offset) }
    const found = of(await admin.fetchTopicOffsets(topic))
    return { offset: Number(at === 'earliest' ? found.low : found.high) }
  },

  async open_producer({ producer, codec, idempotent, transactional, max_bytes, timeout_ms }) {
    const conf = { 'compression.codec': codec ?? 'none', 'enable.idempotence': !!(idempotent || transactional), 'linger.ms': 5 }
    if (transactional) conf['transactional.id'] = transactional
    if (timeout_ms) conf['message.timeout.ms'] = timeout_ms
    if (max_bytes) conf['message.max.bytes'] = conf['batch.size'] = max_bytes
    const made = kafka.producer(conf)
    await made.connect()
    producers[producer] = { made, at: made }
  },
  async send({ producer, topic, records }) {
    const messages = records.map(r => {
      const headers = {}
      for (const [k, v] of r.headers) headers[k] = k in headers ? [headers[k], v].flat() : v
      return { key: r.key, value: r.value, partition: r.partition, headers, timestamp: r.timestamp === null ? undefined : String(r.timestamp) }
    })
    const done = await producers[producer].at.send({ topic, messages })
    const next = {}
    for (const d of done) next[d.partition] = Math.min(next[d.partition] ?? Infinity, Number(d.baseOffset))
    return { offsets: records.map(r => [r.partition, next[r.partition]++]) }
  },
  async close_producer({ producer }) {
    await producers[producer].made.disconnect()
    delete producers[producer]
  },
  async begin({ producer }) {
    producers[producer].at = await producers[producer].made.transaction()
  },
  async end({ producer, commit }) {
    await (commit ? producers[producer].at.commit() : producers[producer].at.abort())
    producers[producer].at = producers[producer].made
  },
  async send_offsets({ producer, consumer, offsets }) {
    const topics = offsets.map(([topic, partition, offset]) => ({ topic, partitions: [{ partition, offset: String(offset) }] }))
    await producers[producer].at.sendOffsets({ consumer: consumers[consumer].client, topics })
  },

  async open_consumer({ consumer, group, topics, protocol, instance, assign, isolation }) {
    const held = new Held()
    const conf = {
      'group.id': group ?? `no-group-${consumer}`,
      'auto.offset.reset': 'earliest',
      'enable.auto.commit': false,
      'isolation.level': isolation ?? 'read_uncommitted',
      'fetch.wait.max.ms': 50,
    }
    if (protocol === 'consumer') conf['group.protocol'] = 'consumer'
    else Object.assign(conf, { 'session.timeout.ms': 10000, 'heartbeat.interval.ms': 300, 'partition.assignment.strategy': protocol === 'cooperative' ? 'cooperative-sticky' : 'range' })
    if (instance) conf['group.instance.id'] = instance
    held.client = kafka.consumer(conf)
    await held.client.connect()
    await held.client.subscribe({ topics: assign ? [...new Set(assign.map(a => a[0]))] : topics })
    await held.client.run({
      eachMessage: async ({ topic, partition, message: m }) => {
        const headers = Object.entries(m.headers ?? {}).flatMap(([k, v]) => [v].flat().map(one => [k, text(one)]))
        held.records.push({ topic, partition, offset: Number(m.offset), key: text(m.key), value: text(m.value), headers, timestamp: Number(m.timestamp) })
      },
    })
    consumers[consumer] = held
  },
  async poll({ consumer, ms }) {
    const held = consumers[consumer]
    const got = await held.drain(ms)
    return { ...got, assignment: held.client.assignment().map(a => [a.topic, a.partition]) }
  },
  async commit({ consumer, offsets }) {
    await consumers[consumer].client.commitOffsets(offsets.map(([topic, partition, offset]) => ({ topic, partition, offset: String(offset) })))
  },
  async close_consumer({ consumer }) {
    await consumers[consumer].client.disconnect()
    delete consumers[consumer]
  },
}, code)
