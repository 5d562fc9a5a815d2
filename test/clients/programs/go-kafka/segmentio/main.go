// Scenarios of segmentio's kafka-go: segmentio SERVER SCENARIO.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"robustmq.test/kafka/check"
)

func main() {
	check.Run(map[string]func(string, string){
		"codecs": codecs, "nulls": nulls, "group": group, "seek": seek, "admin": admin,
	})
}

func patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), check.Wait)
}

func create(server, topic string, partitions int) (*kafka.Client, net.Addr) {
	ctx, cancel := patience()
	defer cancel()
	client := &kafka.Client{Addr: kafka.TCP(server), Timeout: check.Wait}
	made, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}}})
	check.Done("create", err)
	check.Done("create", made.Errors[topic])
	return client, client.Addr
}

// byHeader sends a record to the partition that its first header names.
func byHeader(message kafka.Message, partitions ...int) int {
	wanted, _ := strconv.Atoi(string(message.Headers[0].Value))
	return partitions[wanted]
}

func writer(server, topic string, more kafka.Writer) *kafka.Writer {
	more.Addr, more.Topic = kafka.TCP(server), topic
	more.BatchTimeout, more.RequiredAcks = 5*time.Millisecond, kafka.RequireAll
	return &more
}

// fill makes a topic with records 0 to 9, a second apart, in each partition.
func fill(server, topic string, partitions int) *kafka.Client {
	client, _ := create(server, topic, partitions)
	ctx, cancel := patience()
	defer cancel()
	to := writer(server, topic, kafka.Writer{Balancer: kafka.BalancerFunc(byHeader)})
	var messages []kafka.Message
	for n := range 10 {
		for partition := range partitions {
			header := kafka.Header{Key: "partition", Value: []byte(strconv.Itoa(partition))}
			messages = append(messages, kafka.Message{Value: []byte(strconv.Itoa(n)),
				Headers: []kafka.Header{header}, Time: time.UnixMilli(check.Start + int64(n)*1000)})
		}
	}
	check.Done("write", to.WriteMessages(ctx, messages...))
	check.Done("close", to.Close())
	return client
}

func reader(server, topic string, more kafka.ReaderConfig) *kafka.Reader {
	more.Brokers, more.Topic, more.MaxWait = []string{server}, topic, 200*time.Millisecond
	return kafka.NewReader(more)
}

func take(from *kafka.Reader, count int) []kafka.Message {
	ctx, cancel := patience()
	defer cancel()
	var got []kafka.Message
	for range count {
		message, err := from.FetchMessage(ctx)
		check.Done("fetch", err)
		got = append(got, message)
	}
	return got
}

func codecs(server, topic string) {
	create(server, topic, 3)
	ctx, cancel := patience()
	defer cancel()
	kinds := map[string]kafka.Compression{"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy,
		"lz4": kafka.Lz4, "zstd": kafka.Zstd}
	headers := []kafka.Header{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{0, 255}},
		{Key: "a", Value: []byte("2")}, {Key: "empty", Value: []byte{}}}
	wanted := map[string]string{}
	for _, codec := range check.Codecs {
		to := writer(server, topic, kafka.Writer{Compression: kinds[codec], Balancer: &kafka.Murmur2Balancer{}})
		var messages []kafka.Message
		for n := range 30 {
			key := fmt.Sprintf("%s %d", codec, n)
			body := check.Body(key)
			wanted[key] = string(body)
			messages = append(messages, kafka.Message{Key: []byte(key), Value: body, Headers: headers,
				Time: time.UnixMilli(check.Start + int64(n))})
		}
		check.Done("write", to.WriteMessages(ctx, messages...))
		check.Done("close", to.Close())
	}
	from := reader(server, topic, kafka.ReaderConfig{GroupID: topic, StartOffset: kafka.FirstOffset})
	defer from.Close()
	got := map[string]string{}
	used := map[int]bool{}
	for _, message := range take(from, len(wanted)) {
		got[string(message.Key)] = string(message.Value)
		used[message.Partition] = true
		// An empty value comes as nil from this client.
		check.Equal("headers", fmt.Sprint(message.Headers), fmt.Sprint(headers))
		n := message.Time.UnixMilli() - check.Start
		check.Equal("time", n >= 0 && n < 30, true)
	}
	check.Equal("values", got, wanted)
	check.Equal("partitions", len(used), 3)
}

func nulls(server, topic string) {
	create(server, topic, 1)
	ctx, cancel := patience()
	defer cancel()
	pairs := [][2][]byte{{[]byte("key"), []byte("value")}, {nil, []byte("value")}, {[]byte("key"), nil}}
	to := writer(server, topic, kafka.Writer{})
	for _, pair := range pairs {
		check.Done("write", to.WriteMessages(ctx, kafka.Message{Key: pair[0], Value: pair[1]}))
	}
	check.Done("close", to.Close())
	from := reader(server, topic, kafka.ReaderConfig{})
	defer from.Close()
	for at, message := range take(from, len(pairs)) {
		check.Equal("key", string(message.Key), string(pairs[at][0]))
		check.Equal("value", string(message.Value), string(pairs[at][1]))
	}
}

func group(server, topic string) {
	client := fill(server, topic, 3)
	ctx, cancel := patience()
	defer cancel()
	join := func() *kafka.Reader {
		return reader(server, topic, kafka.ReaderConfig{GroupID: topic, StartOffset: kafka.FirstOffset,
			HeartbeatInterval: 200 * time.Millisecond, JoinGroupBackoff: 200 * time.Millisecond})
	}
	members := func() int {
		described, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{topic}})
		check.Done("describe", err)
		one := described.Groups[0]
		if one.GroupState != "Stable" {
			return 0
		}
		var owned []int
		for _, member := range one.Members {
			for _, assigned := range member.MemberAssignments.Topics {
				owned = append(owned, assigned.Partitions...)
			}
		}
		sort.Ints(owned)
		check.Equal("partitions", owned, []int{0, 1, 2})
		return len(one.Members)
	}
	first, second := join(), join()
	check.Until("two members", func() bool { return members() == 2 })
	check.Done("close", second.Close())
	check.Until("one member", func() bool { return members() == 1 })
	var marked []kafka.Message
	for partition := range 3 {
		marked = append(marked, kafka.Message{Topic: topic, Partition: partition, Offset: int64(3 + partition)})
	}
	check.Done("commit", first.CommitMessages(ctx, marked...))
	check.Done("close", first.Close())
	offsets, err := client.ConsumerOffsets(ctx, kafka.TopicAndGroup{Topic: topic, GroupId: topic})
	check.Done("offsets", err)
	check.Equal("offsets", offsets, map[int]int64{0: 4, 1: 5, 2: 6})
	again := join()
	var got, wanted []string
	for _, message := range take(again, 6+5+4) {
		got = append(got, fmt.Sprintf("%d %d %s", message.Partition, message.Offset, message.Value))
	}
	for partition := range 3 {
		for n := 4 + partition; n < 10; n++ {
			wanted = append(wanted, fmt.Sprintf("%d %d %d", partition, n, n))
		}
	}
	sort.Strings(got)
	check.Equal("records after the restart", got, wanted)
	check.Done("close", again.Close())
	deleted, err := client.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{topic}})
	check.Done("delete", err)
	check.Done("delete", deleted.Errors[topic])
	listed, err := client.ListGroups(ctx, &kafka.ListGroupsRequest{})
	check.Done("list", err)
	for _, one := range listed.Groups {
		check.Equal("deleted", one.GroupID == topic, false)
	}
}

func seek(server, topic string) {
	client := fill(server, topic, 1)
	ctx, cancel := patience()
	defer cancel()
	listed, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
		topic: {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)}}})
	check.Done("offsets", err)
	found := listed.Topics[topic][0]
	check.Equal("offsets", [2]int64{found.FirstOffset, found.LastOffset}, [2]int64{0, 10})
	from := reader(server, topic, kafka.ReaderConfig{})
	defer from.Close()
	check.Done("time", from.SetOffsetAt(ctx, time.UnixMilli(check.Start+2001)))
	check.Equal("after a time", string(take(from, 7)[0].Value), "3")
	check.Done("beginning", from.SetOffset(kafka.FirstOffset))
	check.Equal("beginning", string(take(from, 10)[0].Value), "0")
	check.Done("seek", from.SetOffset(8))
	check.Equal("seek", string(take(from, 2)[0].Value), "8")
}

func admin(server, topic string) {
	client := fill(server, topic, 2)
	ctx, cancel := patience()
	defer cancel()
	again, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}}})
	check.Done("again", err)
	check.Equal("again", errors.Is(again.Errors[topic], kafka.TopicAlreadyExists), true)
	altered, err := client.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{
				Name: "retention.ms", Value: "7200000", ConfigOperation: kafka.ConfigOperationSet}}}}})
	check.Done("alter", err)
	check.Done("alter", altered.Resources[0].Error)
	described, err := client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic,
			ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
	check.Done("describe", err)
	check.Equal("config", described.Resources[0].ConfigEntries[0].ConfigValue, "7200000")
	grown, err := client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 5}}})
	check.Done("partitions", err)
	check.Done("partitions", grown.Errors[topic])
	// A transport remembers metadata for seconds: another one has none yet.
	fresh := &kafka.Client{Addr: client.Addr, Timeout: check.Wait, Transport: &kafka.Transport{}}
	metadata, err := fresh.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	check.Done("metadata", err)
	check.Equal("partitions", len(metadata.Topics[0].Partitions), 5)
	deleted, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	check.Done("delete", err)
	check.Done("delete", deleted.Errors[topic])
}
