// @platformatic/kafka. Its consumer is a stream: what it gives is held until the driver asks. It has no consumer without a group.

import {
  Admin, Producer, Consumer, MessagesStreamModes, MessagesStreamFallbackModes, FetchIsolationLevels, ListOffsetTimestamps,
  ConfigResourceTypes, IncrementalAlterConfigOperationTypes, COOPERATIVE_STICKY_ASSIGNOR, stringDeserializers, stringSerializers,
} from '@platformatic/kafka'
import { serve, text, Held, NotApplicable } from './adapter.mjs'

const base = { clientId: 'matrix', bootstrapBrokers: [process.argv[2]], timeout: 20000, retries: 50, retryDelay: 100 }
const admin = new Admin({ ...base, metadataMaxAge: 0 })
const producers = {}
const consumers = {}

// Kafka's code sits in one of the errors that an error of this client is made of.
function code(e) {
  if (!e) return null
  if (typeof e.apiCode === 'number' && e.apiCode !== 0) return e.apiCode
  if (typeof e.code === 'number') return e.code
  // This one it makes by itself, of the broker's.
  if (/^Unknown topic /.test(e.message)) return 3
  for (const inner of [...(e.errors ?? []), e.cause]) {
    const found = code(inner)
    if (found !== null) return found
  }
  return null
}

const entries = configs => Object.entries(configs).map(([name, value]) => ({ name, value }))

await serve({
  async metadata() {
    const { brokers } = await admin.metadata({ topics: [], forceUpdate: true })
    return { brokers: [...brokers].map(([id, b]) => [id, b.host, b.port]), topics: await admin.listTopics() }
  },
  async create_topic({ topic, partitions, configs }) {
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: entries(configs) })
  },
  async describe_topic({ topic }) {
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true, autocreateTopics: false })
    return { partitions: topics.get(topic).partitions.map((p, i) => [i, p.leader, p.replicas, p.isr]) }
  },
  async delete_topic({ topic }) {
    await admin.deleteTopics({ topics: [topic] })
  },
  async describe_config({ topic }) {
    const [got] = await admin.describeConfigs({ resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: null }] })
    return { configs: Object.fromEntries(got.configs.map(c => [c.name, c.value])) }
  },
  async alter_config({ topic, configs }) {
    const set = entries(configs).map(c => ({ ...c, configOperation: IncrementalAlterConfigOperationTypes.SET }))
    await admin.incrementalAlterConfigs({ resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs: set }] })
  },
  async create_partitions({ topic, count }) {
    await admin.createPartitions({ topics: [{ name: topic, count, assignments: null }] })
  },
  async list_groups() {
    return { groups: [...(await admin.listGroups()).keys()] }
  },
  async describe_group({ group }) {
    const got = (await admin.describeGroups({ groups: [group] })).get(group)
    return { state: got.state[0] + got.state.slice(1).toLowerCase(), members: got.members.size }
  },
  async delete_group({ group }) {
    await admin.deleteGroups({ groups: [group] })
  },
  async group_offsets({ group, topic }) {
    const [got] = await admin.listConsumerGroupOffsets({ groups: [group] })
    const rows = got.topics.find(t => t.name === topic)?.partitions ?? []
    return { offsets: rows.map(p => [p.partitionIndex, Number(p.committedOffset)]).sort((a, b) => a[0] - b[0]) }
  },
  async alter_group_offsets({ group, topic, offsets }) {
    const partitionOffsets = offsets.map(([partition, offset]) => ({ partition, offset: BigInt(offset) }))
    await admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets }] })
  },
  async offset({ topic, partition, at }) {
    const timestamp = at === 'earliest' ? ListOffsetTimestamps.EARLIEST : at === 'latest' ? ListOffsetTimestamps.LATEST : BigInt(at)
    const [got] = await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }] })
    return { offset: Number(got.partitions[0].offset) }
  },

  async open_producer({ producer, codec, idempotent, transactional, timeout_ms }) {
    const made = new Producer({
      ...base,
      serializers: stringSerializers,
      compression: codec ?? 'none',
      idempotent: idempotent || !!transactional || undefined,
      transactionalId: transactional,
      autocreateTopics: false,
      ...(timeout_ms ? { timeout: timeout_ms, retries: 2 } : {}),
    })
    producers[producer] = { made, at: made }
  },
  async send({ producer, topic, records }) {
    const messages = records.map(r => ({
      topic,
      key: r.key ?? undefined,
      value: r.value ?? undefined,
      partition: r.partition,
      // A map, so that a name can come only once.
      headers: new Map(r.headers),
      timestamp: r.timestamp === null ? undefined : BigInt(r.timestamp),
    }))
    if (records.some(r => new Set(r.headers.map(h => h[0])).size < r.headers.length)) throw new NotApplicable('the client cannot send two headers of one name')
    const { offsets } = await producers[producer].at.send({ messages, acks: -1 })
    const next = Object.fromEntries(offsets.map(o => [o.partition, Number(o.offset)]))
    return { offsets: records.map(r => [r.partition, next[r.partition]++]) }
  },
  async close_producer({ producer }) {
    await producers[producer].made.close()
    delete producers[producer]
  },
  async begin({ producer }) {
    producers[producer].at = await producers[producer].made.beginTransaction()
  },
  async end({ producer, commit }) {
    const { at, made } = producers[producer]
    producers[producer].at = made
    await (commit ? at.commit() : at.abort())
  },
  async send_offsets({ producer, consumer, offsets }) {
    const { at } = producers[producer]
    await at.addConsumer(consumers[consumer].client)
    // It takes the message after which the group shall go on.
    for (const [, partition, offset] of offsets) await at.addOffset(consumers[consumer].seen.get(`${partition} ${offset - 1}`))
  },

  async open_consumer({ consumer, group, topics, protocol, instance, assign, isolation }) {
    const held = new Held()
    held.seen = new Map()
    held.client = new Consumer({
      ...base,
      groupId: group ?? `no-group-${consumer}`,
      groupInstanceId: instance,
      ...(protocol === 'consumer' ? { groupProtocol: 'consumer' } : { sessionTimeout: 10000, rebalanceTimeout: 20000, heartbeatInterval: 300 }),
      ...(protocol === 'cooperative' ? { protocols: [{ name: COOPERATIVE_STICKY_ASSIGNOR, version: 1 }] } : {}),
      deserializers: stringDeserializers,
      autocommit: false,
      isolationLevel: isolation === 'read_committed' ? FetchIsolationLevels.READ_COMMITTED : FetchIsolationLevels.READ_UNCOMMITTED,
      maxWaitTime: 50,
    })
    consumers[consumer] = held
    const joining = held.client.consume({
      topics: assign ? [...new Set(assign.map(a => a[0]))] : topics,
      mode: assign ? MessagesStreamModes.EARLIEST : MessagesStreamModes.COMMITTED,
      fallbackMode: MessagesStreamFallbackModes.EARLIEST,
    })
    // Joining waits for the other members, which the driver polls meanwhile.
    held.joined = joining.then(stream => {
      held.stream = stream
      stream.on('error', e => { held.failed = e })
      stream.on('data', m => {
        held.seen.set(`${m.partition} ${m.offset}`, m)
        const headers = [...m.headers].map(([k, v]) => [k, text(v)])
        held.records.push({ topic: m.topic, partition: m.partition, offset: Number(m.offset), key: m.key ?? null, value: m.value ?? null, headers, timestamp: Number(m.timestamp) })
      })
    }, e => { held.failed = e })
  },
  async poll({ consumer, ms }) {
    const held = consumers[consumer]
    const got = await held.drain(ms)
    return { ...got, assignment: (held.client.assignments ?? []).flatMap(a => a.partitions.map(p => [a.topic, p])) }
  },
  async commit({ consumer, offsets }) {
    await consumers[consumer].client.commit({ offsets: offsets.map(([topic, partition, offset]) => ({ topic, partition, offset: BigInt(offset), leaderEpoch: -1 })) })
  },
  async close_consumer({ consumer }) {
    const held = consumers[consumer]
    delete consumers[consumer]
    await held.joined
    await held.client.close(true)
  },
}, code)
