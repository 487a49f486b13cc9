"""Every recorded request into every provider dialect and back (must hold: all but what is told).

What comes back must mean what went in (`meaning`), but for what the encoder told as lost, place by
place. What is sent must be what the vendor takes: by the types of its own client (`vendor_types`)
and by the rules that no type tells (`wire_rules`). A request that a dialect refuses must be refused
for a contract field or for media, by name.

The losses are golden: `tests/golden/translation/losses.json` counts them by pair, place and action.
Written anew by `python -m tests.laws.test_translation_requests`.
"""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arno.canon.ext import Loss
from arno.canon.failure import RequestError
from arno.canon.parts import (
    CacheHint,
    Executor,
    MediaKind,
    MediaPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.request import (
    Message,
    Output,
    Reasoning,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from arno.dialects import DIALECTS
from arno.dialects.base import RequestLine
from arno.wire import json
from tests.laws.corpus import Recording, recorded, request_of
from tests.laws.meaning import changes
from tests.laws.vendor_types import READERS
from tests.laws.wire_rules import RULES
from tests.shared import needs_shared

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "translation" / "losses.json"

REFUSED = re.compile(
    r"/(?:output/kind|tool_choice(?:/names)?|n|stop"
    r"|messages|messages/[0-9]+/parts/[0-9]+(?:/parts/[0-9]+)?)"
)
"""What may refuse a recorded request: a contract field, media that cannot be left out unsaid, and a
conversation without a turn."""

SHOWN = 5
"""Requests that a failing test names."""

BEGUN_BY_THE_MODEL = re.compile(
    r"test_deepseek_responses_replay_own_reasoning_history\.yaml#[01]"
    r"|test_message_history_can_start_with_model_response\.yaml#0"
)
"""Recordings whose history begins with the model, which some vendors refuse: who asks for that must
be told so by them, since no other conversation would be the same one."""

SAID_NOTHING = re.compile(r"chat-bad-request\.yaml#0")
"""A recording of a bad request: its one message has no content, for the upstream to refuse."""

IDS_OF_ONE_HOST = re.compile(r"test_openai_responses_stream\.yaml#1")
"""An id of more than 40 characters, which one host of the chat wire refuses: the quirk of its row
shortens it (R15), not the dialect, since others take it."""

EXCUSED: dict[str, tuple[re.Pattern[str], ...]] = {
    "chat": (IDS_OF_ONE_HOST,),
    "responses": (SAID_NOTHING,),
    "messages": (BEGUN_BY_THE_MODEL, SAID_NOTHING),
    "converse": (BEGUN_BY_THE_MODEL,),
}
"""Recordings that break a rule of a wire in the client's own words."""


class Passed(msgspec.Struct):
    """A request as it went out, its document, and what the target's decoder makes of that."""

    request: Request
    losses: tuple[Loss, ...] = ()
    body: bytes = b""
    again: Request | None = None
    refused: str | None = None


@cache
def requests() -> tuple[tuple[Recording, Request], ...]:
    """Every recorded request that its own dialect reads, without what is for a gateway."""
    found = []
    for recording in recorded():
        try:
            request = request_of(recording)
        except RequestError:
            continue
        found.append((recording, msgspec.structs.replace(request, routing=None)))
    return tuple(found)


@cache
def passed(number: int, target: str) -> Passed:
    """A recorded request on its way there and back, as the gateway sends it."""
    recording, request = requests()[number]
    if recording.dialect.name != target:
        # Members that are a dialect's own are disposed of by the tables (`test_dispositions`).
        request = msgspec.structs.replace(request, ext={})
    return sent(request, target)


def sent(request: Request, target: str) -> Passed:
    """There and back."""
    try:
        body, losses = DIALECTS[target].encode_request(request)
    except RequestError as error:
        return Passed(request, refused=error.path)
    line = RequestLine(model=request.model, stream=request.stream)
    return Passed(request, losses, body, DIALECTS[target].decode_request(body, line))


def listed(wrong: dict[str, list[str]]) -> str:
    """Findings by recording, the first ones."""
    first = [f"{name}: {found[:3]}" for name, found in list(wrong.items())[:SHOWN]]
    return "\n".join([f"{len(wrong)} of {len(requests())}", *first])


@needs_shared
@pytest.mark.parametrize("target", sorted(DIALECTS))
def test_every_recorded_request_comes_back_but_for_what_is_told(target: str) -> None:
    wrong = {}
    for number, (recording, _) in enumerate(requests()):
        done = passed(number, target)
        if done.again is not None:
            found = changes(done.request, done.again, done.losses, target)
        else:
            allowed = REFUSED.fullmatch(done.refused or "")
            found = [] if allowed else [f"refused for {done.refused}"]
        if found:
            wrong[recording.id] = found
    assert not wrong, listed(wrong)


@needs_shared
@pytest.mark.parametrize("target", sorted(DIALECTS))
def test_what_is_sent_is_what_the_vendor_takes(target: str) -> None:
    wrong = {}
    for number, (recording, _) in enumerate(requests()):
        done = passed(number, target)
        excused = any(rows.search(recording.id) for rows in EXCUSED.get(target, ()))
        if done.again is None or recording.dialect.name == target:
            continue  # what a client said in the vendor's own words is the client's
        document: Any = json.loads(done.body)
        plain = msgspec.json.decode(done.body)
        found = [*filter(None, [READERS[target](plain)]), *RULES[target](document)]
        if bool(found) is not excused:
            wrong[recording.id] = found or ["excused for nothing"]
    assert not wrong, listed(wrong)


def tally() -> dict[str, dict[str, int]]:
    """Losses and refusals by pair: place (numbers as *), action and how many requests had it."""
    found: dict[str, Counter[str]] = {}
    for number, (recording, _) in enumerate(requests()):
        for target in sorted(DIALECTS):
            done = passed(number, target)
            counts = found.setdefault(f"{recording.dialect.name} to {target}", Counter())
            counts["requests"] += 1
            if done.refused is not None:
                counts[f"refused {_general(done.refused)}"] += 1
            for told in {f"{loss.action} {_general(loss.path)}" for loss in done.losses}:
                counts[told] += 1
    return {pair: dict(sorted(counts.items())) for pair, counts in sorted(found.items())}


def _general(path: str) -> str:
    return re.sub(r"/[0-9]+(?=/|$)", "/*", path)


@needs_shared
def test_the_losses_of_recorded_requests_are_golden() -> None:
    assert tally() == json.loads(GOLDEN.read_bytes())


@needs_shared
def test_nothing_is_lost_on_the_way_to_the_same_dialect() -> None:
    for pair, counts in tally().items():
        source, _, target = pair.partition(" to ")
        assert source != target or counts.keys() == {"requests"}


SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "const": "Paris"}}}
FULL = Request(
    model="m",
    messages=(
        Message(Role.SYSTEM, (TextPart(text="be brief"),)),
        Message(Role.USER, (TextPart(text="a", cache=CacheHint("1h")),), name="ann"),
        Message(
            Role.USER,
            (MediaPart(kind=MediaKind.IMAGE, data="aGk=", media_type="image/png", detail="low"),),
        ),
        Message(
            Role.ASSISTANT,
            (
                ReasoningPart(text="t", signature="s", format="f"),
                TextPart(text="b"),
                RefusalPart(text="no"),
                ToolCallPart(call_id="1", name="f", arguments='{"a":1}', namespace="n"),
                ToolCallPart(call_id="2", name="f", arguments="{}", signature="s"),
            ),
        ),
        Message(Role.TOOL, (ToolResultPart(call_id="1", parts=(TextPart(text="x"),)),)),
        Message(Role.TOOL, (ToolResultPart(call_id="2", value={"y": 1}, is_error=True),)),
    ),
    tools=(
        Tool(name="f", description="d", parameters=SCHEMA, strict=True, cache=CacheHint()),
        Tool(name="g", deferred=True),
        Tool(name="h", kind="custom", format={"type": "text"}),
    ),
    tool_choice=ToolChoice(ToolChoiceMode.NAMED, ("f",)),
    parallel_tool_calls=False,
    sampling=Sampling(temperature=1, top_p=2, top_k=3, seed=4, frequency_penalty=5),
    output=Output("schema", schema=SCHEMA, strict=True),
    reasoning=Reasoning(effort="high", summary="detailed", exclude=True),
    max_output_tokens=7,
    stop=("END",),
    n=2,
    user="u",
    metadata={"k": "v"},
    service_tier="flex",
    verbosity="low",
    safety_identifier="i",
    cache_key="c",
    store=True,
)
"""A request in which everything says something."""


def edited(value: Any, path: str, new: Any) -> Any:
    """`value` with what stands at a path exchanged; None where a part or a message is to go."""
    step, _, rest = path.partition("/")
    if isinstance(value, tuple):
        at = int(step)
        inner = edited(value[at], rest, new) if rest else new
        return (*value[:at], *([] if inner is None else [inner]), *value[at + 1 :])
    inner = edited(getattr(value, step), rest, new) if rest else new
    return msgspec.structs.replace(value, **{step: inner})


CHANGES: dict[str, Any] = {
    "messages/0": None,
    "messages/0/role": Role.USER,
    "messages/0/parts/0/text": "be long",
    "messages/1/name": None,
    "messages/1/parts/0/cache": None,
    "messages/1/parts/0/text": "c",
    "messages/2/parts/0/detail": None,
    "messages/2/parts/0/media_type": "image/jpeg",
    "messages/2/parts/0/data": "aGo=",
    "messages/2/parts/0/kind": MediaKind.FILE,
    "messages/3/parts/0": None,
    "messages/3/parts/0/signature": None,
    "messages/3/parts/1": None,
    "messages/3/parts/2": TextPart(text="no"),
    "messages/3/parts/3": None,
    "messages/3/parts/3/arguments": '{"a": 1}',
    "messages/3/parts/3/name": "g",
    "messages/3/parts/3/call_id": "3",
    "messages/3/parts/3/namespace": None,
    "messages/3/parts/3/executor": Executor.PROVIDER,
    "messages/3/parts/4/signature": None,
    "messages/4": None,
    "messages/4/parts/0/parts/0/text": "y",
    "messages/4/parts/0/parts": (),
    "messages/5/parts/0/is_error": None,
    "messages/5/parts/0/value": {"y": 2},
    "messages/5/parts/0/call_id": "1",
    "tools/0": None,
    "tools/0/description": None,
    "tools/0/parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "tools/0/strict": None,
    "tools/0/cache": None,
    "tools/1/deferred": False,
    "tools/2/kind": "function",
    "tools/2/format": None,
    "tool_choice": None,
    "tool_choice/names": ("g",),
    "parallel_tool_calls": None,
    "sampling/temperature": 2,
    "sampling/top_p": None,
    "sampling/top_k": None,
    "sampling/seed": None,
    "sampling/frequency_penalty": None,
    "output": None,
    "output/schema": {},
    "output/strict": None,
    "reasoning": None,
    "reasoning/effort": "low",
    "reasoning/summary": None,
    "reasoning/exclude": None,
    "max_output_tokens": 8,
    "stop": (),
    "n": None,
    "user": None,
    "metadata": None,
    "service_tier": None,
    "verbosity": None,
    "safety_identifier": None,
    "cache_key": None,
    "store": None,
}
"""Mutants: what an encoder might forget or change."""


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_that_is_not_told_is_noticed(path: str) -> None:
    assert not changes(FULL, FULL, (), "chat")
    changed = edited(FULL, path, CHANGES[path])
    assert changes(FULL, changed, (), "chat")
    told = Loss(f"/{path.removesuffix('/role')}", "dropped", "why")
    assert not changes(FULL, changed, (told,), "chat")


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        ("messages/1/parts", TextPart(text="from nowhere")),
        ("messages/3/parts", ToolCallPart(call_id="3", name="f")),
        ("messages", Message(Role.USER, (TextPart(text="from nowhere"),))),
        ("tools", Tool(name="i")),
    ],
)
def test_what_comes_from_nowhere_is_noticed(path: str, extra: Part | Message | Tool) -> None:
    place: Any = FULL
    for step in path.split("/"):
        place = place[int(step)] if step.isdigit() else getattr(place, step)
    assert changes(FULL, edited(FULL, path, (*place, extra)), (), "chat")


def test_words_of_what_is_told_otherwise_are_kept() -> None:
    """A loss of kind approximated allows another place and another cut, and no other words."""
    moved = Loss("/messages/0", "approximated", "why")
    changed = edited(FULL, "messages/0", Message(Role.USER, (TextPart(text="be brief"),)))
    assert not changes(FULL, changed, (moved,), "chat")
    changed = edited(FULL, "messages/0", Message(Role.USER, (TextPart(text="be"),)))
    assert changes(FULL, changed, (moved,), "chat")
    joined = Loss("/messages/4/parts/0/parts", "approximated", "why")
    two = edited(FULL, "messages/4/parts/0/parts", (TextPart(text="x"), TextPart(text="y")))
    one = edited(FULL, "messages/4/parts/0/parts", (TextPart(text="x\ny"),))
    assert not changes(two, one, (joined,), "chat")
    assert changes(two, FULL, (joined,), "chat")


def test_parts_in_another_order_are_noticed() -> None:
    said = FULL.messages[3].parts
    changed = edited(FULL, "messages/3/parts", (said[1], said[0], *said[2:]))
    assert changes(FULL, changed, (), "chat")
    swapped = edited(FULL, "messages", (FULL.messages[1], FULL.messages[0], *FULL.messages[2:]))
    assert changes(FULL, swapped, (), "chat")


BROKEN: dict[str, tuple[str, Any]] = {
    "chat": ("chat", {"messages": [{"role": "tool", "tool_call_id": "1", "content": "x"}]}),
    "responses": ("responses", {"input": [{"type": "function_call_output", "call_id": "1"}]}),
    "messages, no result": (
        "messages",
        {
            "messages": [
                {"role": "user", "content": "a"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}],
                },
                {"role": "user", "content": "b"},
            ]
        },
    ),
    "messages, empty text": ("messages", {"messages": [{"role": "user", "content": " "}]}),
    "gemini": (
        "gemini",
        {
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"name": "f"}}] * 2},
                {"role": "user", "parts": [{"functionResponse": {"name": "f"}}]},
            ]
        },
    ),
    "converse": (
        "converse",
        {"messages": [{"role": "user", "content": [{"text": "a"}]}] * 2},
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_noticed(case: str) -> None:
    target, document = BROKEN[case]
    assert list(RULES[target](document))


@pytest.mark.parametrize("target", sorted(DIALECTS))
def test_a_member_that_the_vendor_does_not_know_is_noticed(target: str) -> None:
    request = Request(model="m", messages=(Message(Role.USER, (TextPart(text="a"),)),))
    plain: Any = msgspec.json.decode(sent(request, target).body)
    assert not READERS[target](plain)
    assert READERS[target]({**plain, "foo_bar": 1})
    assert not list(RULES[target](plain))


if __name__ == "__main__":
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_bytes(msgspec.json.format(json.dumps(tally()), indent=1) + b"\n")
