// confluent-kafka-go (librdkafka).
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"klamm/compat/matrix/adapter"
)

type client struct {
	bootstrap string
	admin     *kafka.AdminClient
	producers map[string]*kafka.Producer
	consumers map[string]*kafka.Consumer
}

func topicError(results []kafka.TopicResult, err error) error {
	if err != nil {
		return err
	}
	if results[0].Error.Code() != kafka.ErrNoError {
		return results[0].Error
	}
	return nil
}

func whole(e kafka.Error) error {
	if e.Code() != kafka.ErrNoError {
		return e
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func nodes(list []kafka.Node) []int {
	out := []int{}
	for _, n := range list {
		out = append(out, n.ID)
	}
	return out
}

func partitions(c adapter.Command) []kafka.TopicPartition {
	var out []kafka.TopicPartition
	for _, p := range c.Positions() {
		out = append(out, kafka.TopicPartition{Topic: &p.Topic, Partition: p.Partition, Offset: kafka.Offset(p.Offset)})
	}
	return out
}

func (s *client) run(c adapter.Command) (adapter.Map, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	switch c.Do {
	case "metadata":
		got, err := s.admin.GetMetadata(nil, true, 10_000)
		if err != nil {
			return nil, err
		}
		brokers, topics := [][]any{}, []string{}
		for _, b := range got.Brokers {
			brokers = append(brokers, []any{b.ID, b.Host, b.Port})
		}
		for name := range got.Topics {
			topics = append(topics, name)
		}
		return adapter.Map{"brokers": brokers, "topics": topics}, nil
	case "create_topic":
		return nil, topicError(s.admin.CreateTopics(ctx, []kafka.TopicSpecification{{Topic: c.Topic, NumPartitions: int(c.Partitions), ReplicationFactor: 1, Config: c.Configs}}))
	case "describe_topic":
		got, err := s.admin.DescribeTopics(ctx, kafka.NewTopicCollectionOfTopicNames([]string{c.Topic}))
		if err != nil {
			return nil, err
		}
		out := [][]any{}
		for _, p := range got.TopicDescriptions[0].Partitions {
			out = append(out, []any{p.Partition, p.Leader.ID, nodes(p.Replicas), nodes(p.Isr)})
		}
		return adapter.Map{"partitions": out}, whole(got.TopicDescriptions[0].Error)
	case "delete_topic":
		return nil, topicError(s.admin.DeleteTopics(ctx, []string{c.Topic}))
	case "describe_config":
		got, err := s.admin.DescribeConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: c.Topic}})
		if err != nil {
			return nil, err
		}
		out := map[string]string{}
		for name, e := range got[0].Config {
			out[name] = e.Value
		}
		return adapter.Map{"configs": out}, whole(got[0].Error)
	case "alter_config":
		resource := kafka.ConfigResource{Type: kafka.ResourceTopic, Name: c.Topic}
		for k, v := range c.Configs {
			resource.Config = append(resource.Config, kafka.ConfigEntry{Name: k, Value: v, IncrementalOperation: kafka.AlterConfigOpTypeSet})
		}
		got, err := s.admin.IncrementalAlterConfigs(ctx, []kafka.ConfigResource{resource})
		if err != nil {
			return nil, err
		}
		return nil, whole(got[0].Error)
	case "create_partitions":
		return nil, topicError(s.admin.CreatePartitions(ctx, []kafka.PartitionsSpecification{{Topic: c.Topic, IncreaseTo: c.Count}}))
	case "list_groups":
		got, err := s.admin.ListConsumerGroups(ctx)
		names := []string{}
		for _, g := range got.Valid {
			names = append(names, g.GroupID)
		}
		return adapter.Map{"groups": names}, err
	case "describe_group":
		got, err := s.admin.DescribeConsumerGroups(ctx, []string{c.Group})
		if err != nil {
			return nil, err
		}
		g := got.ConsumerGroupDescriptions[0]
		return adapter.Map{"state": g.State.String(), "members": len(g.Members)}, whole(g.Error)
	case "delete_group":
		got, err := s.admin.DeleteConsumerGroups(ctx, []string{c.Group})
		if err != nil {
			return nil, err
		}
		return nil, whole(got.ConsumerGroupResults[0].Error)
	case "group_offsets":
		got, err := s.admin.ListConsumerGroupOffsets(ctx, []kafka.ConsumerGroupTopicPartitions{{Group: c.Group}})
		if err != nil {
			return nil, err
		}
		out := [][]int64{}
		for _, p := range got.ConsumerGroupsTopicPartitions[0].Partitions {
			if *p.Topic == c.Topic {
				out = append(out, []int64{int64(p.Partition), int64(p.Offset)})
			}
		}
		return adapter.Map{"offsets": out}, nil
	case "alter_group_offsets":
		got, err := s.admin.AlterConsumerGroupOffsets(ctx, []kafka.ConsumerGroupTopicPartitions{{Group: c.Group, Partitions: partitions(c)}})
		if err != nil {
			return nil, err
		}
		for _, p := range got.ConsumerGroupsTopicPartitions[0].Partitions {
			err = first(err, p.Error)
		}
		return nil, err
	case "offset":
		at, name := c.Millis()
		spec := kafka.OffsetSpec(at)
		switch name {
		case "earliest":
			spec = kafka.EarliestOffsetSpec
		case "latest":
			spec = kafka.LatestOffsetSpec
		}
		which := kafka.TopicPartition{Topic: &c.Topic, Partition: c.Partition}
		got, err := s.admin.ListOffsets(ctx, map[kafka.TopicPartition]kafka.OffsetSpec{which: spec})
		if err != nil {
			return nil, err
		}
		for _, found := range got.ResultInfos {
			return adapter.Map{"offset": int64(found.Offset)}, whole(found.Error)
		}
		return nil, errors.New("no offset")
	case "open_producer":
		return nil, s.openProducer(ctx, c)
	case "send":
		return s.send(c)
	case "close_producer":
		s.producers[c.Producer].Flush(5000)
		s.producers[c.Producer].Close()
		return nil, nil
	case "begin":
		return nil, s.producers[c.Producer].BeginTransaction()
	case "end":
		if c.Commit {
			return nil, s.producers[c.Producer].CommitTransaction(ctx)
		}
		return nil, s.producers[c.Producer].AbortTransaction(ctx)
	case "send_offsets":
		metadata, err := s.consumers[c.Consumer].GetConsumerGroupMetadata()
		if err != nil {
			return nil, err
		}
		return nil, s.producers[c.Producer].SendOffsetsToTransaction(ctx, partitions(c), metadata)
	case "open_consumer":
		return nil, s.openConsumer(c)
	case "poll":
		return s.poll(c)
	case "commit":
		got, err := s.consumers[c.Consumer].CommitOffsets(partitions(c))
		for _, p := range got {
			err = first(err, p.Error)
		}
		return nil, err
	case "close_consumer":
		return nil, s.consumers[c.Consumer].Close()
	}
	return nil, errors.New("no such command: " + c.Do)
}

func (s *client) openProducer(ctx context.Context, c adapter.Command) error {
	conf := kafka.ConfigMap{"bootstrap.servers": s.bootstrap, "linger.ms": 5, "enable.idempotence": c.Idempotent || c.Transactional != ""}
	if c.Codec != "" {
		conf["compression.type"] = c.Codec
	}
	if c.Transactional != "" {
		conf["transactional.id"] = c.Transactional
	}
	if c.TimeoutMs > 0 {
		conf["message.timeout.ms"] = int(c.TimeoutMs)
	}
	if c.MaxBytes > 0 {
		conf["message.max.bytes"], conf["batch.size"] = int(c.MaxBytes), int(c.MaxBytes)
	}
	made, err := kafka.NewProducer(&conf)
	if err != nil {
		return err
	}
	s.producers[c.Producer] = made
	if c.Transactional != "" {
		return made.InitTransactions(ctx)
	}
	return nil
}

func (s *client) send(c adapter.Command) (adapter.Map, error) {
	producer, done := s.producers[c.Producer], make(chan kafka.Event, len(c.Records))
	for i, r := range c.Records {
		m := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &c.Topic, Partition: r.Partition}, Key: adapter.Bytes(r.Key),
			Value: adapter.Bytes(r.Value), Opaque: i}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kafka.Header{Key: *h[0], Value: adapter.Bytes(h[1])})
		}
		if r.Timestamp != nil {
			m.Timestamp = time.UnixMilli(*r.Timestamp)
		}
		if err := producer.Produce(m, done); err != nil {
			return nil, err
		}
	}
	out := make([][2]int64, len(c.Records))
	for range c.Records {
		m := (<-done).(*kafka.Message)
		if m.TopicPartition.Error != nil {
			return nil, m.TopicPartition.Error
		}
		out[m.Opaque.(int)] = [2]int64{int64(m.TopicPartition.Partition), int64(m.TopicPartition.Offset)}
	}
	return adapter.Map{"offsets": out}, nil
}

func (s *client) openConsumer(c adapter.Command) error {
	conf := kafka.ConfigMap{"bootstrap.servers": s.bootstrap, "auto.offset.reset": "earliest", "enable.auto.commit": false,
		"isolation.level": "read_uncommitted", "fetch.wait.max.ms": 50, "group.id": "no-group-" + c.Consumer}
	if c.Isolation != "" {
		conf["isolation.level"] = c.Isolation
	}
	if c.Group != "" {
		conf["group.id"] = c.Group
	}
	if c.Instance != "" {
		conf["group.instance.id"] = c.Instance
	}
	switch c.Protocol {
	case "consumer":
		conf["group.protocol"] = "consumer"
	case "cooperative":
		conf["partition.assignment.strategy"] = "cooperative-sticky"
	case "eager":
		conf["partition.assignment.strategy"] = "range"
	}
	if c.Protocol == "eager" || c.Protocol == "cooperative" {
		conf["session.timeout.ms"], conf["heartbeat.interval.ms"] = 10_000, 300
	}
	made, err := kafka.NewConsumer(&conf)
	if err != nil {
		return err
	}
	s.consumers[c.Consumer] = made
	if c.Assign == nil {
		return made.SubscribeTopics(c.Topics, nil)
	}
	var from []kafka.TopicPartition
	for _, a := range c.Assign {
		topic := a[0].(string)
		from = append(from, kafka.TopicPartition{Topic: &topic, Partition: int32(a[1].(float64)), Offset: kafka.OffsetBeginning})
	}
	return made.Assign(from)
}

func (s *client) poll(c adapter.Command) (adapter.Map, error) {
	consumer, records := s.consumers[c.Consumer], []adapter.Record{}
	deadline := time.Now().Add(time.Duration(c.Ms) * time.Millisecond)
	for left := c.Ms; left >= 0 && len(records) < 1000; left = time.Until(deadline).Milliseconds() {
		wait := int(left)
		if len(records) > 0 {
			wait = 0
		}
		switch e := consumer.Poll(wait).(type) {
		case *kafka.Message:
			at := e.Timestamp.UnixMilli()
			headers := [][2]*string{}
			for _, h := range e.Headers {
				headers = append(headers, [2]*string{&h.Key, adapter.Text(h.Value)})
			}
			records = append(records, adapter.Record{Topic: *e.TopicPartition.Topic, Partition: e.TopicPartition.Partition,
				Offset: int64(e.TopicPartition.Offset), Key: adapter.Text(e.Key), Value: adapter.Text(e.Value), Headers: headers, Timestamp: &at})
		case kafka.Error:
			if e.IsFatal() {
				return nil, e
			}
		case nil:
			if len(records) > 0 {
				left = -1
				deadline = time.Now()
			}
		}
	}
	assigned, err := consumer.Assignment()
	owned := [][2]any{}
	for _, p := range assigned {
		owned = append(owned, [2]any{*p.Topic, p.Partition})
	}
	return adapter.Map{"records": records, "assignment": owned}, err
}

func code(err error) *int16 {
	var broker kafka.Error
	if errors.As(err, &broker) {
		number := int16(broker.Code())
		return &number
	}
	return nil
}

func main() {
	conf := kafka.ConfigMap{"bootstrap.servers": os.Args[1]}
	admin, err := kafka.NewAdminClient(&conf)
	if err != nil {
		panic(err)
	}
	s := &client{os.Args[1], admin, map[string]*kafka.Producer{}, map[string]*kafka.Consumer{}}
	adapter.Serve(s.run, code)
}
