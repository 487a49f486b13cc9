// The official Go client in the hands of a user. Standard input holds one job (tests/sdk/clients.py
// describes it); standard output gets one JSON line: what the client read.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"

	"github.com/openai/openai-go/v2"
	"github.com/openai/openai-go/v2/option"
	"github.com/openai/openai-go/v2/packages/respjson"
)

type job struct {
	BaseURL     string           `json:"base_url"`
	APIKey      string           `json:"api_key"`
	Request     *json.RawMessage `json:"request"`
	ToolResults []string         `json:"tool_results"`
}

type usage struct {
	Input  int64           `json:"input"`
	Output int64           `json:"output"`
	Total  int64           `json:"total"`
	Cached *int64          `json:"cached"`
	Cost   json.RawMessage `json:"cost"`
}

type reading struct {
	Text         string          `json:"text"`
	Call         []string        `json:"call"`
	Arguments    string          `json:"arguments"`
	Reasons      []string        `json:"reasons"`
	Usage        *usage          `json:"usage"`
	Provider     json.RawMessage `json:"provider"`
	GenerationID string          `json:"generation_id"`
}

type failure struct {
	Kind       string  `json:"kind"`
	Status     *int    `json:"status"`
	Message    string  `json:"message"`
	RetryAfter *string `json:"retry_after"`
}

type findings struct {
	Readings []*reading `json:"readings"`
	Models   []string   `json:"models"`
	Error    *failure   `json:"error"`
}

// What the typed requests of the client do not have.
type extension struct {
	Stream bool `json:"stream"`
	Usage  any  `json:"usage"`
}

func extra(fields map[string]respjson.Field, name string) json.RawMessage {
	if raw := fields[name].Raw(); raw != "" {
		return json.RawMessage(raw)
	}
	return json.RawMessage("null")
}

func (r *reading) addUsage(read openai.CompletionUsage) {
	r.Usage = &usage{
		Input:  read.PromptTokens,
		Output: read.CompletionTokens,
		Total:  read.TotalTokens,
		Cost:   extra(read.JSON.ExtraFields, "cost"),
	}
	if read.PromptTokensDetails.JSON.CachedTokens.Valid() {
		r.Usage.Cached = &read.PromptTokensDetails.CachedTokens
	}
}

func (r *reading) addReason(reason string) {
	if reason != "" {
		r.Reasons = append(r.Reasons, reason)
	}
}

func (r *reading) addCall(id, name, arguments string) {
	if r.Call == nil {
		r.Call = []string{id, name}
	}
	r.Arguments += arguments
}

func (r *reading) addChunk(chunk openai.ChatCompletionChunk) {
	if r.Provider == nil {
		r.Provider = extra(chunk.JSON.ExtraFields, "provider")
	}
	if chunk.JSON.Usage.Valid() {
		r.addUsage(chunk.Usage)
	}
	for _, choice := range chunk.Choices {
		r.Text += choice.Delta.Content
		r.addReason(choice.FinishReason)
		for _, call := range choice.Delta.ToolCalls {
			r.addCall(call.ID, call.Function.Name, call.Function.Arguments)
		}
	}
}

func (r *reading) addWhole(whole *openai.ChatCompletion) {
	r.Provider = extra(whole.JSON.ExtraFields, "provider")
	r.addUsage(whole.Usage)
	for _, choice := range whole.Choices {
		r.Text += choice.Message.Content
		r.addReason(choice.FinishReason)
		for _, call := range choice.Message.ToolCalls {
			r.addCall(call.ID, call.Function.Name, call.Function.Arguments)
		}
	}
}

type user struct {
	client openai.Client
	found  *findings
}

// Notes that an answer has begun.
func (u user) begin(response *http.Response) *reading {
	read := &reading{Reasons: []string{}, GenerationID: response.Header.Get("X-Generation-Id")}
	u.found.Readings = append(u.found.Readings, read)
	return read
}

// Asks for a whole answer and returns its message, ready to be sent back.
func (u user) askWhole(
	params openai.ChatCompletionNewParams, options ...option.RequestOption,
) (*openai.ChatCompletionMessageParamUnion, error) {
	var response *http.Response
	options = append(options, option.WithResponseInto(&response))
	whole, err := u.client.Chat.Completions.New(context.Background(), params, options...)
	if err != nil {
		return nil, err
	}
	u.begin(response).addWhole(whole)
	message := whole.Choices[0].Message.ToParam()
	return &message, nil
}

// Asks for a stream and returns the message that its pieces sum up to.
func (u user) askStream(
	params openai.ChatCompletionNewParams, options ...option.RequestOption,
) (*openai.ChatCompletionMessageParamUnion, error) {
	var response *http.Response
	options = append(options, option.WithResponseInto(&response))
	stream := u.client.Chat.Completions.NewStreaming(context.Background(), params, options...)
	if stream.Err() != nil {
		return nil, stream.Err()
	}
	defer stream.Close()
	read, sum := u.begin(response), openai.ChatCompletionAccumulator{}
	for stream.Next() {
		read.addChunk(stream.Current())
		sum.AddChunk(stream.Current())
	}
	if stream.Err() != nil {
		return nil, stream.Err()
	}
	message := sum.Choices[0].Message.ToParam()
	return &message, nil
}

func (u user) converse(todo job) error {
	var params openai.ChatCompletionNewParams
	if err := json.Unmarshal(*todo.Request, &params); err != nil {
		return err
	}
	var more extension
	if err := json.Unmarshal(*todo.Request, &more); err != nil {
		return err
	}
	var options []option.RequestOption
	if more.Usage != nil {
		options = append(options, option.WithJSONSet("usage", more.Usage))
	}
	ask := u.askWhole
	if more.Stream {
		ask = u.askStream
	}
	said, err := ask(params, options...)
	for _, content := range todo.ToolResults {
		if err != nil {
			return err
		}
		id := said.GetToolCalls()[0].GetID()
		params.Messages = append(params.Messages, *said, openai.ToolMessage(content, *id))
		said, err = ask(params, options...)
	}
	return err
}

func (u user) listModels() error {
	pages := u.client.Models.ListAutoPaging(context.Background())
	for pages.Next() {
		u.found.Models = append(u.found.Models, pages.Current().ID)
	}
	return pages.Err()
}

func describe(err error) *failure {
	var refused *openai.Error
	if !errors.As(err, &refused) {
		return &failure{Kind: "error", Message: err.Error()}
	}
	told := &failure{Kind: "openai.Error", Status: &refused.StatusCode, Message: refused.Message}
	if values := refused.Response.Header.Values("Retry-After"); len(values) > 0 {
		told.RetryAfter = &values[0]
	}
	return told
}

func main() {
	var todo job
	if err := json.NewDecoder(os.Stdin).Decode(&todo); err != nil {
		log.Fatal(err)
	}
	client := openai.NewClient(
		option.WithBaseURL(todo.BaseURL),
		option.WithAPIKey(todo.APIKey),
		option.WithMaxRetries(0),
	)
	found := &findings{Readings: []*reading{}, Models: []string{}}
	caller := user{client, found}
	var err error
	if todo.Request == nil {
		err = caller.listModels()
	} else {
		err = caller.converse(todo)
	}
	if err != nil {
		found.Error = describe(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		log.Fatal(err)
	}
}
