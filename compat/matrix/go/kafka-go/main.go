// segmentio/kafka-go: Client, Writer, Reader, ConsumerGroup.
package main

import (
	"context"
	"errors"
	"net"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"klamm/compat/matrix/adapter"
)

type client struct {
	addr      net.Addr
	bootstrap string
	api       *kafka.Client
	producers map[string]*producer
	consumers map[string]*held
}

type producer struct {
	writer *kafka.Writer
	mu     sync.Mutex
	done   map[int]int64
}

// held is a consumer that reads in the background, and what it read until the driver asks.
type held struct {
	mu         sync.Mutex
	records    []adapter.Record
	owned      [][2]any
	generation *kafka.Generation
	close      func()
}

var codecs = map[string]kafka.Compression{"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}

func ids(brokers []kafka.Broker) []int {
	out := []int{}
	for _, b := range brokers {
		out = append(out, b.ID)
	}
	return out
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *client) run(c adapter.Command) (adapter.Map, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	transport := fresh()
	defer transport.CloseIdleConnections()
	s.api.Transport = transport
	switch c.Do {
	case "metadata":
		got, err := s.api.Metadata(ctx, &kafka.MetadataRequest{})
		if err != nil {
			return nil, err
		}
		brokers, topics := [][]any{}, []string{}
		for _, b := range got.Brokers {
			brokers = append(brokers, []any{b.ID, b.Host, b.Port})
		}
		for _, t := range got.Topics {
			topics = append(topics, t.Name)
		}
		return adapter.Map{"brokers": brokers, "topics": topics}, nil
	case "create_topic":
		topic := kafka.TopicConfig{Topic: c.Topic, NumPartitions: int(c.Partitions), ReplicationFactor: 1}
		for k, v := range c.Configs {
			topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: k, ConfigValue: v})
		}
		got, err := s.api.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
		if err != nil {
			return nil, err
		}
		return nil, got.Errors[c.Topic]
	case "describe_topic":
		got, err := s.api.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{c.Topic}})
		if err != nil {
			return nil, err
		}
		if len(got.Topics) == 0 {
			return nil, kafka.UnknownTopicOrPartition
		}
		out := [][]any{}
		for _, p := range got.Topics[0].Partitions {
			out = append(out, []any{p.ID, p.Leader.ID, ids(p.Replicas), ids(p.Isr)})
		}
		return adapter.Map{"partitions": out}, got.Topics[0].Error
	case "delete_topic":
		got, err := s.api.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{c.Topic}})
		if err != nil {
			return nil, err
		}
		return nil, got.Errors[c.Topic]
	case "describe_config":
		got, err := s.api.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: c.Topic}}})
		if err != nil {
			return nil, err
		}
		out := map[string]string{}
		for _, e := range got.Resources[0].ConfigEntries {
			out[e.ConfigName] = e.ConfigValue
		}
		return adapter.Map{"configs": out}, got.Resources[0].Error
	case "alter_config":
		resource := kafka.IncrementalAlterConfigsRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: c.Topic}
		for k, v := range c.Configs {
			resource.Configs = append(resource.Configs, kafka.IncrementalAlterConfigsRequestConfig{Name: k, Value: v, ConfigOperation: kafka.ConfigOperationSet})
		}
		got, err := s.api.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{resource}})
		if err != nil {
			return nil, err
		}
		return nil, got.Resources[0].Error
	case "create_partitions":
		got, err := s.api.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: c.Topic, Count: int32(c.Count)}}})
		if err != nil {
			return nil, err
		}
		return nil, got.Errors[c.Topic]
	case "list_groups":
		got, err := s.api.ListGroups(ctx, &kafka.ListGroupsRequest{})
		if err != nil {
			return nil, err
		}
		names := []string{}
		for _, g := range got.Groups {
			names = append(names, g.GroupID)
		}
		return adapter.Map{"groups": names}, got.Error
	case "describe_group":
		got, err := s.api.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{c.Group}})
		if err != nil {
			return nil, err
		}
		return adapter.Map{"state": got.Groups[0].GroupState, "members": len(got.Groups[0].Members)}, got.Groups[0].Error
	case "delete_group":
		got, err := s.api.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{c.Group}})
		if err != nil {
			return nil, err
		}
		return nil, got.Errors[c.Group]
	case "group_offsets":
		return s.groupOffsets(ctx, c)
	case "alter_group_offsets":
		return nil, s.alterGroupOffsets(ctx, c)
	case "offset":
		return s.offset(ctx, c)
	case "open_producer":
		return nil, s.openProducer(c)
	case "send":
		return s.send(ctx, c)
	case "close_producer":
		return nil, s.producers[c.Producer].writer.Close()
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
		generation := h.generation
		h.mu.Unlock()
		offsets := map[string]map[int]int64{}
		for _, p := range c.Positions() {
			if offsets[p.Topic] == nil {
				offsets[p.Topic] = map[int]int64{}
			}
			offsets[p.Topic][int(p.Partition)] = p.Offset
		}
		return nil, generation.CommitOffsets(offsets)
	case "close_consumer":
		s.consumers[c.Consumer].close()
		return nil, nil
	}
	return nil, errors.New("no such command: " + c.Do)
}

func (s *client) groupOffsets(ctx context.Context, c adapter.Command) (adapter.Map, error) {
	topic, err := s.api.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{c.Topic}})
	if err != nil {
		return nil, err
	}
	which := []int{}
	for _, p := range topic.Topics[0].Partitions {
		which = append(which, p.ID)
	}
	got, err := s.api.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: c.Group, Topics: map[string][]int{c.Topic: which}})
	if err != nil {
		return nil, err
	}
	out := [][]int64{}
	for _, p := range got.Topics[c.Topic] {
		if p.CommittedOffset >= 0 {
			out = append(out, []int64{int64(p.Partition), p.CommittedOffset})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
	return adapter.Map{"offsets": out}, got.Error
}

func (s *client) alterGroupOffsets(ctx context.Context, c adapter.Command) error {
	request := &kafka.OffsetCommitRequest{GroupID: c.Group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{}}
	for _, p := range c.Positions() {
		request.Topics[p.Topic] = append(request.Topics[p.Topic], kafka.OffsetCommit{Partition: int(p.Partition), Offset: p.Offset})
	}
	got, err := s.api.OffsetCommit(ctx, request)
	if err != nil {
		return err
	}
	for _, p := range got.Topics[c.Topic] {
		err = first(err, p.Error)
	}
	return err
}

func (s *client) offset(ctx context.Context, c adapter.Command) (adapter.Map, error) {
	at, name := c.Millis()
	ask := kafka.TimeOffsetOf(int(c.Partition), time.UnixMilli(at))
	switch name {
	case "earliest":
		ask = kafka.FirstOffsetOf(int(c.Partition))
	case "latest":
		ask = kafka.LastOffsetOf(int(c.Partition))
	}
	got, err := s.api.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{c.Topic: {ask}}})
	if err != nil {
		return nil, err
	}
	found := got.Topics[c.Topic][0]
	switch name {
	case "earliest":
		return adapter.Map{"offset": found.FirstOffset}, found.Error
	case "latest":
		return adapter.Map{"offset": found.LastOffset}, found.Error
	}
	for offset := range found.Offsets {
		return adapter.Map{"offset": offset}, found.Error
	}
	return nil, first(found.Error, errors.New("no offset"))
}

// tag is what a record carries through the writer: where it shall go, and its place among those of one command.
type tag struct{ partition, place int }

func (s *client) openProducer(c adapter.Command) error {
	if c.Idempotent {
		return adapter.NotApplicable("the client has no idempotent producer")
	}
	if c.Transactional != "" {
		return adapter.NotApplicable("the client has no transactional producer")
	}
	p := &producer{}
	p.writer = &kafka.Writer{
		Addr: s.addr, RequiredAcks: kafka.RequireAll, Compression: codecs[c.Codec], BatchTimeout: 5 * time.Millisecond, BatchSize: 10_000,
		WriteBackoffMin: 50 * time.Millisecond, Transport: fresh(),
		Balancer: kafka.BalancerFunc(func(m kafka.Message, _ ...int) int { return m.WriterData.(tag).partition }),
		Completion: func(messages []kafka.Message, err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, m := range messages {
				if err == nil {
					p.done[m.WriterData.(tag).place] = m.Offset
				}
			}
		},
	}
	if c.MaxBytes > 0 {
		p.writer.BatchBytes = int64(c.MaxBytes)
	}
	s.producers[c.Producer] = p
	return nil
}

func (s *client) send(ctx context.Context, c adapter.Command) (adapter.Map, error) {
	p := s.producers[c.Producer]
	p.mu.Lock()
	p.done = map[int]int64{}
	p.mu.Unlock()
	var messages []kafka.Message
	for i, r := range c.Records {
		m := kafka.Message{Topic: c.Topic, Key: adapter.Bytes(r.Key), Value: adapter.Bytes(r.Value), WriterData: tag{int(r.Partition), i}}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kafka.Header{Key: *h[0], Value: adapter.Bytes(h[1])})
		}
		if r.Timestamp != nil {
			m.Time = time.UnixMilli(*r.Timestamp)
		}
		messages = append(messages, m)
	}
	if err := p.writer.WriteMessages(ctx, messages...); err != nil {
		var many kafka.WriteErrors
		if errors.As(err, &many) {
			return nil, first(many...)
		}
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := [][2]any{}
	for i, r := range c.Records {
		out = append(out, [2]any{r.Partition, p.done[i]})
	}
	return adapter.Map{"offsets": out}, nil
}

func (h *held) take(m kafka.Message) {
	at := m.Time.UnixMilli()
	headers := [][2]*string{}
	for _, x := range m.Headers {
		key, value := x.Key, string(x.Value)
		headers = append(headers, [2]*string{&key, &value})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, adapter.Record{Topic: m.Topic, Partition: int32(m.Partition), Offset: m.Offset, Key: adapter.Text(m.Key),
		Value: adapter.Text(m.Value), Headers: headers, Timestamp: &at})
}

func (h *held) poll(ms int64) adapter.Map {
	deadline := time.Now().Add(time.Duration(ms) * time.Millisecond)
	for {
		h.mu.Lock()
		if len(h.records) > 0 || time.Now().After(deadline) {
			records := append([]adapter.Record{}, h.records...)
			h.records = nil
			owned := append([][2]any{}, h.owned...)
			h.mu.Unlock()
			return adapter.Map{"records": records, "assignment": owned}
		}
		h.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
	}
}

// follow reads one partition until the context ends.
func (s *client) follow(ctx context.Context, h *held, c adapter.Command, topic string, partition int, from int64) {
	conf := kafka.ReaderConfig{Brokers: []string{s.bootstrap}, Topic: topic, Partition: partition, MaxWait: 50 * time.Millisecond,
		MinBytes: 1, MaxBytes: 10_000_000, ReadBackoffMin: 10 * time.Millisecond}
	if c.Isolation == "read_committed" {
		conf.IsolationLevel = kafka.ReadCommitted
	}
	reader := kafka.NewReader(conf)
	defer reader.Close()
	_ = reader.SetOffset(from)
	for {
		m, err := reader.ReadMessage(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			h.take(m)
		}
	}
}

func (s *client) openPartitions(c adapter.Command) error {
	h := &held{}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, a := range c.Assign {
		all.Add(1)
		go func() {
			defer all.Done()
			s.follow(ctx, h, c, a[0].(string), int(a[1].(float64)), kafka.FirstOffset)
		}()
	}
	h.close = func() {
		cancel()
		all.Wait()
	}
	s.consumers[c.Consumer] = h
	return nil
}

func (s *client) openGroup(c adapter.Command) error {
	switch {
	case c.Protocol == "consumer":
		return adapter.NotApplicable("the client has no KIP-848 consumer protocol")
	case c.Protocol == "cooperative":
		return adapter.NotApplicable("the client has no cooperative rebalancing")
	case c.Instance != "":
		return adapter.NotApplicable("the client has no static membership")
	}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: c.Group, Brokers: []string{s.bootstrap}, Topics: c.Topics,
		GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}}, HeartbeatInterval: 300 * time.Millisecond,
		SessionTimeout: 10 * time.Second, JoinGroupBackoff: 200 * time.Millisecond, StartOffset: kafka.FirstOffset})
	if err != nil {
		return err
	}
	h := &held{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			generation, err := group.Next(ctx)
			if err != nil {
				continue
			}
			h.mu.Lock()
			h.generation, h.owned = generation, nil
			for topic, partitions := range generation.Assignments {
				for _, p := range partitions {
					h.owned = append(h.owned, [2]any{topic, p.ID})
					generation.Start(func(ctx context.Context) { s.follow(ctx, h, c, topic, p.ID, p.Offset) })
				}
			}
			h.mu.Unlock()
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

// fresh is a transport that has no metadata yet: with old metadata the client answers by itself that a new topic is unknown.
func fresh() *kafka.Transport {
	return &kafka.Transport{}
}

func code(err error) *int16 {
	var broker kafka.Error
	var large kafka.MessageTooLargeError
	if errors.As(err, &large) {
		number := int16(kafka.MessageSizeTooLarge)
		return &number
	}
	if errors.As(err, &broker) {
		number := int16(broker)
		return &number
	}
	return nil
}

func main() {
	addr := kafka.TCP(os.Args[1])
	api := &kafka.Client{Addr: addr, Timeout: 20 * time.Second}
	s := &client{addr, os.Args[1], api, map[string]*producer{}, map[string]*held{}}
	adapter.Serve(s.run, code)
}
