// Scenarios of franz-go: franz SERVER SCENARIO.
package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"robustmq.test/kafka/check"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func main() {
	check.Run(map[string]func(string, string){
		"codecs": roundTrip, "nulls": nulls, "group": classic, "next": next, "seek": seek,
		"admin": admin, "groups": groups, "transactions": transactions, "transform": transform,
	})
}

func patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), check.Wait)
}

func client(server string, options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(server))...)
	check.Done("client", err)
	return made
}

func create(server, topic string, partitions int32) *kadm.Client {
	ctx, cancel := patience()
	defer cancel()
	admin := kadm.NewClient(client(server))
	_, err := admin.CreateTopic(ctx, partitions, 1, nil, topic)
	check.Done("create", err)
	return admin
}

func send(from *kgo.Client, records ...*kgo.Record) {
	ctx, cancel := patience()
	defer cancel()
	check.Done("produce", from.ProduceSync(ctx, records...).FirstErr())
}

// fill makes a topic with records 0 to 9, a second apart, in each partition.
func fill(server, topic string, partitions int32) *kadm.Client {
	admin := create(server, topic, partitions)
	producer := client(server, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer producer.Close()
	for n := range 10 {
		for partition := range partitions {
			send(producer, &kgo.Record{Topic: topic, Partition: partition,
				Value: []byte(strconv.Itoa(n)), Timestamp: time.UnixMilli(check.Start + int64(n)*1000)})
		}
	}
	return admin
}

func take(from *kgo.Client, count int) []*kgo.Record {
	ctx, cancel := patience()
	defer cancel()
	var got []*kgo.Record
	for len(got) < count {
		fetches := from.PollFetches(ctx)
		check.Done("poll", fetches.Err())
		got = append(got, fetches.Records()...)
	}
	check.Equal("records", len(got), count)
	return got
}

func reader(server, topic string, options ...kgo.Opt) *kgo.Client {
	return client(server, append(options, kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
}

func roundTrip(server, topic string) {
	create(server, topic, 3).Close()
	headers := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{0, 255}},
		{Key: "a", Value: []byte("2")}, {Key: "empty", Value: []byte{}}, {Key: "none"}}
	wanted := map[string][]byte{}
	for _, codec := range check.Codecs {
		producer := client(server, kgo.ProducerBatchCompression(codecs[codec]),
			kgo.ProducerLinger(20*time.Millisecond))
		var records []*kgo.Record
		for n := range 30 {
			key := fmt.Sprintf("%s %d", codec, n)
			wanted[key] = check.Body(key)
			records = append(records, &kgo.Record{Topic: topic, Key: []byte(key),
				Value: wanted[key], Headers: headers, Timestamp: time.UnixMilli(check.Start + int64(n))})
		}
		send(producer, records...)
		producer.Close()
	}
	consumer := reader(server, topic)
	defer consumer.Close()
	got := map[string][]byte{}
	used := map[int32]bool{}
	for _, record := range take(consumer, len(wanted)) {
		got[string(record.Key)] = record.Value
		used[record.Partition] = true
		check.Equal("headers", record.Headers, headers)
		n := record.Timestamp.UnixMilli() - check.Start
		check.Equal("time", n >= 0 && n < 30, true)
	}
	check.Equal("values", got, wanted)
	check.Equal("partitions", len(used), 3)
}

func nulls(server, topic string) {
	create(server, topic, 1).Close()
	pairs := [][2][]byte{{[]byte("key"), []byte("value")}, {nil, []byte("value")},
		{[]byte("key"), nil}, {{}, {}}, {nil, nil}}
	producer := client(server)
	defer producer.Close()
	for _, pair := range pairs {
		send(producer, &kgo.Record{Topic: topic, Key: pair[0], Value: pair[1]})
	}
	consumer := reader(server, topic)
	defer consumer.Close()
	for at, record := range take(consumer, len(pairs)) {
		check.Equal("key and value", [2][]byte{record.Key, record.Value}, pairs[at])
	}
}

func classic(server, topic string) {
	share(server, topic, kgo.Balancers(kgo.CooperativeStickyBalancer()))
}

// next is the protocol of KIP-848: the broker assigns.
func next(server, topic string) {
	share(server, topic, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	ctx, cancel := patience()
	defer cancel()
	admin := kadm.NewClient(client(server))
	defer admin.Close()
	listed, err := admin.ListGroupsByType(ctx, []string{"consumer"})
	check.Done("list", err)
	_, is := listed[topic]
	check.Equal("of type consumer", is, true)
}

// share has two members over three partitions; one leaves, and offsets outlive both.
func share(server, topic string, options ...kgo.Opt) {
	admin := fill(server, topic, 3)
	defer admin.Close()
	ctx, cancel := patience()
	defer cancel()
	owned := [2]int{}
	moves := make(chan [2]int, 100)
	member := func(number int) *kgo.Client {
		count := func(change int) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
				moves <- [2]int{number, change * len(changed[topic])}
			}
		}
		return reader(server, topic, append(options, kgo.ConsumerGroup(topic),
			kgo.DisableAutoCommit(), kgo.HeartbeatInterval(200*time.Millisecond),
			kgo.OnPartitionsAssigned(count(1)), kgo.OnPartitionsRevoked(count(-1)),
			kgo.OnPartitionsLost(count(-1)))...)
	}
	settle := func(holds func() bool) {
		for !holds() {
			select {
			case move := <-moves:
				owned[move[0]] += move[1]
			case <-ctx.Done():
				panic(fmt.Sprintf("the members have %v", owned))
			}
		}
	}
	polling := func(of *kgo.Client) {
		for !of.PollFetches(ctx).IsClientClosed() && ctx.Err() == nil {
		}
	}
	first, second := member(0), member(1)
	go polling(first)
	go polling(second)
	settle(func() bool { return owned == [2]int{1, 2} || owned == [2]int{2, 1} })
	second.Close()
	settle(func() bool { return owned == [2]int{3, 0} })
	offsets := kadm.Offsets{}
	for partition := range int32(3) {
		offsets.Add(kadm.Offset{Topic: topic, Partition: partition, At: int64(4 + partition), LeaderEpoch: -1})
	}
	marked := map[string]map[int32]kgo.EpochOffset{topic: {}}
	for partition := range int32(3) {
		marked[topic][partition] = kgo.EpochOffset{Epoch: -1, Offset: int64(4 + partition)}
	}
	committed := make(chan error, 1)
	first.CommitOffsetsSync(ctx, marked, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
		committed <- err
	})
	check.Done("commit", <-committed)
	first.Close()
	found, err := admin.FetchOffsets(ctx, topic)
	check.Done("fetch offsets", err)
	check.Equal("offsets", found.Offsets().KOffsets(), offsets.KOffsets())
	again := member(0)
	defer again.Close()
	var got, wanted []string
	for _, record := range take(again, 6+5+4) {
		got = append(got, fmt.Sprintf("%d %d %s", record.Partition, record.Offset, record.Value))
	}
	for partition := range 3 {
		for n := 4 + partition; n < 10; n++ {
			wanted = append(wanted, fmt.Sprintf("%d %d %d", partition, n, n))
		}
	}
	sort.Strings(got)
	check.Equal("records after the restart", got, wanted)
}

func seek(server, topic string) {
	fill(server, topic, 1).Close()
	from := func(offset kgo.Offset) *kgo.Client {
		return client(server, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: offset}}))
	}
	for start, offset := range map[int64]kgo.Offset{
		0: kgo.NewOffset().AtStart(),
		3: kgo.NewOffset().AfterMilli(check.Start + 2001),
		6: kgo.NewOffset().At(6),
		8: kgo.NewOffset().AtEnd().Relative(-2),
	} {
		consumer := from(offset)
		got := take(consumer, 10-int(start))
		check.Equal("first", got[0].Offset, start)
		consumer.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 9}}})
		check.Equal("after a seek", string(take(consumer, 1)[0].Value), "9")
		consumer.Close()
	}
}

func admin(server, topic string) {
	admin := fill(server, topic, 3)
	defer admin.Close()
	ctx, cancel := patience()
	defer cancel()
	_, err := admin.CreateTopic(ctx, 1, 1, nil, topic)
	check.Equal("again", errors.Is(err, kerr.TopicAlreadyExists), true)
	one := kadm.Offsets{}
	one.Add(kadm.Offset{Topic: topic, Partition: 1, At: 4})
	_, err = admin.DeleteRecords(ctx, one)
	check.Done("delete records", err)
	starts, err := admin.ListStartOffsets(ctx, topic)
	check.Done("starts", err)
	ends, err := admin.ListEndOffsets(ctx, topic)
	check.Done("ends", err)
	for partition := range int32(3) {
		start, _ := starts.Lookup(topic, partition)
		end, _ := ends.Lookup(topic, partition)
		wanted := map[int32]int64{0: 0, 1: 4, 2: 0}[partition]
		check.Equal("offsets", [2]int64{start.Offset, end.Offset}, [2]int64{wanted, 10})
	}
	value := "7200000"
	change := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}
	altered, err := admin.AlterTopicConfigs(ctx, change, topic)
	check.Done("alter", err)
	check.Done("alter", altered[0].Err)
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	check.Done("describe", err)
	for _, config := range described[0].Configs {
		if config.Key == "retention.ms" {
			check.Equal("config", config.MaybeValue(), value)
			value = "seen"
		}
	}
	check.Equal("config", value, "seen")
	_, err = admin.UpdatePartitions(ctx, 5, topic)
	check.Done("partitions", err)
	topics, err := admin.ListTopics(ctx, topic)
	check.Done("list", err)
	check.Equal("partitions", len(topics[topic].Partitions), 5)
	_, err = admin.DeleteTopics(ctx, topic)
	check.Done("delete", err)
	topics, err = admin.ListTopics(ctx)
	check.Done("list", err)
	check.Equal("deleted", topics.Has(topic), false)
}

func groups(server, topic string) {
	admin := fill(server, topic, 1)
	defer admin.Close()
	ctx, cancel := patience()
	defer cancel()
	member := reader(server, topic, kgo.ConsumerGroup(topic), kgo.DisableAutoCommit())
	check.Done("commit", member.CommitRecords(ctx, take(member, 10)...))
	listed, err := admin.ListGroups(ctx)
	check.Done("list", err)
	check.Equal("state", listed[topic].State, "Stable")
	described, err := admin.DescribeGroups(ctx, topic)
	check.Done("describe", err)
	check.Equal("members", len(described[topic].Members), 1)
	lag, err := admin.Lag(ctx, topic)
	check.Done("lag", err)
	check.Equal("lag", lag[topic].Lag.Total(), int64(0))
	_, err = admin.DeleteGroup(ctx, topic)
	check.Equal("with a member", errors.Is(err, kerr.NonEmptyGroup), true)
	member.Close()
	_, err = admin.DeleteGroup(ctx, topic)
	check.Done("delete", err)
	listed, err = admin.ListGroups(ctx)
	check.Done("list", err)
	_, still := listed[topic]
	check.Equal("deleted", still, false)
}

func transactions(server, topic string) {
	create(server, topic, 2).Close()
	ctx, cancel := patience()
	defer cancel()
	writer := client(server, kgo.TransactionalID(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer writer.Close()
	for turn := range 4 {
		check.Done("begin", writer.BeginTransaction())
		for n := range 6 {
			value := []byte(fmt.Sprintf("%d.%d", turn, n))
			send(writer, &kgo.Record{Topic: topic, Partition: int32(n % 2), Value: value})
		}
		check.Done("end", writer.EndTransaction(ctx, kgo.TransactionEndTry(turn%2 == 0)))
	}
	consumer := reader(server, topic, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer consumer.Close()
	var values []string
	for _, record := range take(consumer, 12) {
		values = append(values, string(record.Value))
	}
	sort.Strings(values)
	check.Equal("committed", values, []string{"0.0", "0.1", "0.2", "0.3", "0.4", "0.5",
		"2.0", "2.1", "2.2", "2.3", "2.4", "2.5"})
	all := reader(server, topic)
	defer all.Close()
	take(all, 24)
}

// transform copies one topic to another, each record exactly once, with transactions given up.
func transform(server, topic string) {
	fill(server, topic, 2).Close()
	create(server, topic+"-out", 1).Close()
	ctx, cancel := patience()
	defer cancel()
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(server), kgo.TransactionalID(topic),
		kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.RequireStableFetchOffsets(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	check.Done("session", err)
	for turn, copied := 0, 0; copied < 20; turn++ {
		fetches := session.PollRecords(ctx, 3)
		check.Done("poll", fetches.Err())
		check.Done("begin", session.Begin())
		for _, record := range fetches.Records() {
			out := &kgo.Record{Topic: topic + "-out",
				Value: []byte(fmt.Sprintf("%d %s", record.Partition, record.Value))}
			check.Done("produce", session.ProduceSync(ctx, out).FirstErr())
		}
		committed, err := session.End(ctx, kgo.TransactionEndTry(turn%3 != 1))
		check.Done("end", err)
		if committed {
			copied += fetches.NumRecords()
		}
	}
	session.Close()
	consumer := reader(server, topic+"-out", kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer consumer.Close()
	different := map[string]bool{}
	for _, record := range take(consumer, 20) {
		different[string(record.Value)] = true
	}
	check.Equal("different", len(different), 20)
}
