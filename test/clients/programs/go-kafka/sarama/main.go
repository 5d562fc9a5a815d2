// Scenarios of sarama: sarama SERVER SCENARIO.
package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"robustmq.test/kafka/check"
)

func main() {
	check.Run(map[string]func(string, string){
		"codecs": codecs, "nulls": nulls, "group": group, "seek": seek, "admin": admin,
		"transactions": transactions,
	})
}

// settings are those of the default version, 2.8, which most users leave as it is.
func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	return config
}

func create(server, topic string, partitions int32) sarama.ClusterAdmin {
	admin, err := sarama.NewClusterAdmin([]string{server}, settings())
	check.Done("admin", err)
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}
	check.Done("create", admin.CreateTopic(topic, detail, false))
	return admin
}

func producer(server string, config *sarama.Config) sarama.SyncProducer {
	made, err := sarama.NewSyncProducer([]string{server}, config)
	check.Done("producer", err)
	return made
}

// fill makes a topic with records 0 to 9, a second apart, in each partition.
func fill(server, topic string, partitions int32) sarama.ClusterAdmin {
	admin := create(server, topic, partitions)
	config := settings()
	config.Producer.Partitioner = sarama.NewManualPartitioner
	to := producer(server, config)
	defer to.Close()
	for n := range 10 {
		for partition := range partitions {
			_, offset, err := to.SendMessage(&sarama.ProducerMessage{
				Topic: topic, Partition: partition, Value: sarama.StringEncoder(strconv.Itoa(n)),
				Timestamp: time.UnixMilli(check.Start + int64(n)*1000)})
			check.Done("send", err)
			check.Equal("offset", offset, int64(n))
		}
	}
	return admin
}

// take reads partitions 0 to n-1 from an offset until there are so many records.
func take(server, topic string, partitions int32, from int64, count int, config *sarama.Config) []*sarama.ConsumerMessage {
	consumer, err := sarama.NewConsumer([]string{server}, config)
	check.Done("consumer", err)
	defer consumer.Close()
	all := make(chan *sarama.ConsumerMessage, count)
	for partition := range partitions {
		one, err := consumer.ConsumePartition(topic, partition, from)
		check.Done("consume", err)
		defer one.Close()
		go func() {
			for message := range one.Messages() {
				all <- message
			}
		}()
	}
	var got []*sarama.ConsumerMessage
	late := time.After(check.Wait)
	for len(got) < count {
		select {
		case message := <-all:
			got = append(got, message)
		case <-late:
			panic(fmt.Sprintf("%d of %d records", len(got), count))
		}
	}
	return got
}

func codecs(server, topic string) {
	create(server, topic, 3).Close()
	kinds := map[string]sarama.CompressionCodec{"none": sarama.CompressionNone,
		"gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}
	headers := []sarama.RecordHeader{{Key: []byte("a"), Value: []byte("1")},
		{Key: []byte("b"), Value: []byte{0, 255}}, {Key: []byte("a"), Value: []byte("2")},
		{Key: []byte("empty"), Value: []byte{}}}
	wanted := map[string]string{}
	for _, codec := range check.Codecs {
		config := settings()
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
		config.Producer.Compression = kinds[codec]
		to := producer(server, config)
		var messages []*sarama.ProducerMessage
		for n := range 30 {
			key := fmt.Sprintf("%s %d", codec, n)
			body := check.Body(key)
			wanted[key] = string(body)
			messages = append(messages, &sarama.ProducerMessage{Topic: topic,
				Key: sarama.StringEncoder(key), Value: sarama.ByteEncoder(body), Headers: headers,
				Timestamp: time.UnixMilli(check.Start + int64(n))})
		}
		check.Done("send", to.SendMessages(messages))
		to.Close()
	}
	got := map[string]string{}
	used := map[int32]bool{}
	for _, message := range take(server, topic, 3, sarama.OffsetOldest, len(wanted), settings()) {
		got[string(message.Key)] = string(message.Value)
		used[message.Partition] = true
		for at, header := range message.Headers {
			check.Equal("header", *header, headers[at])
		}
		check.Equal("headers", len(message.Headers), len(headers))
		n, _ := strconv.Atoi(strings.Fields(string(message.Key))[1])
		check.Equal("time", message.Timestamp.UnixMilli(), check.Start+int64(n))
	}
	check.Equal("values", got, wanted)
	check.Equal("partitions", len(used), 3)
}

func nulls(server, topic string) {
	create(server, topic, 1).Close()
	to := producer(server, settings())
	defer to.Close()
	key, value := sarama.StringEncoder("key"), sarama.StringEncoder("value")
	pairs := [][2]sarama.Encoder{{key, value}, {nil, value}, {key, nil}, {nil, nil}}
	for _, pair := range pairs {
		_, _, err := to.SendMessage(&sarama.ProducerMessage{Topic: topic, Key: pair[0], Value: pair[1]})
		check.Done("send", err)
	}
	for at, message := range take(server, topic, 1, sarama.OffsetOldest, 4, settings()) {
		check.Equal("null key", message.Key == nil, pairs[at][0] == nil)
		check.Equal("null value", message.Value == nil, pairs[at][1] == nil)
	}
}

// member is one member of a group: it tells what it was given, and hands over what it reads.
type member struct {
	group   sarama.ConsumerGroup
	given   chan int
	records chan *sarama.ConsumerMessage
	session sync.Map
	stop    context.CancelFunc
	ended   chan struct{}
}

func (one *member) Setup(session sarama.ConsumerGroupSession) error {
	one.session.Store("now", session)
	var count int
	for _, partitions := range session.Claims() {
		count += len(partitions)
	}
	one.given <- count
	return nil
}

func (one *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (one *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			one.records <- message
		case <-session.Context().Done():
			return nil
		}
	}
}

func join(server, topic string) *member {
	config := settings()
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{
		sarama.NewBalanceStrategyRange()}
	group, err := sarama.NewConsumerGroup([]string{server}, topic, config)
	check.Done("group", err)
	ctx, stop := context.WithCancel(context.Background())
	one := &member{group: group, given: make(chan int, 100),
		records: make(chan *sarama.ConsumerMessage, 1000), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(one.ended)
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{topic}, one); err != nil && ctx.Err() == nil {
				panic(err)
			}
		}
	}()
	return one
}

func (one *member) leave() {
	one.stop()
	<-one.ended
	check.Done("close", one.group.Close())
}

func (one *member) wait(count int) {
	late := time.After(check.Wait)
	for {
		select {
		case given := <-one.given:
			if given == count {
				return
			}
		case <-late:
			panic(fmt.Sprintf("never had %d partitions", count))
		}
	}
}

// share waits until two members have all of three partitions between them. Which one has two of
// them is decided by the order of their ids, which the broker draws.
func share(first, second *member) {
	late := time.After(check.Wait)
	one, two := 3, 0
	for one == 0 || two == 0 || one+two != 3 {
		select {
		case one = <-first.given:
		case two = <-second.given:
		case <-late:
			panic(fmt.Sprintf("never shared three partitions, but %d and %d", one, two))
		}
	}
}

func group(server, topic string) {
	admin := fill(server, topic, 3)
	defer admin.Close()
	first := join(server, topic)
	first.wait(3)
	second := join(server, topic)
	share(first, second)
	described, err := admin.DescribeConsumerGroups([]string{topic})
	check.Done("describe", err)
	check.Equal("members", len(described[0].Members), 2)
	second.leave()
	first.wait(3)
	now, _ := first.session.Load("now")
	session := now.(sarama.ConsumerGroupSession)
	for partition := range int32(3) {
		session.MarkOffset(topic, partition, int64(4+partition), fmt.Sprintf("m%d", partition))
	}
	session.Commit()
	first.leave()
	found, err := admin.ListConsumerGroupOffsets(topic, map[string][]int32{topic: {0, 1, 2}})
	check.Done("offsets", err)
	for partition := range int32(3) {
		block := found.GetBlock(topic, partition)
		check.Equal("offset", block.Offset, int64(4+partition))
		check.Equal("metadata", block.Metadata, fmt.Sprintf("m%d", partition))
	}
	again := join(server, topic)
	again.wait(3)
	var got, wanted []string
	for range 6 + 5 + 4 {
		record := <-again.records
		got = append(got, fmt.Sprintf("%d %d %s", record.Partition, record.Offset, record.Value))
	}
	for partition := range 3 {
		for n := 4 + partition; n < 10; n++ {
			wanted = append(wanted, fmt.Sprintf("%d %d %d", partition, n, n))
		}
	}
	sort.Strings(got)
	check.Equal("records after the restart", got, wanted)
	again.leave()
	check.Done("delete", admin.DeleteConsumerGroup(topic))
	groups, err := admin.ListConsumerGroups()
	check.Done("list", err)
	_, still := groups[topic]
	check.Equal("deleted", still, false)
}

func seek(server, topic string) {
	fill(server, topic, 1).Close()
	client, err := sarama.NewClient([]string{server}, settings())
	check.Done("client", err)
	defer client.Close()
	for at, wanted := range map[int64]int64{
		sarama.OffsetOldest: 0, sarama.OffsetNewest: 10, check.Start + 2001: 3} {
		offset, err := client.GetOffset(topic, 0, at)
		check.Done("offset", err)
		check.Equal("offset", offset, wanted)
	}
	got := take(server, topic, 1, 3, 7, settings())
	check.Equal("first", string(got[0].Value), "3")
	consumer, err := sarama.NewConsumerFromClient(client)
	check.Done("consumer", err)
	_, err = consumer.ConsumePartition(topic, 0, 11)
	check.Equal("after the end", errors.Is(err, sarama.ErrOffsetOutOfRange), true)
}

func admin(server, topic string) {
	admin := fill(server, topic, 2)
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}
	err := admin.CreateTopic(topic, detail, false)
	check.Equal("again", errors.Is(err, sarama.ErrTopicAlreadyExists), true)
	check.Done("delete records", admin.DeleteRecords(topic, map[int32]int64{1: 4}))
	got := take(server, topic, 2, sarama.OffsetOldest, 16, settings())
	check.Equal("records", len(got), 16)
	value := "7200000"
	check.Done("alter", admin.IncrementalAlterConfig(sarama.TopicResource, topic,
		map[string]sarama.IncrementalAlterConfigsEntry{
			"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false))
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: topic,
		ConfigNames: []string{"retention.ms"}}
	configs, err := admin.DescribeConfig(resource)
	check.Done("describe", err)
	check.Equal("configs", len(configs), 1)
	check.Equal("config", configs[0].Value, value)
	check.Done("partitions", admin.CreatePartitions(topic, 5, nil, false))
	topics, err := admin.ListTopics()
	check.Done("list", err)
	check.Equal("partitions", topics[topic].NumPartitions, int32(5))
	_, err = admin.DescribeLogDirs([]int32{topicLeader(admin)})
	check.Done("log dirs", err)
	check.Done("delete", admin.DeleteTopic(topic))
	topics, err = admin.ListTopics()
	check.Done("list", err)
	_, still := topics[topic]
	check.Equal("deleted", still, false)
}

func topicLeader(admin sarama.ClusterAdmin) int32 {
	_, controller, err := admin.DescribeCluster()
	check.Done("cluster", err)
	return controller
}

func transactions(server, topic string) {
	create(server, topic, 2).Close()
	config := settings()
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = topic
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Net.MaxOpenRequests = 1
	to := producer(server, config)
	for turn := range 4 {
		check.Done("begin", to.BeginTxn())
		for n := range 6 {
			value := sarama.StringEncoder(fmt.Sprintf("%d.%d", turn, n))
			_, _, err := to.SendMessage(&sarama.ProducerMessage{
				Topic: topic, Partition: int32(n % 2), Value: value})
			check.Done("send", err)
		}
		if turn%2 == 0 {
			offsets := map[string][]*sarama.PartitionOffsetMetadata{
				topic: {{Partition: 0, Offset: int64(turn + 1)}}}
			check.Done("offsets", to.AddOffsetsToTxn(offsets, topic))
			check.Done("commit", to.CommitTxn())
		} else {
			check.Done("abort", to.AbortTxn())
		}
	}
	check.Done("close", to.Close())
	reading := settings()
	reading.Consumer.IsolationLevel = sarama.ReadCommitted
	var values []string
	for _, message := range take(server, topic, 2, sarama.OffsetOldest, 12, reading) {
		values = append(values, string(message.Value))
	}
	sort.Strings(values)
	check.Equal("committed", values, []string{"0.0", "0.1", "0.2", "0.3", "0.4", "0.5",
		"2.0", "2.1", "2.2", "2.3", "2.4", "2.5"})
	check.Equal("all", len(take(server, topic, 2, sarama.OffsetOldest, 24, settings())), 24)
	admin, err := sarama.NewClusterAdmin([]string{server}, settings())
	check.Done("admin", err)
	defer admin.Close()
	found, err := admin.ListConsumerGroupOffsets(topic, map[string][]int32{topic: {0}})
	check.Done("offsets", err)
	check.Equal("offset", found.GetBlock(topic, 0).Offset, int64(3))
}
