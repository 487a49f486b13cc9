// The @anthropic-ai/sdk package: Messages, streams through its own accumulator.
import Anthropic from "@anthropic-ai/sdk";
import { converse, counts, isCut, statusError } from "./jobs.mjs";

const describe = (error) => (error instanceof Anthropic.AnthropicError || isCut(error) ? statusError(error) : null);

const ENDS = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
};

function requestOf(job) {
  const content = [{ type: "text", text: job.prompt }];
  if (job.image) {
    content.push({ type: "image", source: { type: "base64", media_type: "image/png", data: job.image } });
  }
  const request = {
    model: job.model,
    system: job.system,
    messages: [{ role: "user", content }],
    max_tokens: 4096,
  };
  if (job.tools.length) request.tools = job.tools.map(([name, input_schema]) => ({ name, input_schema }));
  if (job.schema) request.output_config = { format: { type: "json_schema", schema: job.schema } };
  if (job.thinking) request.thinking = { type: "enabled", budget_tokens: 1024 };
  return request;
}

function read(turn, message) {
  for (const block of message.content) {
    if (block.type === "text") turn.text += block.text;
    if (block.type === "thinking") turn.reasoning += block.thinking;
    if (block.type === "tool_use") turn.calls.push([block.id, block.name, JSON.stringify(block.input)]);
  }
  turn.finish = ENDS[message.stop_reason] ?? message.stop_reason;
  const { input_tokens, output_tokens, output_tokens_details } = message.usage;
  const cached = message.usage.cache_read_input_tokens;
  const parts = (cached ?? 0) + (message.usage.cache_creation_input_tokens ?? 0);
  turn.usage = counts(input_tokens + parts, output_tokens, cached, output_tokens_details?.thinking_tokens);
}

async function streamed(client, request, turn) {
  const stream = client.messages.stream(request);
  stream.on("text", (text) => (turn.text += text));
  const message = await stream.finalMessage();
  if (message.stop_reason === null) throw new Anthropic.AnthropicError("the stream ended without an end");
  const said = turn.text;
  turn.text = "";
  read(turn, message);
  if (said !== turn.text) throw new Error(`the events said ${said}`);
  return message;
}

function messages(job) {
  const client = new Anthropic({ baseURL: job.root, apiKey: job.key, maxRetries: 0 });
  const request = requestOf(job);
  return converse(
    job,
    async (turn) => {
      const message = job.stream ? await streamed(client, request, turn) : await client.messages.create(request);
      if (!job.stream) read(turn, message);
      request.messages.push({ role: "assistant", content: message.content });
      if (!turn.calls.length) return;
      const results = turn.calls.map(([tool_use_id, name]) => ({ type: "tool_result", tool_use_id, content: job.results[name] }));
      request.messages.push({ role: "user", content: results });
    },
    describe,
  );
}

export const readers = { "npm-messages": messages };
