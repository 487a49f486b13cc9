// The openai package: chat completions and Responses.
import OpenAI from "openai";
import { converse, counts, isCut, statusError } from "./jobs.mjs";

function connected(job) {
  return new OpenAI({ baseURL: `${job.root}/v1`, apiKey: job.key, maxRetries: 0 });
}

const describe = (error) => (error instanceof OpenAI.OpenAIError || isCut(error) ? statusError(error) : null);

function chatRequest(job) {
  let content = job.prompt;
  if (job.image) {
    const image_url = { url: `data:image/png;base64,${job.image}` };
    content = [{ type: "text", text: content }, { type: "image_url", image_url }];
  }
  const request = {
    model: job.model,
    stream: job.stream,
    messages: [{ role: "system", content: job.system }, { role: "user", content }],
    max_tokens: 4096,
  };
  if (job.stream) request.stream_options = { include_usage: true };
  if (job.tools.length) {
    request.tools = job.tools.map(([name, parameters]) => ({ type: "function", function: { name, parameters } }));
  }
  if (job.schema) {
    const json_schema = { name: "berth", schema: job.schema, strict: true };
    request.response_format = { type: "json_schema", json_schema };
  }
  if (job.thinking) request.reasoning_effort = "high";
  return request;
}

function addDetails(details, more) {
  for (const detail of more ?? []) {
    const known = details.find(({ type, index, id }) => type === detail.type && index === detail.index && (id ?? null) === (detail.id ?? null));
    if (!known) {
      details.push({ ...detail });
      continue;
    }
    const text = (known.text ?? "") + (detail.text ?? "");
    for (const [name, value] of Object.entries(detail)) if (value !== null) known[name] = value;
    if ("text" in known) known.text = text;
  }
}

function chatAdd(turn, details, document) {
  if (document.usage) {
    const { prompt_tokens, completion_tokens, prompt_tokens_details, completion_tokens_details } = document.usage;
    const parts = [prompt_tokens_details?.cached_tokens, completion_tokens_details?.reasoning_tokens];
    turn.usage = counts(prompt_tokens, completion_tokens, ...parts);
  }
  for (const choice of document.choices) {
    const part = choice.delta ?? choice.message;
    turn.text += (part.content ?? "") + (part.refusal ?? "");
    turn.reasoning += part.reasoning ?? "";
    turn.refused ||= Boolean(part.refusal);
    turn.images += part.images?.length ?? 0;
    turn.finish = choice.finish_reason ?? turn.finish;
    addDetails(details, part.reasoning_details);
    for (const call of part.tool_calls ?? []) {
      if (call.id) turn.calls.push([call.id, call.function.name, ""]);
      turn.calls.at(-1)[2] += call.function.arguments ?? "";
    }
  }
}

function chat(job) {
  const client = connected(job);
  const request = chatRequest(job);
  const { messages } = request;
  return converse(
    job,
    async (turn) => {
      const details = [];
      const answer = await client.chat.completions.create(request);
      if (job.stream) for await (const chunk of answer) chatAdd(turn, details, chunk);
      else chatAdd(turn, details, answer);
      const said = { role: "assistant", content: turn.text };
      if (details.length) said.reasoning_details = details;
      if (turn.calls.length) {
        said.tool_calls = turn.calls.map(([id, name, given]) => ({ id, type: "function", function: { name, arguments: given } }));
      }
      messages.push(said);
      for (const [tool_call_id, name] of turn.calls) {
        messages.push({ role: "tool", tool_call_id, content: job.results[name] });
      }
    },
    describe,
  );
}

function responsesRequest(job) {
  const content = [{ type: "input_text", text: job.prompt }];
  if (job.image) {
    content.push({ type: "input_image", image_url: `data:image/png;base64,${job.image}`, detail: "auto" });
  }
  const request = {
    model: job.model,
    instructions: job.system,
    input: [{ role: "user", content }],
    store: false,
    max_output_tokens: 4096,
  };
  if (job.tools.length) {
    request.tools = job.tools.map(([name, parameters]) => ({ type: "function", name, parameters, strict: false }));
  }
  if (job.schema) {
    request.text = { format: { type: "json_schema", name: "berth", schema: job.schema, strict: true } };
  }
  if (job.thinking) {
    request.reasoning = { effort: "high", summary: "auto" };
    request.include = ["reasoning.encrypted_content"];
  }
  return request;
}

const READ = {
  function_call: (turn, item) => turn.calls.push([item.call_id, item.name, item.arguments]),
  reasoning: (turn, item) => {
    for (const part of [...item.summary, ...(item.content ?? [])]) turn.reasoning += part.text;
  },
  image_generation_call: (turn) => turn.images++,
  message: (turn, item) => {
    for (const part of item.content) {
      turn.text += part.refusal ?? part.text;
      turn.refused ||= part.type === "refusal";
    }
  },
};

const ENDS = { max_output_tokens: "length", content_filter: "content_filter" };

function responsesRead(turn, response) {
  for (const item of response.output) READ[item.type]?.(turn, item);
  const why = ENDS[response.incomplete_details?.reason];
  turn.finish = why ?? (turn.calls.length ? "tool_calls" : "stop");
  if (response.usage) {
    const { input_tokens, output_tokens, input_tokens_details, output_tokens_details } = response.usage;
    const parts = [input_tokens_details?.cached_tokens, output_tokens_details?.reasoning_tokens];
    turn.usage = counts(input_tokens, output_tokens, ...parts);
  }
}

// Reads through the SDK's own accumulator; its sum must be what the last event says.
async function responsesStream(client, request, turn) {
  const stream = client.responses.stream(request);
  for await (const event of stream) {
    if (/^response\.(output_text|refusal)\.delta$/.test(event.type)) turn.text += event.delta;
    if (event.type === "response.failed") throw new OpenAI.OpenAIError(event.response.error.message);
    if (event.type === "error") throw new OpenAI.OpenAIError(event.message);
  }
  const response = await stream.finalResponse();
  if (!["completed", "incomplete"].includes(response.status)) {
    throw new OpenAI.OpenAIError("the stream ended without an end");
  }
  return response;
}

function responses(job) {
  const client = connected(job);
  const request = responsesRequest(job);
  return converse(
    job,
    async (turn) => {
      const response = job.stream
        ? await responsesStream(client, request, turn)
        : await client.responses.create(request);
      const streamed = turn.text;
      turn.text = "";
      responsesRead(turn, response);
      if (job.stream && streamed !== turn.text) throw new Error(`the events said ${streamed}`);
      for (const item of response.output) {
        const { parsed_arguments, ...plain } = item;
        request.input.push(plain);
      }
      for (const [call_id, name] of turn.calls) {
        request.input.push({ type: "function_call_output", call_id, output: job.results[name] });
      }
    },
    describe,
  );
}

export const readers = { "npm-chat": chat, "npm-responses": responses };
