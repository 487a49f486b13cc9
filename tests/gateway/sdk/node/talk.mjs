// Sends the requests on standard input (a JSON array) to the gateway named by the first argument
// and prints what the official client read of each streamed answer, one JSON object a line.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "sk-any-0123456789abcdef", maxRetries: 0 });

for (const request of JSON.parse(readFileSync(0, "utf8"))) {
  const answer = { text: "", call: null, arguments: "", reason: null, usage: null };
  for await (const chunk of await client.chat.completions.create(request)) {
    answer.usage = chunk.usage ?? answer.usage;
    for (const choice of chunk.choices) {
      answer.text += choice.delta.content ?? "";
      answer.reason = choice.finish_reason ?? answer.reason;
      for (const call of choice.delta.tool_calls ?? []) {
        answer.call ??= [call.id, call.function.name];
        answer.arguments += call.function.arguments ?? "";
      }
    }
  }
  console.log(JSON.stringify(answer));
}
