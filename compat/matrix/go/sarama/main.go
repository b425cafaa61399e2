// Sarama: IBM/sarama.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"klamm/compat/matrix/adapter"
)

type client struct {
	brokers   []string
	admin     sarama.ClusterAdmin
	producers map[string]sarama.SyncProducer
	consumers map[string]*held
}

// held is a consumer that pushes, and what it pushed until the driver asks.
type held struct {
	mu      sync.Mutex
	records []adapter.Record
	owned   map[[2]any]bool
	session sarama.ConsumerGroupSession
	group   string
	close   func()
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Metadata.Retry.Backoff = 50 * time.Millisecond
	c.Consumer.MaxWaitTime = 50 * time.Millisecond
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewManualPartitioner
	return c
}

var codecs = map[string]sarama.CompressionCodec{"gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}

func (s *client) run(c adapter.Command) (adapter.Map, error) {
	switch c.Do {
	case "metadata":
		brokers, _, err := s.admin.DescribeCluster()
		if err != nil {
			return nil, err
		}
		out := [][]any{}
		for _, b := range brokers {
			host, text, err := net.SplitHostPort(b.Addr())
			if err != nil {
				return nil, err
			}
			port, err := strconv.Atoi(text)
			if err != nil {
				return nil, err
			}
			out = append(out, []any{b.ID(), host, port})
		}
		topics, err := s.admin.ListTopics()
		names := []string{}
		for name := range topics {
			names = append(names, name)
		}
		return adapter.Map{"brokers": out, "topics": names}, err
	case "create_topic":
		configs := map[string]*string{}
		for k, v := range c.Configs {
			configs[k] = &v
		}
		return nil, s.admin.CreateTopic(c.Topic, &sarama.TopicDetail{NumPartitions: c.Partitions, ReplicationFactor: 1, ConfigEntries: configs}, false)
	case "describe_topic":
		got, err := s.admin.DescribeTopics([]string{c.Topic})
		if err != nil {
			return nil, err
		}
		if got[0].Err != sarama.ErrNoError {
			return nil, got[0].Err
		}
		out := [][]any{}
		for _, p := range got[0].Partitions {
			out = append(out, []any{p.ID, p.Leader, p.Replicas, p.Isr})
		}
		return adapter.Map{"partitions": out}, nil
	case "delete_topic":
		return nil, s.admin.DeleteTopic(c.Topic)
	case "describe_config":
		got, err := s.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: c.Topic})
		out := map[string]string{}
		for _, e := range got {
			out[e.Name] = e.Value
		}
		return adapter.Map{"configs": out}, err
	case "alter_config":
		entries := map[string]sarama.IncrementalAlterConfigsEntry{}
		for k, v := range c.Configs {
			entries[k] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &v}
		}
		return nil, s.admin.IncrementalAlterConfig(sarama.TopicResource, c.Topic, entries, false)
	case "create_partitions":
		return nil, s.admin.CreatePartitions(c.Topic, int32(c.Count), nil, false)
	case "list_groups":
		got, err := s.admin.ListConsumerGroups()
		names := []string{}
		for name := range got {
			names = append(names, name)
		}
		return adapter.Map{"groups": names}, err
	case "describe_group":
		got, err := s.admin.DescribeConsumerGroups([]string{c.Group})
		if err != nil {
			return nil, err
		}
		return adapter.Map{"state": got[0].State, "members": len(got[0].Members)}, nil
	case "delete_group":
		return nil, s.admin.DeleteConsumerGroup(c.Group)
	case "group_offsets":
		got, err := s.admin.ListConsumerGroupOffsets(c.Group, nil)
		if err != nil {
			return nil, err
		}
		out := [][]int64{}
		for p, block := range got.Blocks[c.Topic] {
			out = append(out, []int64{int64(p), block.Offset})
		}
		sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
		return adapter.Map{"offsets": out}, nil
	case "alter_group_offsets":
		wanted := map[string]map[int32]sarama.OffsetAndMetadata{c.Topic: {}}
		for _, p := range c.Positions() {
			wanted[c.Topic][p.Partition] = sarama.OffsetAndMetadata{Offset: p.Offset, LeaderEpoch: -1}
		}
		got, err := s.admin.AlterConsumerGroupOffsets(c.Group, wanted, nil)
		if err != nil {
			return nil, err
		}
		for _, partitions := range got.Errors {
			for _, e := range partitions {
				if e != sarama.ErrNoError {
					return nil, e
				}
			}
		}
		return nil, nil
	case "offset":
		at, name := c.Millis()
		switch name {
		case "earliest":
			at = sarama.OffsetOldest
		case "latest":
			at = sarama.OffsetNewest
		}
		got, err := s.admin.ListOffsets(map[string]map[int32]int64{c.Topic: {c.Partition: at}}, nil)
		if err != nil {
			return nil, err
		}
		found := got[c.Topic][c.Partition]
		if found.Err != nil && !errors.Is(found.Err, sarama.ErrNoError) {
			return nil, found.Err
		}
		return adapter.Map{"offset": found.Offset}, nil
	case "open_producer":
		return nil, s.openProducer(c)
	case "send":
		return s.send(c)
	case "close_producer":
		return nil, s.producers[c.Producer].Close()
	case "begin":
		return nil, s.producers[c.Producer].BeginTxn()
	case "end":
		if c.Commit {
			return nil, s.producers[c.Producer].CommitTxn()
		}
		return nil, s.producers[c.Producer].AbortTxn()
	case "send_offsets":
		offsets := map[string][]*sarama.PartitionOffsetMetadata{}
		for _, p := range c.Positions() {
			offsets[p.Topic] = append(offsets[p.Topic], &sarama.PartitionOffsetMetadata{Partition: p.Partition, Offset: p.Offset})
		}
		h := s.consumers[c.Consumer]
		h.mu.Lock()
		session := h.session
		h.mu.Unlock()
		metadata := sarama.NewConsumerGroupMetadataFromSession(session, c.Group, nil)
		return nil, s.producers[c.Producer].AddOffsetsToTxnWithGroupMetadata(offsets, metadata)
	case "open_consumer":
		if c.Assign != nil {
			return nil, s.openPartitions(c)
		}
		return nil, s.openGroup(c)
	case "poll":
		return s.consumers[c.Consumer].poll(c.Ms), nil
	case "commit":
		h := s.consumers[c.Consumer]
		h.mu.Lock()
		session := h.session
		h.mu.Unlock()
		for _, p := range c.Positions() {
			session.MarkOffset(p.Topic, p.Partition, p.Offset, "")
		}
		session.Commit()
		return nil, nil
	case "close_consumer":
		s.consumers[c.Consumer].close()
		return nil, nil
	}
	return nil, errors.New("no such command: " + c.Do)
}

func (s *client) openProducer(c adapter.Command) error {
	conf := config()
	conf.Producer.Compression = codecs[c.Codec]
	conf.Producer.Flush.Frequency = 5 * time.Millisecond
	if c.Idempotent || c.Transactional != "" {
		conf.Producer.Idempotent = true
		conf.Net.MaxOpenRequests = 1
	}
	if c.Transactional != "" {
		conf.Producer.Transaction.ID = c.Transactional
	}
	if c.MaxBytes > 0 {
		conf.Producer.MaxMessageBytes = int(c.MaxBytes)
	}
	made, err := sarama.NewSyncProducer(s.brokers, conf)
	s.producers[c.Producer] = made
	return err
}

func (s *client) send(c adapter.Command) (adapter.Map, error) {
	var messages []*sarama.ProducerMessage
	for _, r := range c.Records {
		m := &sarama.ProducerMessage{Topic: c.Topic, Partition: r.Partition}
		if r.Key != nil {
			m.Key = sarama.StringEncoder(*r.Key)
		}
		if r.Value != nil {
			m.Value = sarama.StringEncoder(*r.Value)
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(*h[0]), Value: adapter.Bytes(h[1])})
		}
		if r.Timestamp != nil {
			m.Timestamp = time.UnixMilli(*r.Timestamp)
		}
		messages = append(messages, m)
	}
	if err := s.producers[c.Producer].SendMessages(messages); err != nil {
		var many sarama.ProducerErrors
		if errors.As(err, &many) {
			return nil, many[0].Err
		}
		return nil, err
	}
	out := [][2]int64{}
	for _, m := range messages {
		out = append(out, [2]int64{int64(m.Partition), m.Offset})
	}
	return adapter.Map{"offsets": out}, nil
}

func (s *client) consumerConfig(c adapter.Command) *sarama.Config {
	conf := config()
	if c.Isolation == "read_committed" {
		conf.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	conf.Consumer.Group.Session.Timeout = 10 * time.Second
	conf.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	if c.Protocol == "cooperative" {
		conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	}
	conf.Consumer.Group.InstanceId = c.Instance
	return conf
}

func (h *held) take(m *sarama.ConsumerMessage) {
	at := m.Timestamp.UnixMilli()
	headers := [][2]*string{}
	for _, x := range m.Headers {
		key, value := string(x.Key), string(x.Value)
		headers = append(headers, [2]*string{&key, &value})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, adapter.Record{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: adapter.Text(m.Key),
		Value: adapter.Text(m.Value), Headers: headers, Timestamp: &at})
}

func (h *held) poll(ms int64) adapter.Map {
	deadline := time.Now().Add(time.Duration(ms) * time.Millisecond)
	for {
		h.mu.Lock()
		if len(h.records) > 0 || time.Now().After(deadline) {
			records := append([]adapter.Record{}, h.records...)
			h.records = nil
			owned := [][2]any{}
			for which := range h.owned {
				owned = append(owned, which)
			}
			h.mu.Unlock()
			return adapter.Map{"records": records, "assignment": owned}
		}
		h.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *client) openPartitions(c adapter.Command) error {
	consumer, err := sarama.NewConsumer(s.brokers, s.consumerConfig(c))
	if err != nil {
		return err
	}
	h := &held{}
	var parts []sarama.PartitionConsumer
	for _, a := range c.Assign {
		part, err := consumer.ConsumePartition(a[0].(string), int32(a[1].(float64)), sarama.OffsetOldest)
		if err != nil {
			return err
		}
		parts = append(parts, part)
		go func() {
			for m := range part.Messages() {
				h.take(m)
			}
		}()
	}
	h.close = func() {
		for _, part := range parts {
			_ = part.Close()
		}
		_ = consumer.Close()
	}
	s.consumers[c.Consumer] = h
	return nil
}

func (s *client) openGroup(c adapter.Command) error {
	if c.Protocol == "consumer" {
		return adapter.NotApplicable("the client has no KIP-848 consumer protocol")
	}
	group, err := sarama.NewConsumerGroup(s.brokers, c.Group, s.consumerConfig(c))
	if err != nil {
		return err
	}
	h := &held{owned: map[[2]any]bool{}, group: c.Group}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := group.Consume(ctx, c.Topics, h); err != nil {
				log.Println(err)
				time.Sleep(50 * time.Millisecond)
			}
		}
	}()
	h.close = func() {
		cancel()
		<-done
		_ = group.Close()
	}
	s.consumers[c.Consumer] = h
	return nil
}

// Setup, Cleanup and ConsumeClaim make it sarama's ConsumerGroupHandler.
func (h *held) Setup(session sarama.ConsumerGroupSession) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.session = session
	return nil
}

func (h *held) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *held) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	which := [2]any{claim.Topic(), claim.Partition()}
	h.mu.Lock()
	h.owned[which] = true
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.owned, which)
		h.mu.Unlock()
	}()
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			h.take(m)
		case <-session.Context().Done():
			return nil
		}
	}
}

func code(err error) *int16 {
	var kafka sarama.KError
	if errors.As(err, &kafka) {
		number := int16(kafka)
		return &number
	}
	return nil
}

func main() {
	sarama.Logger = log.New(os.Stderr, "", log.LstdFlags)
	s := &client{[]string{os.Args[1]}, nil, map[string]sarama.SyncProducer{}, map[string]*held{}}
	var err error
	if s.admin, err = sarama.NewClusterAdmin(s.brokers, config()); err != nil {
		panic(err)
	}
	adapter.Serve(s.run, code)
}
