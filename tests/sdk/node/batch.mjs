// Many jobs in one process: standard input holds {"client", "jobs"}, standard output gets one JSON
// line with the findings in the same order (tests/sdk/jobs.py describes both).
import { readFileSync } from "node:fs";

const MODULES = { npm: ["./openai.mjs", "./anthropic.mjs"], ai: ["./ai.mjs"] };
const AT_ONCE = 4;

const { client, jobs } = JSON.parse(readFileSync(0, "utf8"));

async function readerOf(name) {
  for (const path of MODULES[name.split("-")[0]]) {
    const { readers } = await import(path);
    if (readers[name]) return readers[name];
  }
  throw new Error(`no such client: ${name}`);
}

const reader = await readerOf(client);
const findings = [];
let next = 0;

async function work() {
  while (next < jobs.length) {
    const number = next++;
    try {
      findings[number] = await reader(jobs[number]);
    } catch (error) {
      // A bug of the program or of the SDK: told with its job.
      findings[number] = { id: jobs[number].id, turns: [], error: { kind: "crash", message: String(error.stack) } };
    }
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
console.log(JSON.stringify(findings));
