// Jobs and findings, as tests/sdk/jobs.py describes them, for the npm SDKs.

export function nothingRead() {
  return { text: "", reasoning: "", calls: [], finish: null, refused: false, images: 0, usage: null };
}

export function counts(input, output, cached, reasoning) {
  return { input, output, cached: cached ?? null, reasoning: reasoning ?? null };
}

// ask(turn) reads one answer and appends it, and the results of its calls, to the conversation.
// describe(error) is null for what is no error of the SDK.
export async function converse(job, ask, describe) {
  const found = { id: job.id, turns: [], error: null };
  try {
    for (let number = 0; number < 2; number++) {
      const turn = nothingRead();
      found.turns.push(turn);
      await ask(turn);
      if (!turn.calls.length) break;
    }
  } catch (error) {
    found.error = describe(error);
    if (found.error === null) throw error;
    const last = found.turns.at(-1);
    if (JSON.stringify(last) === JSON.stringify(nothingRead())) found.turns.pop();
  }
  return found;
}

// The error of an SDK made from one generator: openai's and Anthropic's.
export function statusError(error) {
  return {
    kind: error.constructor.name,
    status: error.status ?? null,
    message: error.message,
    retry_after: error.headers?.get?.("retry-after") ?? null,
  };
}

// The body of an answer that breaks off makes fetch throw its own error.
export function isCut(error) {
  return error instanceof TypeError && error.message === "terminated";
}
