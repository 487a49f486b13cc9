"""The scripted upstreams themselves: documents that the vendors' SDKs take, streams of the right
grammar, and every SDK straight at the upstream of its own dialect reads the story.
"""

from dataclasses import replace

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from botocore.validate import ParamValidator

from arno.wire import json
from tests.sdk import grammar, matrix
from tests.sdk.agents import AGENT_SPEAKS, AGENTS
from tests.sdk.clients import NODE
from tests.sdk.readers import PYTHON, SPEAKS
from tests.sdk.upstreams import DIALECTS, scripted, story


@pytest.fixture(scope="module")
def upstream():
    with scripted() as found:
        yield found


CLIENTS = [pytest.param(name, marks=() if name in PYTHON else NODE) for name in SPEAKS]


OPENROUTERS = "request: unknown member usage"
"""What the provider for OpenRouter asks of every upstream."""


@pytest.mark.parametrize("client", CLIENTS)
def test_each_sdk_reads_the_story_from_the_upstream_of_its_dialect(
    client, upstream, programs_folder
):
    dialect = SPEAKS[client]
    todo = matrix.cases(client, dialect)
    found = matrix.run_cases(client, programs_folder, todo, [upstream.url] * len(todo), "")
    problems = {}
    for case, finding in zip(todo, found, strict=True):
        asked = upstream.asked(case.name)
        if case.scenario in story.STATUS or case.scenario in story.BROKEN_OFF:
            status = story.STATUS.get(case.scenario)
            wrong = matrix.failure_problems(case, finding, {status})
        else:
            wrong = matrix.read_problems(case, finding)
            wrong += matrix.asked_problems(case, asked, matrix.artefacts_of(case))
        wrong = [one for one in wrong if one != OPENROUTERS]
        if wrong:
            problems[case.name] = wrong
    assert not problems, matrix.listed(problems)


@pytest.mark.parametrize("agent", AGENTS)
def test_each_agent_reads_the_story_from_the_upstream_of_its_dialect(agent, upstream):
    problems = {}
    for scenario, stream in matrix.scenarios(AGENT_SPEAKS[agent]):
        if not stream or scenario in ("cut", "image_in", "image_out", "schema"):
            continue
        case = matrix.Case(agent, AGENT_SPEAKS[agent], scenario, stream)
        finding = AGENTS[agent](case.job(upstream.url, ""))
        if scenario in story.STATUS or scenario == "mid_error":
            wrong = matrix.failure_problems(case, finding, {story.STATUS.get(scenario)})
        else:
            wrong = matrix.read_problems(case, finding)
            asked = upstream.asked(case.name)
            wrong += matrix.asked_problems(case, asked, matrix.artefacts_of(case))
        if wrong:
            problems[case.name] = wrong
    assert not problems, matrix.listed(problems)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_whole_answers_are_what_the_vendors_models_take(dialect):
    for case in matrix.cases("any", dialect):
        for turn in range(len(case.turns)):
            asked = story.Asked({}, "", False, {}, scenario=case.scenario, turn=turn)
            WHOLE[dialect](DIALECTS[dialect].whole(asked))


def _converse(document):
    report = ParamValidator().validate(document, _shape("Converse").output_shape)
    assert not report.has_errors(), report.generate_report()


def _shape(name):
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    return model.operation_model(name)


WHOLE = {**grammar.WHOLE, "converse": _converse}


def test_the_binary_streams_are_what_botocore_reads(upstream):
    """botocore's client, streamed and whole, is the official SDK of this dialect."""
    client = botocore.session.get_session().create_client(
        "bedrock-runtime",
        region_name="eu-south-1",
        endpoint_url=upstream.url,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"max_attempts": 0}),
    )
    said = [{"role": "user", "content": [{"text": story.PROMPT}]}]
    for scenario in ("text", "thinking", "thinking_tool", "parallel", "length"):
        case = f"{scenario}.botocore-{scenario}-"
        whole = client.converse(modelId=f"{case}1", messages=said)
        stream = client.converse_stream(modelId=f"{case}2", messages=said)["stream"]
        blocks, reason = _folded(list(stream))
        assert (blocks, reason) == (whole["output"]["message"]["content"], whole["stopReason"])
    with pytest.raises(EventStreamError, match="The server had an error"):
        list(client.converse_stream(modelId="mid_error.botocore-x", messages=said)["stream"])
    for scenario, kind in (
        ("limited", "ThrottlingException"),
        ("bad_request", "ValidationException"),
    ):
        with pytest.raises(ClientError, match=kind):
            client.converse(modelId=f"{scenario}.botocore-{scenario}", messages=said)


def _folded(events):
    """(content, stop reason) of a stream of Converse events."""
    texts, blocks, reason = {}, {}, None
    for event in events:
        [(kind, document)] = event.items()
        index = document.get("contentBlockIndex")
        if kind == "contentBlockStart":
            blocks[index] = document["start"]["toolUse"]
        elif kind == "contentBlockDelta":
            [(slot, value)] = document["delta"].items()
            for name, piece in value.items() if isinstance(value, dict) else [(slot, value)]:
                place = texts.setdefault(index, {}).setdefault((slot, name), "")
                texts[index][slot, name] = place + piece
        elif kind == "messageStop":
            reason = document["stopReason"]
    return [_block(texts[index], blocks.get(index)) for index in sorted(texts)], reason


def _block(texts, use):
    if use is not None:
        return {"toolUse": {**use, "input": json.loads(texts["toolUse", "input"].encode())}}
    [(slot, _), *_] = texts
    if slot == "text":
        return {"text": texts["text", "text"]}
    return {
        "reasoningContent": {"reasoningText": {name: text for (_, name), text in texts.items()}}
    }


@pytest.mark.parametrize("dialect", grammar.CHECKS)
def test_the_streams_have_the_grammar_of_their_dialect(dialect):
    for case in matrix.cases("any", dialect):
        if case.scenario in story.STATUS or not case.stream or case.scenario == "cut":
            continue
        for turn in range(len(case.turns)):
            asked = story.Asked({}, "", True, {}, scenario=case.scenario, turn=turn)
            body = b"".join(DIALECTS[dialect].answer(asked).body)
            failed = case.scenario == "mid_error"
            problems = grammar.check(dialect, body, failed=failed)
            # The vendor's own chunks: an error is a document without a choice.
            assert [one for one in problems if not one.startswith(VENDORS)] == [], case.name


VENDORS = ("finish reasons []", "id: ", "model: ", "object: ", "created: ", "sequence numbers")
"""What our gateway's failures say, and a vendor's do not."""


def _spoiled(events):
    """Streams with one fault each: an event left out, told twice, or two exchanged."""
    for at in range(len(events)):
        yield events[:at] + events[at + 1 :]
        yield events[: at + 1] + events[at:]
        if at and events[at] != events[at - 1]:
            yield [*events[: at - 1], events[at], events[at - 1], *events[at + 1 :]]


@pytest.mark.parametrize("dialect", ["messages", "responses"])
def test_the_grammar_notices_what_is_left_out_told_twice_or_exchanged(dialect):
    """Every such fault of a stream with reasoning and a call, but in a ping, or of equal weight."""
    asked = story.Asked({}, "", True, {}, scenario="thinking_tool")
    events = grammar.sse(b"".join(DIALECTS[dialect].answer(asked).body))
    spoiled = list(_spoiled(events))
    missed = [one for one in spoiled if not grammar.check_events(dialect, one)]
    assert len(missed) < len(spoiled) / (2 if dialect == "messages" else 20), len(missed)


def _spoiled_findings(finding):
    """A finding with one fault each."""
    turn = finding["turns"][0]
    for name, value in {
        "text": "another",
        "reasoning": "",
        "calls": [],
        "finish": "stop",
        "images": 1,
        "usage": None,
    }.items():
        yield {**finding, "turns": [{**turn, name: value}, *finding["turns"][1:]]}
    for call in (["a", "wind", "{}"], ["a", "tide", '{"port":"Genoa"}']):
        yield {**finding, "turns": [{**turn, "calls": [call]}, *finding["turns"][1:]]}
    usage = {**turn["usage"], "cached": None}
    yield {**finding, "turns": [{**turn, "usage": usage}, *finding["turns"][1:]]}
    yield {**finding, "turns": finding["turns"][:1]}
    yield {**finding, "error": {"kind": "Any"}}


def _spoiled_requests(asked):
    """The requests of a conversation with one fault each."""
    first, second = asked
    yield [first]
    for name, value in {
        "stream": False,
        "system": "",
        "texts": [],
        "tools": {},
        "calls": [],
        "results": [["other", "rising"]],
        "artefacts": [],
        "images": [story.IMAGE],
        "problems": ["any"],
    }.items():
        yield [first, replace(second, **{name: value})]


def test_the_matrix_notices_each_fault(upstream):
    case = matrix.Case("python-chat", "chat", "thinking_tool", stream=True)
    case.name += "-spoiled"
    [finding] = matrix.run_cases(case.client, None, [case], [upstream.url], "")
    asked, artefacts = upstream.asked(case.name), matrix.artefacts_of(case)
    assert matrix.read_problems(case, finding) == []
    assert matrix.asked_problems(case, asked, artefacts) == []
    assert all(matrix.read_problems(case, one) for one in _spoiled_findings(finding))
    for one in _spoiled_requests(asked):
        assert matrix.asked_problems(case, one, artefacts)
