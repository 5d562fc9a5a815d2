// The scenarios of paho.golang (MQTT 5), its client and autopaho: paho5 HOST PORT WEBSOCKET_PORT.
package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	. "robustmq.test/mqttclients/scenarios"
)

var host, port, webPort = os.Args[1], os.Args[2], os.Args[3]

type client struct {
	*paho.Client
	inbox   chan *paho.Publish
	wire    net.Conn
	connack *paho.Connack
	err     error
}

// attempt connects over TCP; the error is in the client.
func attempt(config paho.ClientConfig, connect *paho.Connect) *client {
	wire, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), Patience)
	Must(err)
	made := &client{inbox: make(chan *paho.Publish, 1000), wire: wire}
	config.Conn = packets.NewThreadSafeConn(wire)
	config.PacketTimeout = Patience
	config.OnPublishReceived = []func(paho.PublishReceived) (bool, error){
		func(received paho.PublishReceived) (bool, error) {
			made.inbox <- received.Packet
			return true, nil
		},
	}
	made.Client = paho.NewClient(config)
	connect.KeepAlive = 30
	made.connack, made.err = made.Connect(context.Background(), connect)
	return made
}

func connected(config paho.ClientConfig, connect *paho.Connect) *client {
	made := attempt(config, connect)
	Must(made.err)
	return made
}

func plain() *client {
	return connected(paho.ClientConfig{}, &paho.Connect{CleanStart: true})
}

func (c *client) leave() {
	_ = c.Disconnect(&paho.Disconnect{ReasonCode: 0})
}

func (c *client) subscribe(filter string, qos byte) {
	c.subscribeWith(nil, paho.SubscribeOptions{Topic: filter, QoS: qos})
}

func (c *client) subscribeWith(more *paho.SubscribeProperties, options paho.SubscribeOptions) {
	wanted := &paho.Subscribe{Properties: more, Subscriptions: []paho.SubscribeOptions{options}}
	answer, err := c.Subscribe(context.Background(), wanted)
	Must(err)
	Expect(answer.Reasons, []byte{options.QoS})
}

func (c *client) publish(topic, body string, qos byte) {
	c.send(&paho.Publish{Topic: topic, Payload: []byte(body), QoS: qos})
}

func (c *client) send(message *paho.Publish) {
	_, err := c.Publish(context.Background(), message)
	Must(err)
}

func plainly(published []*paho.Publish) []Message {
	messages := make([]Message, len(published))
	for n, each := range published {
		messages[n] = Message{each.Topic, string(each.Payload), each.QoS, each.Retain}
	}
	return messages
}

func qos() {
	reader, writer := plain(), plain()
	defer reader.leave()
	defer writer.leave()
	for level := byte(0); level < 3; level++ {
		topic := fmt.Sprintf("go5/qos/%d", level)
		reader.subscribe(topic, level)
		wanted := Numbered("m", 20)
		for _, body := range wanted {
			writer.publish(topic, body, level)
		}
		Expect(Bodies(plainly(Take(reader.inbox, 20)), level), wanted)
	}
}

func retained() {
	writer := plain()
	defer writer.leave()
	for _, name := range []string{"a", "b"} {
		topic := "go5/retained/" + name
		writer.send(&paho.Publish{Topic: topic, Payload: []byte(name), QoS: 1, Retain: true})
	}
	reader := plain()
	reader.subscribe("go5/retained/a", 1)
	Expect(plainly(Take(reader.inbox, 1))[0], Message{"go5/retained/a", "a", 1, true})
	reader.leave()
	writer.send(&paho.Publish{Topic: "go5/retained/a", QoS: 1, Retain: true})
	reader = plain()
	defer reader.leave()
	reader.subscribe("go5/retained/+", 1)
	Expect(plainly(Take(reader.inbox, 1))[0].Body, "b")
}

func will() {
	witness := plain()
	defer witness.leave()
	witness.subscribe("go5/will", 2)
	dying := connected(paho.ClientConfig{}, &paho.Connect{
		CleanStart:  true,
		WillMessage: &paho.WillMessage{Topic: "go5/will", Payload: []byte("gone"), QoS: 2},
		WillProperties: &paho.WillProperties{
			User: paho.UserProperties{{Key: "why", Value: "broken"}},
		},
	})
	Must(dying.wire.Close())
	message := Take(witness.inbox, 1)[0]
	Expect(plainly([]*paho.Publish{message})[0], Message{"go5/will", "gone", 2, false})
	Expect(message.Properties.User.Get("why"), "broken")
}

// session breaks the connection of autopaho, which comes back by itself and resumes its session.
func session() {
	ctx, stop := context.WithTimeout(context.Background(), 2*Patience)
	defer stop()
	inbox := make(chan *paho.Publish, 1000)
	ups := make(chan bool, 10)
	down := make(chan bool)
	mayReturn := make(chan bool)
	server := &url.URL{Scheme: "mqtt", Host: net.JoinHostPort(host, port)}
	manager, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls:            []*url.URL{server},
		KeepAlive:             30,
		SessionExpiryInterval: 300,
		ReconnectBackoff:      func(int) time.Duration { return 0 },
		OnConnectionUp: func(_ *autopaho.ConnectionManager, connack *paho.Connack) {
			ups <- connack.SessionPresent
		},
		OnConnectionDown: func() bool {
			close(down)
			return <-mayReturn
		},
		ClientConfig: paho.ClientConfig{
			ClientID: "go5-session",
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){
				func(received paho.PublishReceived) (bool, error) {
					inbox <- received.Packet
					return true, nil
				},
			},
		},
	})
	Must(err)
	Expect(Take(ups, 1)[0], false)
	_, err = manager.Subscribe(ctx, &paho.Subscribe{
		Subscriptions: []paho.SubscribeOptions{{Topic: "go5/session", QoS: 2}},
	})
	Must(err)
	manager.TerminateConnectionForTest()
	<-down
	writer := plain()
	defer writer.leave()
	ones, twos := Numbered("one", 20), Numbered("two", 20)
	for n := range ones {
		writer.publish("go5/session", ones[n], 1)
		writer.publish("go5/session", twos[n], 2)
	}
	mayReturn <- true
	Expect(Take(ups, 1)[0], true)
	messages := plainly(Take(inbox, 40))
	Expect(Bodies(messages, 1), ones)
	Expect(Bodies(messages, 2), twos)
}

func shared() {
	first, second, writer := plain(), plain(), plain()
	defer writer.leave()
	for _, member := range []*client{first, second} {
		defer member.leave()
		member.subscribe("$share/go5/go5/shared", 1)
	}
	wanted, got := map[string]bool{}, map[string]bool{}
	for _, body := range Numbered("m", 60) {
		wanted[body] = true
		writer.publish("go5/shared", body, 1)
	}
	counts := [2]int{}
	late := time.After(Patience)
	for counts[0]+counts[1] < 60 {
		select {
		case message := <-first.inbox:
			got[string(message.Payload)] = true
			counts[0]++
		case message := <-second.inbox:
			got[string(message.Payload)] = true
			counts[1]++
		case <-late:
			panic(fmt.Sprint("not all came: ", counts))
		}
	}
	Expect(got, wanted)
	Expect(counts[0] > 0 && counts[1] > 0, true)
}

func properties() {
	reader, writer := plain(), plain()
	defer reader.leave()
	defer writer.leave()
	identifier, expiry, format, alias := 268_435_455, uint32(100), byte(1), uint16(2)
	more := &paho.SubscribeProperties{SubscriptionIdentifier: &identifier}
	reader.subscribeWith(more, paho.SubscribeOptions{Topic: "go5/v5/#", QoS: 1})
	user := paho.UserProperties{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}, {Key: "b", Value: "3"}}
	writer.send(&paho.Publish{Topic: "go5/v5/x", Payload: []byte("first"), QoS: 1,
		Properties: &paho.PublishProperties{
			User: user, MessageExpiry: &expiry, PayloadFormat: &format, TopicAlias: &alias,
			ContentType: "text/plain", ResponseTopic: "go5/answers", CorrelationData: []byte{0, 255},
		},
	})
	writer.send(&paho.Publish{Payload: []byte("by alias"), QoS: 1,
		Properties: &paho.PublishProperties{TopicAlias: &alias}})
	messages := Take(reader.inbox, 2)
	got := messages[0].Properties
	Expect(got.User, user)
	Expect(*got.MessageExpiry > 0 && *got.MessageExpiry <= 100, true)
	Expect(*got.PayloadFormat, byte(1))
	Expect(got.ContentType, "text/plain")
	Expect(got.ResponseTopic, "go5/answers")
	Expect(got.CorrelationData, []byte{0, 255})
	Expect(*got.SubscriptionIdentifier, identifier)
	Expect(plainly(messages)[1], Message{"go5/v5/x", "by alias", 1, false})
}

// receiveMaximum holds its acknowledgements back: no more than two messages may be on their way.
func receiveMaximum() {
	two := uint16(2)
	config := paho.ClientConfig{
		EnableManualAcknowledgment: true, SendAcksInterval: 10 * time.Millisecond,
	}
	slow := connected(config, &paho.Connect{
		CleanStart: true, Properties: &paho.ConnectProperties{ReceiveMaximum: &two},
	})
	defer slow.leave()
	writer := plain()
	defer writer.leave()
	slow.subscribe("go5/slow", 1)
	wanted := Numbered("m", 10)
	for _, body := range wanted {
		writer.publish("go5/slow", body, 1)
	}
	held := Take(slow.inbox, 2)
	// The answer to a SUBSCRIBE comes after whatever the server would have sent before it.
	slow.subscribe("go5/barrier", 1)
	Expect(len(slow.inbox), 0)
	var texts []string
	for len(texts) < 10 {
		if len(held) == 0 {
			held = Take(slow.inbox, 1)
		}
		texts = append(texts, string(held[0].Payload))
		Must(slow.Ack(held[0]))
		held = held[1:]
	}
	Expect(texts, wanted)
}

func refused() {
	wrong := attempt(paho.ClientConfig{}, &paho.Connect{
		CleanStart: true, Username: "admin", UsernameFlag: true,
		Password: []byte("wrong"), PasswordFlag: true,
	})
	Expect(wrong.connack.ReasonCode, byte(packets.ConnackBadUsernameOrPassword))
	one := plain()
	defer one.leave()
	answer, _ := one.Subscribe(context.Background(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{
		{Topic: "forbidden/area", QoS: 1}, {Topic: "go5/open", QoS: 1},
	}})
	Expect(answer.Reasons, []byte{packets.SubackNotauthorized, 1})
	for level, code := range map[byte]byte{1: packets.PubackNotAuthorized, 2: packets.PubrecNotAuthorized} {
		message := &paho.Publish{Topic: "forbidden/area", Payload: []byte("x"), QoS: level}
		response, _ := one.Publish(context.Background(), message)
		Expect(response.ReasonCode, code)
	}
	gone, err := one.Unsubscribe(context.Background(), &paho.Unsubscribe{Topics: []string{"go5/open", "never"}})
	Must(err)
	Expect(gone.Reasons, []byte{0, packets.UnsubackNoSubscriptionFound})
}

func websocket() {
	ctx, stop := context.WithTimeout(context.Background(), Patience)
	defer stop()
	server := &url.URL{Scheme: "ws", Host: net.JoinHostPort(host, webPort), Path: "/mqtt"}
	manager, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: 30, CleanStartOnInitialConnection: true,
	})
	Must(err)
	Must(manager.AwaitConnection(ctx))
	reader := plain()
	defer reader.leave()
	reader.subscribe("go5/web", 2)
	body := strings.Repeat("0123456789", 20_000)
	_, err = manager.Publish(ctx, &paho.Publish{Topic: "go5/web", Payload: []byte(body), QoS: 2})
	Must(err)
	Expect(string(Take(reader.inbox, 1)[0].Payload) == body, true)
	Must(manager.Disconnect(ctx))
}

func main() {
	Run([]Scenario{
		{"qos", qos}, {"retained", retained}, {"will", will}, {"session", session},
		{"shared", shared}, {"properties", properties}, {"receiveMaximum", receiveMaximum},
		{"refused", refused}, {"websocket", websocket},
	})
}
