// Sends the requests on standard input (a JSON array) to the gateway named by the first argument
// and prints what the official client read of each streamed answer, one JSON object a line.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"

	"github.com/openai/openai-go/v2"
	"github.com/openai/openai-go/v2/option"
)

type answer struct {
	Text      string          `json:"text"`
	Call      []string        `json:"call"`
	Arguments string          `json:"arguments"`
	Reason    *string         `json:"reason"`
	Usage     json.RawMessage `json:"usage"`
}

func (a *answer) add(chunk openai.ChatCompletionChunk) {
	if chunk.JSON.Usage.Valid() {
		a.Usage = json.RawMessage(chunk.Usage.RawJSON())
	}
	for _, choice := range chunk.Choices {
		a.Text += choice.Delta.Content
		if choice.FinishReason != "" {
			reason := choice.FinishReason
			a.Reason = &reason
		}
		for _, call := range choice.Delta.ToolCalls {
			if a.Call == nil {
				a.Call = []string{call.ID, call.Function.Name}
			}
			a.Arguments += call.Function.Arguments
		}
	}
}

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	var requests []json.RawMessage
	if err := json.Unmarshal(input, &requests); err != nil {
		log.Fatal(err)
	}
	client := openai.NewClient(
		option.WithBaseURL(os.Args[1]),
		option.WithAPIKey("sk-any-0123456789abcdef"),
		option.WithMaxRetries(0),
	)
	for _, request := range requests {
		var read answer
		stream := client.Chat.Completions.NewStreaming(
			context.Background(),
			openai.ChatCompletionNewParams{},
			option.WithRequestBody("application/json", []byte(request)),
		)
		for stream.Next() {
			read.add(stream.Current())
		}
		if err := stream.Err(); err != nil {
			log.Fatal(err)
		}
		if err := json.NewEncoder(os.Stdout).Encode(read); err != nil {
			log.Fatal(err)
		}
	}
}
