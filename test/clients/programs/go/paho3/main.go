// The scenarios of paho.mqtt.golang (MQTT 3.1.1): paho3 HOST PORT WEBSOCKET_PORT.
package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	. "robustmq.test/mqttclients/scenarios"
)

var host, port, webPort = os.Args[1], os.Args[2], os.Args[3]

type client struct {
	mqtt.Client
	inbox          chan Message
	wire           net.Conn
	sessionPresent bool
}

type change func(*mqtt.ClientOptions)

// attempt connects once; broken connections are not mended behind the scenario's back.
func attempt(changes ...change) (*client, error) {
	made := &client{inbox: make(chan Message, 1000)}
	options := mqtt.NewClientOptions().AddBroker("tcp://" + net.JoinHostPort(host, port))
	options.SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(true)
	options.SetCustomOpenConnectionFn(func(to *url.URL, o mqtt.ClientOptions) (net.Conn, error) {
		if to.Scheme == "ws" {
			return mqtt.NewWebsocket(to.String(), &tls.Config{}, Patience, http.Header{}, nil)
		}
		wire, err := net.DialTimeout("tcp", to.Host, Patience)
		made.wire = wire
		return wire, err
	})
	options.SetDefaultPublishHandler(func(_ mqtt.Client, message mqtt.Message) {
		body := string(message.Payload())
		made.inbox <- Message{message.Topic(), body, message.Qos(), message.Retained()}
	})
	for _, each := range changes {
		each(options)
	}
	made.Client = mqtt.NewClient(options)
	token := made.Connect()
	token.WaitTimeout(Patience)
	made.sessionPresent = token.(*mqtt.ConnectToken).SessionPresent()
	return made, token.Error()
}

func connect(changes ...change) *client {
	made, err := attempt(changes...)
	Must(err)
	return made
}

func (c *client) subscribe(filter string, qos byte) byte {
	token := c.Subscribe(filter, qos, nil)
	if !token.WaitTimeout(Patience) {
		panic("no SUBACK")
	}
	return token.(*mqtt.SubscribeToken).Result()[filter]
}

func (c *client) publish(topic, body string, qos byte, retain bool) {
	token := c.Publish(topic, qos, retain, body)
	if !token.WaitTimeout(Patience) {
		panic("no acknowledgement")
	}
	Must(token.Error())
}

func qos() {
	reader, writer := connect(), connect()
	defer reader.Disconnect(0)
	defer writer.Disconnect(0)
	for level := byte(0); level < 3; level++ {
		topic := fmt.Sprintf("go3/qos/%d", level)
		Expect(reader.subscribe(topic, level), level)
		wanted := Numbered("m", 20)
		for _, body := range wanted {
			writer.publish(topic, body, level, false)
		}
		Expect(Bodies(Take(reader.inbox, 20), level), wanted)
	}
}

func retained() {
	writer := connect()
	defer writer.Disconnect(0)
	writer.publish("go3/retained/a", "kept", 1, true)
	writer.publish("go3/retained/b", "kept too", 1, true)
	reader := connect()
	reader.subscribe("go3/retained/a", 1)
	Expect(Take(reader.inbox, 1)[0], Message{"go3/retained/a", "kept", 1, true})
	reader.Disconnect(0)
	writer.publish("go3/retained/a", "", 1, true)
	reader = connect()
	defer reader.Disconnect(0)
	reader.subscribe("go3/retained/+", 1)
	Expect(Take(reader.inbox, 1)[0].Body, "kept too")
}

func will() {
	witness := connect()
	defer witness.Disconnect(0)
	witness.subscribe("go3/will", 2)
	dying := connect(func(o *mqtt.ClientOptions) { o.SetWill("go3/will", "gone", 2, false) })
	Must(dying.wire.Close())
	Expect(Take(witness.inbox, 1)[0], Message{"go3/will", "gone", 2, false})
}

func session() {
	keep := func(o *mqtt.ClientOptions) { o.SetClientID("go3-session").SetCleanSession(false) }
	reader := connect(keep)
	Expect(reader.sessionPresent, false)
	reader.subscribe("go3/session", 2)
	reader.Disconnect(100)
	writer := connect()
	defer writer.Disconnect(0)
	ones, twos := Numbered("one", 20), Numbered("two", 20)
	for n := range ones {
		writer.publish("go3/session", ones[n], 1, false)
		writer.publish("go3/session", twos[n], 2, false)
	}
	reader = connect(keep)
	defer reader.Disconnect(0)
	Expect(reader.sessionPresent, true)
	messages := Take(reader.inbox, 40)
	Expect(Bodies(messages, 1), ones)
	Expect(Bodies(messages, 2), twos)
}

func shared() {
	first, second, writer := connect(), connect(), connect()
	inbox := make(chan Message, 100)
	for _, member := range []*client{first, second} {
		defer member.Disconnect(0)
		handler := func(_ mqtt.Client, message mqtt.Message) {
			inbox <- Message{Body: string(message.Payload())}
		}
		token := member.SubscribeMultiple(map[string]byte{"$share/go3/go3/shared": 1}, nil)
		token.WaitTimeout(Patience)
		member.AddRoute("go3/shared", handler)
	}
	defer writer.Disconnect(0)
	wanted := map[string]bool{}
	for _, body := range Numbered("m", 60) {
		wanted[body] = true
		writer.publish("go3/shared", body, 1, false)
	}
	got := map[string]bool{}
	for _, message := range Take(inbox, 60) {
		got[message.Body] = true
	}
	Expect(got, wanted)
}

func refused() {
	_, err := attempt(func(o *mqtt.ClientOptions) { o.SetUsername("admin").SetPassword("wrong") })
	if err == nil {
		panic("a wrong password was taken")
	}
	// 3.1.1 has one code for a filter that is not granted; the connection stays.
	plain := connect()
	defer plain.Disconnect(0)
	Expect(plain.subscribe("forbidden/area", 1), byte(0x80))
	Expect(plain.subscribe("go3/open", 1), byte(1))
}

func websocket() {
	web := "ws://" + net.JoinHostPort(host, webPort) + "/mqtt"
	reader := connect(func(o *mqtt.ClientOptions) { o.Servers = nil; o.AddBroker(web) })
	writer := connect()
	defer reader.Disconnect(0)
	defer writer.Disconnect(0)
	reader.subscribe("go3/web", 2)
	body := strings.Repeat("0123456789", 20_000)
	writer.publish("go3/web", body, 2, false)
	Expect(Take(reader.inbox, 1)[0].Body == body, true)
}

func main() {
	Run([]Scenario{
		{"qos", qos}, {"retained", retained}, {"will", will}, {"session", session},
		{"shared", shared}, {"refused", refused}, {"websocket", websocket},
	})
}
