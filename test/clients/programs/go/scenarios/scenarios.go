// Package scenarios runs the scenarios of one client library in one process. Each ends with a line
// `ok NAME` or `failed NAME REASON`; a failed expectation is a panic that ends its scenario only.
package scenarios

import (
	"fmt"
	"os"
	"reflect"
	"time"
)

// Patience is how long anything may take that must come.
const Patience = 20 * time.Second

// Message is what a client got, whatever its library calls it.
type Message struct {
	Topic  string
	Body   string
	QoS    byte
	Retain bool
}

// Scenario is one function with the name that the test waits for.
type Scenario struct {
	Name string
	Run  func()
}

// Run runs all and ends the process, with code 1 when one failed.
func Run(all []Scenario) {
	code := 0
	for _, each := range all {
		if reason := attempt(each.Run); reason != nil {
			code = 1
			fmt.Println("failed", each.Name, reason)
		} else {
			fmt.Println("ok", each.Name)
		}
	}
	os.Exit(code)
}

func attempt(run func()) (reason any) {
	defer func() { reason = recover() }()
	run()
	return nil
}

// Must ends the scenario when there is an error.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Expect ends the scenario when two values differ.
func Expect(actual, wanted any) {
	if !reflect.DeepEqual(actual, wanted) {
		panic(fmt.Sprintf("expected %v, got %v", wanted, actual))
	}
}

// Take returns the next messages of an inbox.
func Take[T any](inbox <-chan T, count int) []T {
	late := time.After(Patience)
	taken := make([]T, 0, count)
	for len(taken) < count {
		select {
		case each := <-inbox:
			taken = append(taken, each)
		case <-late:
			panic(fmt.Sprintf("%d of %d messages came", len(taken), count))
		}
	}
	return taken
}

// Numbered returns count texts that begin with the prefix.
func Numbered(prefix string, count int) []string {
	texts := make([]string, count)
	for n := range texts {
		texts[n] = fmt.Sprintf("%s%d", prefix, n)
	}
	return texts
}

// Bodies returns the bodies of the messages of one QoS, in their order.
func Bodies(messages []Message, qos byte) []string {
	var texts []string
	for _, each := range messages {
		if each.QoS == qos {
			texts = append(texts, each.Body)
		}
	}
	return texts
}
