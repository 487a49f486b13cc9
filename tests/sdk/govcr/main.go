// Reads a cassette with the real go-vcr: replays each interaction to a real http.Client, and writes
// the cassette again with Go's encoder in the layout that ours has. Prints one JSON line:
//
//	{"answers": [{"status", "code", "headers", "body"}], "saved": base64}
//
// Usage: client NAME, where the file is NAME.yaml.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
	"gopkg.in/dnaeon/go-vcr.v4/pkg/cassette"
	"gopkg.in/dnaeon/go-vcr.v4/pkg/recorder"
)

type answer struct {
	Status  string      `json:"status"`
	Code    int         `json:"code"`
	Headers http.Header `json:"headers"`
	Body    []byte      `json:"body"`
}

func main() {
	name := os.Args[1]
	recorded, err := cassette.Load(name)
	check(err)
	vcr, err := recorder.New(name,
		recorder.WithMode(recorder.ModeReplayOnly),
		recorder.WithSkipRequestLatency(true),
		recorder.WithMatcher(matches),
	)
	check(err)
	answers := []answer{}
	for _, item := range recorded.Interactions {
		answers = append(answers, ask(vcr.GetDefaultClient(), item.Request))
	}
	check(vcr.Stop())
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"answers": answers,
		"saved":   saved(recorded),
	}))
}

// ask sends a recorded request as its program did, without what a recording leaves out.
func ask(client *http.Client, request cassette.Request) answer {
	asked, err := http.NewRequest(request.Method, request.URL, strings.NewReader(request.Body))
	check(err)
	asked.Header.Set("Authorization", "Bearer another")
	response, err := client.Do(asked)
	check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(err)
	return answer{response.Status, response.StatusCode, response.Header, body}
}

// matches compares as users of go-vcr do for such traffic: method, URL and the JSON of the body.
func matches(request *http.Request, recorded cassette.Request) bool {
	if request.Method != recorded.Method || request.URL.String() != recorded.URL {
		return false
	}
	body, err := io.ReadAll(request.Body)
	check(err)
	request.Body = io.NopCloser(bytes.NewReader(body))
	if string(body) == recorded.Body {
		return true
	}
	var got, wanted any
	if json.Unmarshal(body, &got) != nil || json.Unmarshal([]byte(recorded.Body), &wanted) != nil {
		return false
	}
	return reflect.DeepEqual(got, wanted)
}

// saved is the file that go-vcr would write with this encoder.
func saved(recorded *cassette.Cassette) []byte {
	var buffer bytes.Buffer
	encoder := yaml.NewEncoder(&buffer)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	check(encoder.Encode(recorded))
	check(encoder.Close())
	return append([]byte("---\n"), buffer.Bytes()...)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
