// Package check has what the programs of all Go clients share: asserts that end the program, the
// run of one scenario by its name, and records whose bytes can be compared.
package check

import (
	"crypto/rand"
	"fmt"
	"os"
	"reflect"
	"time"
)

// Wait is the patience of each step.
const Wait = 30 * time.Second

// Start is the timestamp of the first record of a topic, in milliseconds.
const Start int64 = 1_700_000_000_000

// Codecs are the names of the codecs that every client here has.
var Codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Equal ends the program unless both are the same, in depth.
func Equal(what string, got, wanted any) {
	if !reflect.DeepEqual(got, wanted) {
		panic(fmt.Sprintf("%s: expected %v, got %v", what, wanted, got))
	}
}

// Done ends the program when there is an error.
func Done(what string, err error) {
	if err != nil {
		panic(fmt.Sprintf("%s: %v", what, err))
	}
}

// Refused ends the program unless there is an error.
func Refused(what string, err error) {
	if err == nil {
		panic(what + " was not refused")
	}
}

// Body is a value that has a part which no codec can make smaller, and one that each can.
func Body(key string) []byte {
	body := make([]byte, 500, 2000)
	_, _ = rand.Read(body)
	for len(body) < 1500 {
		body = append(body, key...)
	}
	return body
}

// Until asks again until the condition holds: for states that come by exchanges with the broker.
func Until(what string, holds func() bool) {
	for deadline := time.Now().Add(Wait); !holds(); {
		if time.Now().After(deadline) {
			panic(what + " did not happen")
		}
	}
}

// Run runs the scenario that the arguments name: PROGRAM SERVER SCENARIO. The topic that a
// scenario gets is of its own.
func Run(scenarios map[string]func(server, topic string)) {
	server, name := os.Args[1], os.Args[2]
	scenario := scenarios[name]
	if scenario == nil {
		panic("no scenario " + name)
	}
	scenario(server, fmt.Sprintf("go-%s-%d", name, time.Now().UnixNano()))
	fmt.Println("done")
}
