// franz-go: kgo and kadm.
package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/compat/matrix/adapter"
)

type consumer struct {
	client *kgo.Client
	mu     sync.Mutex
	owned  map[[2]any]bool
}

type franz struct {
	bootstrap string
	admin     *kadm.Client
	producers map[string]*kgo.Client
	consumers map[string]*consumer
}

var codecs = map[string]kgo.CompressionCodec{"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

func (f *franz) run(c adapter.Command) (adapter.Map, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	switch c.Do {
	case "metadata":
		got, err := f.admin.Metadata(ctx)
		if err != nil {
			return nil, err
		}
		brokers := [][]any{}
		for _, b := range got.Brokers {
			brokers = append(brokers, []any{b.NodeID, b.Host, b.Port})
		}
		return adapter.Map{"brokers": brokers, "topics": got.Topics.Names()}, nil
	case "create_topic":
		configs := map[string]*string{}
		for k, v := range c.Configs {
			configs[k] = kadm.StringPtr(v)
		}
		got, err := f.admin.CreateTopic(ctx, c.Partitions, 1, configs, c.Topic)
		return nil, first(err, got.Err)
	case "describe_topic":
		got, err := f.admin.ListTopics(ctx, c.Topic)
		if err = first(err, got[c.Topic].Err); err != nil {
			return nil, err
		}
		out := [][]any{}
		for _, p := range got[c.Topic].Partitions.Sorted() {
			out = append(out, []any{p.Partition, p.Leader, p.Replicas, p.ISR})
		}
		return adapter.Map{"partitions": out}, nil
	case "delete_topic":
		got, err := f.admin.DeleteTopic(ctx, c.Topic)
		return nil, first(err, got.Err)
	case "describe_config":
		got, err := f.admin.DescribeTopicConfigs(ctx, c.Topic)
		if err != nil {
			return nil, err
		}
		out := map[string]string{}
		for _, e := range got[0].Configs {
			out[e.Key] = e.MaybeValue()
		}
		return adapter.Map{"configs": out}, got[0].Err
	case "alter_config":
		var alter []kadm.AlterConfig
		for k, v := range c.Configs {
			alter = append(alter, kadm.AlterConfig{Name: k, Value: kadm.StringPtr(v)})
		}
		got, err := f.admin.AlterTopicConfigs(ctx, alter, c.Topic)
		if err != nil {
			return nil, err
		}
		return nil, got[0].Err
	case "create_partitions":
		got, err := f.admin.UpdatePartitions(ctx, c.Count, c.Topic)
		return nil, first(err, got[c.Topic].Err)
	case "list_groups":
		got, err := f.admin.ListGroups(ctx)
		return adapter.Map{"groups": got.Groups()}, err
	case "describe_group":
		got, err := f.admin.DescribeGroups(ctx, c.Group)
		g := got[c.Group]
		return adapter.Map{"state": g.State, "members": len(g.Members)}, first(err, g.Err)
	case "delete_group":
		got, err := f.admin.DeleteGroup(ctx, c.Group)
		return nil, first(err, got.Err)
	case "group_offsets":
		got, err := f.admin.FetchOffsets(ctx, c.Group)
		out := [][]any{}
		for _, o := range got.Sorted() {
			if o.Topic == c.Topic {
				out = append(out, []any{o.Partition, o.At})
			}
		}
		return adapter.Map{"offsets": out}, err
	case "alter_group_offsets":
		return nil, f.admin.CommitAllOffsets(ctx, c.Group, kadmOffsets(c))
	case "offset":
		at, name := c.Millis()
		var got kadm.ListedOffsets
		var err error
		switch name {
		case "earliest":
			got, err = f.admin.ListStartOffsets(ctx, c.Topic)
		case "latest":
			got, err = f.admin.ListEndOffsets(ctx, c.Topic)
		default:
			got, err = f.admin.ListOffsetsAfterMilli(ctx, at, c.Topic)
		}
		found, _ := got.Lookup(c.Topic, c.Partition)
		return adapter.Map{"offset": found.Offset}, first(err, found.Err)
	case "open_producer":
		return nil, f.openProducer(c)
	case "send":
		return f.send(ctx, c)
	case "close_producer":
		f.producers[c.Producer].Close()
		return nil, nil
	case "begin":
		return nil, f.producers[c.Producer].BeginTransaction()
	case "end":
		return nil, f.producers[c.Producer].EndTransaction(ctx, kgo.TransactionEndTry(c.Commit))
	case "send_offsets":
		return nil, adapter.NotApplicable("offsets in a transaction only with its GroupTransactSession, which polls and commits by itself")
	case "open_consumer":
		return nil, f.openConsumer(c)
	case "poll":
		return f.poll(c)
	case "commit":
		offsets := map[string]map[int32]kgo.EpochOffset{}
		for _, p := range c.Positions() {
			offsets[p.Topic] = map[int32]kgo.EpochOffset{}
		}
		for _, p := range c.Positions() {
			offsets[p.Topic][p.Partition] = kgo.EpochOffset{Epoch: -1, Offset: p.Offset}
		}
		return nil, f.commit(ctx, f.consumers[c.Consumer].client, offsets)
	case "close_consumer":
		f.consumers[c.Consumer].client.Close()
		return nil, nil
	}
	return nil, errors.New("no such command: " + c.Do)
}

func kadmOffsets(c adapter.Command) kadm.Offsets {
	offsets := kadm.Offsets{}
	for _, p := range c.Positions() {
		offsets.AddOffset(p.Topic, p.Partition, p.Offset, -1)
	}
	return offsets
}

func (f *franz) openProducer(c adapter.Command) error {
	codec, ok := codecs[c.Codec]
	if !ok {
		codec = kgo.NoCompression()
	}
	opts := []kgo.Opt{kgo.SeedBrokers(f.bootstrap), kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(5 * time.Millisecond)}
	if c.Transactional != "" {
		opts = append(opts, kgo.TransactionalID(c.Transactional))
	} else if !c.Idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	// It counts from the record's timestamp, which may be an hour old.
	if c.TimeoutMs > 0 {
		opts = append(opts, kgo.RecordDeliveryTimeout(time.Duration(c.TimeoutMs)*time.Millisecond))
	}
	if c.MaxBytes > 0 {
		opts = append(opts, kgo.ProducerBatchMaxBytes(c.MaxBytes))
	}
	client, err := kgo.NewClient(opts...)
	f.producers[c.Producer] = client
	return err
}

func (f *franz) send(ctx context.Context, c adapter.Command) (adapter.Map, error) {
	var records []*kgo.Record
	for _, r := range c.Records {
		record := &kgo.Record{Topic: c.Topic, Partition: r.Partition, Key: adapter.Bytes(r.Key), Value: adapter.Bytes(r.Value)}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: *h[0], Value: adapter.Bytes(h[1])})
		}
		if r.Timestamp != nil {
			record.Timestamp = time.UnixMilli(*r.Timestamp)
		}
		records = append(records, record)
	}
	results := f.producers[c.Producer].ProduceSync(ctx, records...)
	if err := results.FirstErr(); err != nil {
		return nil, err
	}
	out := [][2]int64{}
	for _, r := range records {
		out = append(out, [2]int64{int64(r.Partition), r.Offset})
	}
	return adapter.Map{"offsets": out}, nil
}

func (f *franz) openConsumer(c adapter.Command) error {
	held := &consumer{owned: map[[2]any]bool{}}
	opts := []kgo.Opt{kgo.SeedBrokers(f.bootstrap), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50 * time.Millisecond)}
	if c.Isolation == "read_committed" {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if c.Assign != nil {
		from := map[string]map[int32]kgo.Offset{}
		for _, a := range c.Assign {
			topic := a[0].(string)
			if from[topic] == nil {
				from[topic] = map[int32]kgo.Offset{}
			}
			from[topic][int32(a[1].(float64))] = kgo.NewOffset().AtStart()
		}
		opts = append(opts, kgo.ConsumePartitions(from))
	} else {
		change := func(add bool) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, which map[string][]int32) {
				held.mu.Lock()
				defer held.mu.Unlock()
				for topic, partitions := range which {
					for _, p := range partitions {
						if add {
							held.owned[[2]any{topic, p}] = true
						} else {
							delete(held.owned, [2]any{topic, p})
						}
					}
				}
			}
		}
		opts = append(opts, kgo.ConsumerGroup(c.Group), kgo.ConsumeTopics(c.Topics...), kgo.DisableAutoCommit(),
			kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
			kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(300*time.Millisecond))
		switch c.Protocol {
		case "consumer":
			opts = append(opts, kgo.ServerSideBalancer())
		case "cooperative":
			opts = append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer()))
		default:
			opts = append(opts, kgo.Balancers(kgo.RangeBalancer()))
		}
		if c.Instance != "" {
			opts = append(opts, kgo.InstanceID(c.Instance))
		}
	}
	client, err := kgo.NewClient(opts...)
	held.client = client
	f.consumers[c.Consumer] = held
	return err
}

func (f *franz) poll(c adapter.Command) (adapter.Map, error) {
	held := f.consumers[c.Consumer]
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.Ms)*time.Millisecond)
	defer cancel()
	fetches := held.client.PollFetches(ctx)
	for _, e := range fetches.Errors() {
		// The client tells that it lost its group's coordinator, and goes on by itself.
		var session *kgo.ErrGroupSession
		if !errors.Is(e.Err, context.DeadlineExceeded) && !errors.As(e.Err, &session) {
			return nil, e.Err
		}
	}
	records := []adapter.Record{}
	fetches.EachRecord(func(r *kgo.Record) {
		at := r.Timestamp.UnixMilli()
		headers := [][2]*string{}
		for _, h := range r.Headers {
			key := h.Key
			headers = append(headers, [2]*string{&key, adapter.Text(h.Value)})
		}
		records = append(records, adapter.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: adapter.Text(r.Key),
			Value: adapter.Text(r.Value), Headers: headers, Timestamp: &at})
	})
	held.mu.Lock()
	defer held.mu.Unlock()
	owned := [][2]any{}
	for which := range held.owned {
		owned = append(owned, which)
	}
	return adapter.Map{"records": records, "assignment": owned}, nil
}

func (f *franz) commit(ctx context.Context, client *kgo.Client, offsets map[string]map[int32]kgo.EpochOffset) error {
	var failed error
	client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
		failed = err
		if response == nil {
			return
		}
		for _, t := range response.Topics {
			for _, p := range t.Partitions {
				failed = first(failed, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	})
	return failed
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func code(err error) *int16 {
	var kafka *kerr.Error
	if errors.As(err, &kafka) {
		return &kafka.Code
	}
	return nil
}

func main() {
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Args[1]))
	if err != nil {
		panic(err)
	}
	f := &franz{os.Args[1], kadm.NewClient(client), map[string]*kgo.Client{}, map[string]*consumer{}}
	adapter.Serve(f.run, code)
}
