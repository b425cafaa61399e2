// franz-go: what the standard input asks for, a JSON object a line, answered by one a line. See ../README.md.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const patience = 20 * time.Second

type ask struct {
	Address, Protocol, Mechanism, Username, Password, Token, CA, Certificate, Key, Topic string

	TokenAuth bool
	Records   int
	// Seconds that the same client goes on for, a record every tenth of one.
	Seconds int
}

type answer struct {
	Error       string   `json:"error,omitempty"`
	Records     []string `json:"records,omitempty"`
	Connections int64    `json:"connections,omitempty"`
}

// connections counts how often a client connected to the broker that leads everything.
type connections struct{ opened atomic.Int64 }

func (c *connections) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil && meta.NodeID >= 0 {
		c.opened.Add(1)
	}
}

func (a ask) login() (sasl.Mechanism, error) {
	words := scram.Auth{User: a.Username, Pass: a.Password, IsToken: a.TokenAuth}
	switch a.Mechanism {
	case "PLAIN":
		return plain.Auth{User: a.Username, Pass: a.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return words.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return words.AsSha512Mechanism(), nil
	case "OAUTHBEARER":
		return oauth.Auth{Token: a.Token}.AsMechanism(), nil
	}
	return nil, fmt.Errorf("no such mechanism: %s", a.Mechanism)
}

func (a ask) options() ([]kgo.Opt, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(a.Address), kgo.RequestRetries(1), kgo.RetryTimeout(5 * time.Second), kgo.RecordDeliveryTimeout(patience),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.FetchMaxWait(100 * time.Millisecond),
	}
	if a.Mechanism != "" {
		mechanism, err := a.login()
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	if a.CA != "" {
		text, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, err
		}
		config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
		config.RootCAs.AppendCertsFromPEM(text)
		if a.Certificate != "" {
			pair, err := tls.LoadX509KeyPair(a.Certificate, a.Key)
			if err != nil {
				return nil, err
			}
			config.Certificates = []tls.Certificate{pair}
		}
		options = append(options, kgo.DialTLSConfig(config))
	}
	return options, nil
}

func carry(a ask) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience+time.Duration(a.Seconds)*time.Second)
	defer cancel()
	options, err := a.options()
	if err != nil {
		return answer{}, err
	}
	counted := new(connections)
	from := map[string]map[int32]kgo.Offset{a.Topic: {0: kgo.NewOffset().AtStart()}}
	client, err := kgo.NewClient(append(options, kgo.ConsumePartitions(from), kgo.WithHooks(counted))...)
	if err != nil {
		return answer{}, err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return answer{}, err
	}
	began := time.Now()
	for number := 0; number < a.Records; number++ {
		value := fmt.Sprintf("%s-%d", a.Topic, number)
		record := &kgo.Record{Topic: a.Topic, Partition: 0, Value: []byte(value)}
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			return answer{}, err
		}
		if a.Seconds > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(a.Seconds) * time.Second * time.Duration(number+1) / time.Duration(a.Records))))
		}
	}
	var out answer
	for len(out.Records) < a.Records {
		fetched := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return answer{}, errors.New("the records did not come in time")
		}
		if err := fetched.Err(); err != nil {
			return answer{}, err
		}
		fetched.EachRecord(func(r *kgo.Record) { out.Records = append(out.Records, string(r.Value)) })
	}
	out.Connections = counted.opened.Load()
	return out, nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var a ask
		var out answer
		err := json.Unmarshal(lines.Bytes(), &a)
		if err == nil {
			out, err = carry(a)
		}
		if err != nil {
			out = answer{Error: err.Error()}
		}
		if answers.Encode(out) != nil {
			return
		}
	}
}
