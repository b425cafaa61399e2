// A record through the broker of testcontainers-go's Kafka module, whose image is ours.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/testcontainers/testcontainers-go/modules/kafka"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	began := time.Now()
	container, err := kafka.Run(ctx, os.Args[1], kafka.WithClusterID("4L6g3nShT-eMCtK--X86sw"))
	if container != nil {
		defer func() { _ = container.Terminate(context.Background()) }()
	}
	if err != nil {
		log.Panic(err)
	}
	started := time.Since(began).Milliseconds()
	brokers, err := container.Brokers(ctx)
	if err != nil {
		log.Panic(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("t"))
	if err != nil {
		log.Panic(err)
	}
	defer client.Close()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("value")}).FirstErr(); err != nil {
		log.Panic(err)
	}
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			log.Panic("the record did not come: ", fetches.Errors())
		}
		for _, record := range fetches.Records() {
			if string(record.Value) != "value" {
				log.Panicf("%q came", record.Value)
			}
			fmt.Printf("ok Run in %d ms, of which the start %d\n", time.Since(began).Milliseconds(), started)
			return
		}
	}
}
