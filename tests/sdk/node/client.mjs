// The official npm client in the hands of a user. Standard input holds one job (tests/sdk/clients.py
// describes it); standard output gets one JSON line: what the client read. With the argument `helper`
// it reads through the client's stream helper.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const job = JSON.parse(readFileSync(0, "utf8"));
const client = new OpenAI({ baseURL: job.base_url, apiKey: job.api_key, maxRetries: 0 });
const found = { readings: [], models: [], error: null };

function newReading(headers) {
  const generation_id = headers.get("x-generation-id") ?? null;
  return { text: "", call: null, arguments: "", reasons: [], usage: null, provider: null, generation_id };
}

// Adds one chunk of a stream, or a whole answer: they differ in `delta` and `message`.
function add(reading, document) {
  reading.provider ??= document.provider ?? null;
  if (document.usage) {
    const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details, cost } = document.usage;
    const cached = prompt_tokens_details?.cached_tokens ?? null;
    reading.usage = { input: prompt_tokens, output: completion_tokens, total: total_tokens, cached, cost };
  }
  for (const choice of document.choices) {
    const part = choice.delta ?? choice.message;
    reading.text += part.content ?? "";
    if (choice.finish_reason) reading.reasons.push(choice.finish_reason);
    for (const call of part.tool_calls ?? []) {
      reading.call ??= [call.id, call.function.name];
      reading.arguments += call.function.arguments ?? "";
    }
  }
}

async function ask(request) {
  const { data, response } = await client.chat.completions.create(request).withResponse();
  const reading = newReading(response.headers);
  found.readings.push(reading);
  if (!request.stream) {
    add(reading, data);
    return reading;
  }
  for await (const chunk of data) add(reading, chunk);
  return reading;
}

// The same through the helper, which hides the response's headers. Its events and its sum agree.
async function askHelper(request) {
  const stream = client.chat.completions.stream(request);
  const reading = newReading(new Headers());
  stream.on("connect", () => found.readings.push(reading));
  stream.on("content", (delta) => (reading.text += delta));
  const whole = await stream.finalChatCompletion();
  const streamed = reading.text;
  reading.text = "";
  add(reading, whole);
  if (reading.text !== streamed) throw new Error(`the events said ${streamed}`);
  return reading;
}

async function converse(askOne) {
  let request = job.request;
  let reading = await askOne(request);
  for (const content of job.tool_results) {
    const [id, name] = reading.call;
    const call = { id, type: "function", function: { name, arguments: reading.arguments } };
    const said = { role: "assistant", content: reading.text, tool_calls: [call] };
    const result = { role: "tool", tool_call_id: id, content };
    request = { ...request, messages: [...request.messages, said, result] };
    reading = await askOne(request);
  }
}

async function listModels() {
  for await (const model of client.models.list()) found.models.push(model.id);
}

try {
  const askOne = process.argv[2] === "helper" ? askHelper : ask;
  await (job.request ? converse(askOne) : listModels());
} catch (error) {
  if (!(error instanceof OpenAI.OpenAIError)) throw error;
  found.error = {
    kind: error.constructor.name,
    status: error.status ?? null,
    message: error.error?.message ?? error.message,
    retry_after: error.headers?.get("retry-after") ?? null,
  };
}
console.log(JSON.stringify(found));
