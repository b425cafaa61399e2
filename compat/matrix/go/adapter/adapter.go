// Package adapter is the driver's protocol for the Go clients: one command a line on standard input, one answer a line on
// standard output.
package adapter

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
)

// Record is a record as the driver writes and reads it.
type Record struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Key       *string      `json:"key"`
	Value     *string      `json:"value"`
	Headers   [][2]*string `json:"headers"`
	Timestamp *int64       `json:"timestamp"`
}

// Command holds the arguments of every command; each uses a few of them.
type Command struct {
	Do            string            `json:"do"`
	Topic         string            `json:"topic"`
	Partitions    int32             `json:"partitions"`
	Count         int               `json:"count"`
	Partition     int32             `json:"partition"`
	At            any               `json:"at"`
	Configs       map[string]string `json:"configs"`
	Producer      string            `json:"producer"`
	Consumer      string            `json:"consumer"`
	Group         string            `json:"group"`
	Topics        []string          `json:"topics"`
	Protocol      string            `json:"protocol"`
	Instance      string            `json:"instance"`
	Assign        [][2]any          `json:"assign"`
	Isolation     string            `json:"isolation"`
	Codec         string            `json:"codec"`
	Idempotent    bool              `json:"idempotent"`
	Transactional string            `json:"transactional"`
	MaxBytes      int32             `json:"max_bytes"`
	TimeoutMs     int64             `json:"timeout_ms"`
	Records       []Record          `json:"records"`
	Commit        bool              `json:"commit"`
	Offsets       json.RawMessage   `json:"offsets"`
	Ms            int64             `json:"ms"`
}

// Position is an offset of a partition.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Positions reads offsets: either [topic, partition, offset] each, or [partition, offset] of the command's topic.
func (c Command) Positions() []Position {
	var rows [][]any
	if err := json.Unmarshal(c.Offsets, &rows); err != nil {
		return nil
	}
	var out []Position
	for _, row := range rows {
		topic := c.Topic
		if len(row) == 3 {
			topic, row = row[0].(string), row[1:]
		}
		out = append(out, Position{topic, int32(row[0].(float64)), int64(row[1].(float64))})
	}
	return out
}

// Millis is the time that an offset is asked for, or "earliest" or "latest".
func (c Command) Millis() (int64, string) {
	if name, ok := c.At.(string); ok {
		return 0, name
	}
	at, _ := c.At.(float64)
	return int64(at), ""
}

// Coded is an error with Kafka's code.
type Coded struct {
	Code int16
	Text string
}

func (e Coded) Error() string { return e.Text }

// NotApplicable says why this client has no such thing.
type NotApplicable string

func (e NotApplicable) Error() string { return string(e) }

// Map is an answer.
type Map = map[string]any

// Bytes of a text that may be absent.
func Bytes(text *string) []byte {
	if text == nil {
		return nil
	}
	return []byte(*text)
}

// Text of bytes that may be absent.
func Text(data []byte) *string {
	if data == nil {
		return nil
	}
	text := string(data)
	return &text
}

// Serve answers every command by run, until standard input ends. code finds Kafka's number in an error of the client.
func Serve(run func(Command) (Map, error), code func(error) *int16) {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var c Command
		var answer Map
		if err = json.Unmarshal(line, &c); err == nil {
			answer, err = run(c)
		}
		var not NotApplicable
		var coded Coded
		switch {
		case errors.As(err, &not):
			_ = out.Encode(struct {
				Na string `json:"na"`
			}{string(not)})
		case err != nil:
			number := code(err)
			if errors.As(err, &coded) {
				number = &coded.Code
			}
			_ = out.Encode(struct {
				Error string `json:"error"`
				Code  *int16 `json:"code"`
			}{err.Error(), number})
		default:
			if answer == nil {
				answer = Map{}
			}
			_ = out.Encode(Map{"ok": answer})
		}
	}
}
