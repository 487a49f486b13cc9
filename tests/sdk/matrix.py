"""The matrix: which jobs there are, and what each must come to, at the client and at the upstream.

The facts are the story's (`upstreams/story.py`), the same for every pair of dialects. What a client
cannot show, or a dialect cannot say, is a row of a table here, with its reason.
"""

from arno.wire import json
from tests.sdk import grammar
from tests.sdk.agents import AGENT_SPEAKS
from tests.sdk.jobs import job
from tests.sdk.readers import RUN, SPEAKS
from tests.sdk.upstreams import DIALECTS, story

HIDES = {
    # This provider has no place for reasoning in chat completions, nor for images.
    "ai-openai-chat": {"reasoning", "images", "artefacts"},
    # Images that a model made are shown by no type of theirs.
    "python-messages": {"images"},
    "npm-messages": {"images"},
    "ai-anthropic": {"images"},
}
"""Client to what it does not show of an answer, or does not send back."""

SHOWS_SUMMARIES_ONLY = {"ai-openai-responses"}
"""Clients that read summaries of reasoning and no reasoning text; only one dialect summarises."""

REFUSALS_HIDDEN = {"ai-openrouter", "ai-openai-chat"}
"""Clients that drop a refusal's words where their dialect has a place of its own for them."""


def scenarios(dialect):
    """(scenario, streamed) that a provider dialect can say."""
    return [
        (scenario, stream)
        for scenario in story.SCENARIOS
        if scenario not in DIALECTS[dialect].CANNOT
        for stream in (True, False)
        if stream or scenario not in story.BROKEN_OFF
    ]


class Case:
    """One cell: a client, a provider dialect, a scenario, streamed or whole."""

    def __init__(self, client, dialect, scenario, stream):
        self.client, self.dialect = client, dialect
        self.speaks = {**SPEAKS, **AGENT_SPEAKS}.get(client)
        self.scenario, self.stream = scenario, stream
        self.name = f"{client}-{dialect}-{scenario}-{'stream' if stream else 'whole'}"
        self.module = DIALECTS[dialect]
        self.turns = story.SCENARIOS[scenario]
        self.hides = HIDES.get(client, set())

    def job(self, root, model):
        """What the client is told to do."""
        return job(root, model, self.scenario, self.name, stream=self.stream)


def cases(client, dialect):
    """Every cell of a client and a provider dialect."""
    return [Case(client, dialect, *row) for row in scenarios(dialect)]


def run_cases(client, folder, todo, roots, model):
    """The findings of cases, in order; roots: the URL for each."""
    jobs = [case.job(root, model) for case, root in zip(todo, roots, strict=True)]
    return RUN[client](folder, jobs)


def artefacts_of(case):
    """The artefacts that come back with the second request."""
    thought = case.scenario == "thinking_tool" and "artefacts" not in case.hides
    return list(case.module.ARTEFACTS) if thought else []


def listed(problems):
    """Problems by case as a text, one line each."""
    lines = [f"{case}: {problem}" for case, found in problems.items() for problem in found]
    return "\n".join([f"{len(problems)} cases", *lines])


# What a client must read.


def read_problems(case, found):
    """What is wrong with a finding, apart from errors."""
    if found["error"] is not None:
        return [f"error {found['error']}"]
    if len(found["turns"]) != len(case.turns):
        return [f"{len(found['turns'])} turns"]
    problems = []
    for number, (read, said) in enumerate(zip(found["turns"], case.turns, strict=True)):
        wanted = _wanted(case, said)
        for name, value in wanted.items():
            if _readable(read, name) != value:
                problems.append(f"turn {number}: {name} {_readable(read, name)!r}, not {value!r}")
    return problems


def _readable(read, name):
    if name == "calls":
        return [(called, json.loads(given.encode())) for _, called, given in read["calls"]]
    if name == "refused":
        return read["refused"] or read["finish"] == "content_filter"
    if name == "reasoning count":
        return (read["usage"] or {}).get("reasoning") or None
    if name == "usage":
        return read["usage"] and {**read["usage"], "reasoning": None}
    return read[name]


def _wanted(case, said):
    counts = story.counted(case.scenario)
    usage = {"input": counts.input, "output": counts.output, "cached": counts.cached}
    wanted = {
        "text": said.text,
        "calls": [(name, json.loads(given.encode())) for name, given in said.calls],
        "usage": {**usage, "reasoning": None},
        "reasoning count": counts.reasoning if case.module.TELLS_REASONING else None,
    }
    if said.refused:
        _want_refusal(case, wanted)
    else:
        wanted["finish"] = said.finish
    summarised = case.dialect == "responses" or case.client not in SHOWS_SUMMARIES_ONLY
    if "reasoning" not in case.hides and summarised:
        wanted["reasoning"] = said.reasoning
    if "images" not in case.hides:
        wanted["images"] = said.images
    return wanted


def _want_refusal(case, wanted):
    """A refusal is an end on some wires and words of their own on others; as words it is told as
    text where the client's dialect has no place for it.
    """
    in_words = case.dialect in ("chat", "responses")
    if case.client in REFUSALS_HIDDEN and in_words:
        del wanted["text"]
    elif not in_words or case.speaks in ("chat", "responses"):
        wanted["refused"] = True


def failure_problems(case, found, statuses):
    """What is wrong with the finding of a scenario that fails. statuses: the legal ones."""
    error, turns = found["error"], found["turns"]
    if error is None:
        return ["no error"]
    if case.scenario in story.BROKEN_OFF:
        return _broken_off_problems(case, turns)
    problems = [f"{len(turns)} turns"] if turns else []
    if error["status"] not in statuses:
        problems.append(f"status {error['status']}, not {statuses}: {error['message']}")
    if error["retry_after"] != ("7" if case.scenario == "limited" else None):
        problems.append(f"retry-after {error['retry_after']}")
    return problems


def _broken_off_problems(case, turns):
    if len(turns) != 1:
        return [f"{len(turns)} turns"]
    [read] = turns
    problems = []
    if read["text"] != story.SHORT:
        problems.append(f"text {read['text']!r}")
    if read["finish"] is not None:
        problems.append(f"finish {read['finish']}")
    if read["usage"] is not None and not case.module.TELLS_USAGE_EARLY:
        problems.append(f"usage {read['usage']}")
    return problems


# What the upstream must have been asked.


def asked_problems(case, asked, artefacts):
    """What is wrong with the requests of a case. artefacts: those that must come back."""
    problems = [problem for one in asked for problem in one.problems]
    if len(asked) != max(1, len(case.turns)):
        return [*problems, f"{len(asked)} requests"]
    for one in asked:
        problems += _request_problems(case, one)
    if len(asked) == 2:
        problems += _history_problems(case, asked[1], artefacts)
    return problems


def _request_problems(case, asked):
    wanted = {
        "stream": (asked.stream, case.stream),
        "has its system prompt": (story.SYSTEM in asked.system, True),
        "has its prompt": (story.PROMPT in "".join(asked.texts[:2]), True),
        "images": (asked.images, [story.IMAGE] if case.scenario == "image_in" else []),
        "tools": (sorted(asked.tools), sorted(story.TOOLS) if case.turns[1:] else []),
    }
    if case.scenario == "schema":
        wanted["schema"] = (_plain(asked.schema), _plain(story.SCHEMA))
    problems = [f"{name} {a!r}, not {b!r}" for name, (a, b) in wanted.items() if a != b]
    for name, schema in asked.tools.items():
        if name in story.TOOLS and _plain(schema) != _plain(story.TOOLS[name]):
            problems.append(f"schema of {name}: {schema}")
    return problems


def _plain(schema):
    """A schema without what clients and wires add or spell in their own way."""
    if isinstance(schema, dict):
        added = ("$schema", "additionalProperties", "propertyOrdering")
        return {name: _plain(one) for name, one in schema.items() if name not in added}
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    return schema.lower() if isinstance(schema, str) else schema


def _history_problems(case, asked, artefacts):
    said = case.turns[0]
    calls = [(name, json.loads(given.encode())) for _, name, given in asked.calls]
    problems = []
    if calls != [(name, json.loads(given.encode())) for name, given in said.calls]:
        problems.append(f"history: calls {calls}")
    ids = [id or name for id, name, _ in asked.calls]
    answered = [(ids.index(id) if id in ids else id) for id, _ in asked.results]
    texts = [text for _, text in asked.results]
    results = [story.RESULTS[name] for name, _ in said.calls]
    # A wire whose results are documents has the text somewhere in one.
    if not all(b in a for a, b in zip(texts, results, strict=True)):
        problems.append(f"history: results {texts}")
    if case.module.HAS_IDS and answered != list(range(len(ids))):
        problems.append(f"history: ids {asked.calls} {asked.results}")
    if said.text not in "".join(asked.texts):
        problems.append(f"history: texts {asked.texts}")
    if asked.artefacts != artefacts:
        problems.append(f"history: artefacts {asked.artefacts}, not {artefacts}")
    return problems


# Both, and the grammar of what the gateway said.

STATUSES = {
    "bad_request": {400},
    # The operator's fault, not the client's.
    "bad_key": {502},
    "limited": {429},
    "broken": {500, 502},
    "overloaded": {503, 529},
}
"""What a client is told of an upstream that refused before any output."""


def problems_of(case, finding, world):
    """What is wrong with one cell at a gateway."""
    asked, taped = world.upstream.asked(case.name), world.tape(case.name)
    fails = case.scenario in story.STATUS or case.scenario in story.BROKEN_OFF
    if fails:
        wrong = failure_problems(case, finding, STATUSES.get(case.scenario))
        wrong += [problem for one in asked for problem in one.problems]
    else:
        wrong = read_problems(case, finding)
        wrong += asked_problems(case, asked, artefacts_of(case))
    for answer in taped:
        if answer.streamed:
            found = grammar.check(case.speaks, answer.body, failed=fails)
            wrong += [f"grammar: {problem}" for problem in found]
        elif answer.status == 200:
            wrong += [f"model: {found}" for found in grammar.check_whole(case.speaks, answer.body)]
    streams = [answer.streamed for answer in taped if answer.status == 200]
    if set(streams) - {case.stream}:
        wrong.append(f"streamed {streams}")
    return wrong
