// The Vercel AI SDK with the providers that speak OpenRouter's, OpenAI's and Anthropic's dialects.
import { APICallError, AISDKError, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { converse, counts, isCut } from "./jobs.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const MODELS = {
  "ai-openrouter": ({ root, key, model }) =>
    createOpenRouter({ baseURL: `${root}/v1`, apiKey: key })(model, { usage: { include: true } }),
  "ai-openai-chat": ({ root, key, model }) => createOpenAI({ baseURL: `${root}/v1`, apiKey: key }).chat(model),
  "ai-openai-responses": ({ root, key, model }) =>
    createOpenAI({ baseURL: `${root}/v1`, apiKey: key }).responses(model),
  "ai-anthropic": ({ root, key, model }) => createAnthropic({ baseURL: `${root}/v1`, apiKey: key })(model),
};

const THINKING = {
  openrouter: { reasoning: { effort: "high" } },
  openai: { reasoningEffort: "high", reasoningSummary: "auto", store: false, forceReasoning: true, include: ["reasoning.encrypted_content"] },
  anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } },
};

// A model that the provider does not know is asked for a schema by a tool; ours know schemas.
const PLAIN = { openai: { store: false }, anthropic: { structuredOutputMode: "outputFormat" } };

function describe(error) {
  const call = error?.lastError ?? error;
  if (APICallError.isInstance(call)) {
    const retry_after = call.responseHeaders?.["retry-after"] ?? null;
    return { kind: call.name, status: call.statusCode ?? null, message: call.message, retry_after };
  }
  if (AISDKError.isInstance(call) || isCut(call) || call?.reported) {
    return { kind: call.name ?? "Error", status: null, message: String(call.message), retry_after: null };
  }
  return null;
}

// What a stream reports as its error is no exception of a class: any document may come.
class Reported extends Error {
  constructor(error) {
    super(error?.message ?? JSON.stringify(error));
    this.reported = true;
  }
}

function requestOf(name, job) {
  const content = [{ type: "text", text: job.prompt }];
  if (job.image) content.push({ type: "image", image: job.image, mediaType: "image/png" });
  const request = {
    model: MODELS[name](job),
    system: job.system,
    messages: [{ role: "user", content }],
    maxOutputTokens: 4096,
    maxRetries: 0,
    stopWhen: stepCountIs(1),
    providerOptions: job.thinking ? THINKING : PLAIN,
  };
  if (job.tools.length) {
    const made = job.tools.map(([id, schema]) => [id, tool({ inputSchema: jsonSchema(schema) })]);
    request.tools = Object.fromEntries(made);
  }
  if (job.schema) request.output = Output.object({ schema: jsonSchema(job.schema), name: "berth" });
  return request;
}

function addUsage(turn, { inputTokens, outputTokens, inputTokenDetails, outputTokenDetails }) {
  const parts = [inputTokenDetails?.cacheReadTokens, outputTokenDetails?.reasoningTokens];
  turn.usage = counts(inputTokens ?? null, outputTokens ?? null, ...parts);
}

// The provider for OpenAI's chat completions reads the end "error" of a stream as an end of no known
// kind, and that is all its users are told.
function ended(reason) {
  const known = ["stop", "length", "tool-calls", "content-filter"];
  if (!known.includes(reason)) throw new Reported({ message: `the finish reason is ${reason}` });
  return reason.replace("-", "_");
}

const ADD = {
  "text-delta": (turn, part) => (turn.text += part.text),
  "reasoning-delta": (turn, part) => (turn.reasoning += part.text),
  "tool-call": (turn, part) => {
    if (!part.providerExecuted) turn.calls.push([part.toolCallId, part.toolName, JSON.stringify(part.input)]);
  },
  "tool-result": (turn, part) => {
    if (part.output?.result) turn.images++;
  },
  file: (turn) => turn.images++,
  finish: (turn, part) => {
    turn.finish = ended(part.finishReason);
    addUsage(turn, part.totalUsage);
  },
  error: (turn, part) => {
    throw describe(part.error) ? part.error : new Reported(part.error);
  },
};

async function streamed(request, turn) {
  const result = streamText({ ...request, onError: () => {} });
  for await (const part of result.fullStream) ADD[part.type]?.(turn, part);
  return (await result.response).messages;
}

async function whole(request, turn) {
  const result = await generateText(request);
  turn.text = result.text;
  turn.reasoning = result.reasoning.map((part) => part.text).join("");
  for (const part of result.toolCalls) ADD["tool-call"](turn, part);
  for (const part of result.toolResults) ADD["tool-result"](turn, part);
  turn.images += result.files.length;
  turn.finish = ended(result.finishReason);
  addUsage(turn, result.usage);
  return result.response.messages;
}

function reader(name) {
  return (job) => {
    const request = requestOf(name, job);
    return converse(
      job,
      async (turn) => {
        const said = await (job.stream ? streamed : whole)(request, turn);
        const results = turn.calls.map(([toolCallId, toolName]) => ({
          type: "tool-result",
          toolCallId,
          toolName,
          output: { type: "text", value: job.results[toolName] },
        }));
        request.messages = [...request.messages, ...said];
        if (results.length) request.messages.push({ role: "tool", content: results });
      },
      describe,
    );
  };
}

export const readers = Object.fromEntries(Object.keys(MODELS).map((name) => [name, reader(name)]));
