// kafkajs. It polls by itself: what it gives is held until the driver asks. It has no consumer without a group.

import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import lz4 from 'lz4-napi'
import * as zstd from '@bokuweb/zstd-wasm'
import { serve, text, Coded, Held, NotApplicable } from './adapter.mjs'

const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, Partitioners, logLevel } = kafkajs
await zstd.init()
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async e => lz4.compressFrame(e.buffer),
  decompress: async b => lz4.decompressFrame(b),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async e => Buffer.from(zstd.compress(e.buffer)),
  decompress: async b => Buffer.from(zstd.decompress(b)),
})
const TYPES = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD }

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.ERROR, retry: { initialRetryTime: 50, retries: 8 } })
const admin = kafka.admin()
await admin.connect()
const producers = {}
const consumers = {}

// An error of kafkajs wraps the broker's, at various depths.
function code(e) {
  for (let at = e; at; at = at.cause ?? at.originalError ?? at.errors?.[0]) if (typeof at.code === 'number') return at.code
  return null
}

const entries = configs => Object.entries(configs).map(([name, value]) => ({ name, value }))

await serve({
  async metadata() {
    const { brokers } = await admin.describeCluster()
    return { brokers: brokers.map(b => [b.nodeId, b.host, b.port]), topics: await admin.listTopics() }
  },
  async create_topic({ topic, partitions, configs }) {
    const made = await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries: entries(configs) }] })
    // It tells by `false` that the topic is there, and by an exception everything else.
    if (!made) throw new Coded('the topic exists', 36)
  },
  async describe_topic({ topic }) {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return { partitions: topics[0].partitions.map(p => [p.partitionId, p.leader, p.replicas, p.isr]) }
  },
  async delete_topic({ topic }) {
    await admin.deleteTopics({ topics: [topic] })
  },
  async describe_config({ topic }) {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }] })
    return { configs: Object.fromEntries(resources[0].configEntries.map(e => [e.configName, e.configValue])) }
  },
  async alter_config({ topic, configs }) {
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: entries(configs) }] })
  },
  async create_partitions({ topic, count }) {
    await admin.createPartitions({ topicPartitions: [{ topic, count }] })
  },
  async list_groups() {
    return { groups: (await admin.listGroups()).groups.map(g => g.groupId) }
  },
  async describe_group({ group }) {
    const { groups } = await admin.describeGroups([group])
    return { state: groups[0].state, members: groups[0].members.length }
  },
  async delete_group({ group }) {
    await admin.deleteGroups([group])
  },
  async group_offsets({ group, topic }) {
    const [got] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    return { offsets: got.partitions.map(p => [p.partition, Number(p.offset)]).sort((a, b) => a[0] - b[0]) }
  },
  async alter_group_offsets({ group, topic, offsets }) {
    await admin.setOffsets({ groupId: group, topic, partitions: offsets.map(([partition, offset]) => ({ partition, offset: String(offset) })) })
  },
  async offset({ topic, partition, at }) {
    const of = rows => rows.find(r => r.partition === partition)
    if (typeof at === 'number') return { offset: Number(of(await admin.fetchTopicOffsetsByTimestamp(topic, at)).offset) }
    const found = of(await admin.fetchTopicOffsets(topic))
    return { offset: Number(at === 'earliest' ? found.low : found.high) }
  },

  async open_producer({ producer, codec, idempotent, transactional, timeout_ms }) {
    const made = kafka.producer({
      idempotent: idempotent || !!transactional,
      transactionalId: transactional,
      maxInFlightRequests: idempotent || transactional ? 1 : undefined,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry: timeout_ms ? { retries: 3 } : undefined,
    })
    await made.connect()
    producers[producer] = { made, codec: TYPES[codec ?? 'none'], at: made }
  },
  async send({ producer, topic, records }) {
    const { at, codec } = producers[producer]
    const messages = records.map(r => {
      const headers = {}
      for (const [k, v] of r.headers) headers[k] = k in headers ? [headers[k], v].flat() : v
      return { key: r.key, value: r.value, partition: r.partition, headers, timestamp: r.timestamp === null ? undefined : String(r.timestamp) }
    })
    const next = Object.fromEntries((await at.send({ topic, messages, acks: -1, compression: codec })).map(d => [d.partition, Number(d.baseOffset)]))
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
  async send_offsets({ producer, group, offsets }) {
    const topics = offsets.map(([topic, partition, offset]) => ({ topic, partitions: [{ partition, offset: String(offset) }] }))
    await producers[producer].at.sendOffsets({ consumerGroupId: group, topics })
  },

  async open_consumer({ consumer, group, topics, protocol, instance, assign, isolation }) {
    if (protocol === 'cooperative') throw new NotApplicable('the client has no cooperative rebalancing')
    if (protocol === 'consumer') throw new NotApplicable('the client has no KIP-848 consumer protocol')
    if (instance) throw new NotApplicable('the client has no static membership')
    const held = new Held()
    held.client = kafka.consumer({
      groupId: group ?? `no-group-${consumer}`,
      readUncommitted: isolation !== 'read_committed',
      sessionTimeout: 10000,
      heartbeatInterval: 300,
      maxWaitTimeInMs: 50,
    })
    held.client.on('consumer.group_join', ({ payload }) => {
      held.owned = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) => partitions.map(p => [topic, p]))
    })
    await held.client.connect()
    await held.client.subscribe({ topics: assign ? [...new Set(assign.map(a => a[0]))] : topics, fromBeginning: true })
    await held.client.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message: m }) => {
        const headers = Object.entries(m.headers ?? {}).flatMap(([k, v]) => [v].flat().map(one => [k, text(one)]))
        held.records.push({ topic, partition, offset: Number(m.offset), key: text(m.key), value: text(m.value), headers, timestamp: Number(m.timestamp) })
      },
    })
    consumers[consumer] = held
  },
  poll: ({ consumer, ms }) => consumers[consumer].drain(ms),
  async commit({ consumer, offsets }) {
    await consumers[consumer].client.commitOffsets(offsets.map(([topic, partition, offset]) => ({ topic, partition, offset: String(offset) })))
  },
  async close_consumer({ consumer }) {
    await consumers[consumer].client.disconnect()
    delete consumers[consumer]
  },
}, code)
