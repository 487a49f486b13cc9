"""Every recorded answer in every client's dialect, as a stream and whole (must hold: all of them).

What must be the same behind a translation is what a client acts on: text, reasoning, tool calls
with ids, names and the bytes of their arguments, why it ended, usage. What a dialect may lose is
in `told`, line by line, and nothing else is forgiven.
"""

from typing import Any

import msgspec
import pytest

from arno.canon.parts import (
    Executor,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects import DIALECTS
from arno.dialects.base import Stamp
from arno.wire import json
from tests.laws.corpus import Recording, answer_of, answers, events_of
from tests.laws.harness import folded, no_price
from tests.shared import needs_shared

CLIENTS = ("chat", "responses", "messages", "gemini")

NEVER_COMPARED = {"raw"}

ANSWERS = 728
"""Recorded answers of the five dialects; refusals, failed streams and polls are none."""


def calls_of(choice: Choice) -> list[tuple[str, str, str]]:
    """The calls that the client is to run."""
    return [
        (part.call_id, part.name, part.arguments or "{}")
        for part in choice.parts
        if isinstance(part, ToolCallPart) and part.executor is Executor.CLIENT
    ]


def told(choice: Choice) -> dict[str, Any]:
    """What a client acts on; pieces of one kind that stand apart are one text."""
    parts = choice.parts
    reasoning = [part for part in parts if isinstance(part, ReasoningPart)]
    return {
        "text": "".join(part.text for part in parts if isinstance(part, TextPart)),
        "refusal": "".join(part.text for part in parts if isinstance(part, RefusalPart)),
        "reasoning": "".join(part.text for part in reasoning),
        "signatures": sorted(
            part.signature for part in parts if part.signature and _for_client(part)
        ),
        "sealed": sorted(part.sealed for part in reasoning if part.sealed),
        "calls": calls_of(choice),
        "reason": _reason(choice),
    }


def _for_client(part: Part) -> bool:
    """False for what the provider ran inside its own answer: it goes with all that signed it."""
    return getattr(part, "executor", Executor.CLIENT) is Executor.CLIENT


def _reason(choice: Choice) -> FinishReason:
    """An end that no wire has a word for looks like a good one."""
    reason = choice.reason
    if reason in (None, FinishReason.OTHER, FinishReason.STOP, FinishReason.TOOL_CALLS):
        return FinishReason.TOOL_CALLS if calls_of(choice) else FinishReason.STOP
    return reason


def counts(usage: Usage | None) -> dict[str, Any] | None:
    """Every count that is known."""
    if usage is None:
        return None
    members = {name: getattr(usage, name) for name in Usage.__struct_fields__}
    return {k: v for k, v in members.items() if k not in NEVER_COMPARED and v is not None}


def summary(response: Response) -> dict[str, Any]:
    """What must survive of an answer's first choice."""
    return {**told(response.choices[0]), "usage": counts(response.usage)}


def as_whole(response: Response, client: str) -> Response:
    """The answer as a client of a dialect reads it whole."""
    dialect = DIALECTS[client]
    document, _ = dialect.encode_response(response)
    again = dialect.decode_response(json.dumps(document))
    assert isinstance(again, Response), again
    return again


def as_stream(response: Response, client: str, *, one_by_one: bool) -> Response:
    """The answer as a client of a dialect reads it streamed."""
    dialect = DIALECTS[client]
    encoder = dialect.stream_encoder(Stamp(), no_price, include_usage=True)
    batches = [[event] for event in unfold(response)] if one_by_one else [list(unfold(response))]
    body = b"".join(encoder.feed(batch) for batch in batches)
    return folded(events_of(body, dialect))


def first_choice(response: Response) -> Response:
    """The answer with its first choice alone, which is all that some dialects have."""
    return msgspec.structs.replace(response, choices=response.choices[:1])


def cases() -> list[Recording]:
    """Every recorded answer with at least one choice."""
    return [r for r in answers() if getattr(answer_of(r), "choices", ())]


def difference(recording: Recording, client: str) -> list[str]:
    """What does not survive, by way of telling."""
    response = answer_of(recording)
    assert isinstance(response, Response)
    response = first_choice(response)
    if response.choices[0].reason is None:
        # A stream must say why it ends (R5): this one may be told whole only.
        ways = {"whole": lambda: as_whole(response, client)}
    else:
        ways = {
            "whole": lambda: as_whole(response, client),
            "stream": lambda: as_stream(response, client, one_by_one=True),
            "burst": lambda: as_stream(response, client, one_by_one=False),
        }
    wanted = summary(response)
    found = []
    for name, way in ways.items():
        try:
            got = summary(way())
        except AssertionError as error:
            found.append(f"{name}: {str(error)[:300]}")
            continue
        found += [
            f"{name}: {key}: {str(got[key])[:200]} instead of {str(wanted[key])[:200]}"
            for key in wanted
            if got[key] != wanted[key]
        ]
    return found


@needs_shared
@pytest.mark.parametrize("client", CLIENTS)
def test_every_recorded_answer_says_the_same_in_every_client_dialect(client: str) -> None:
    """N of N: the failing ones are named, with what was lost."""
    recordings = cases()
    lost = {r.id: found for r in recordings if (found := difference(r, client))}
    told_lost = "\n".join(f"{name}: {'; '.join(found)}" for name, found in list(lost.items())[:20])
    assert not lost, f"{len(lost)} of {len(recordings)} differ\n{told_lost}"
    assert len(recordings) == ANSWERS


def test_the_comparison_notices_what_is_lost() -> None:
    """A mutant: one character of the arguments, a signature, a token."""
    call = ToolCallPart(call_id="a", name="f", arguments='{"x": 1}')
    thought = ReasoningPart(text="t", form=ReasoningForm.FULL, signature="s")
    choice = Choice(parts=(thought, call), reason=FinishReason.TOOL_CALLS)
    response = Response(choices=(choice,), usage=Usage(input=1, output=2))
    for changed in (
        msgspec.structs.replace(call, arguments='{"x":1}'),
        msgspec.structs.replace(call, call_id="b"),
    ):
        other = msgspec.structs.replace(choice, parts=(thought, changed))
        assert told(other) != told(choice)
    unsigned = msgspec.structs.replace(thought, signature=None)
    assert told(msgspec.structs.replace(choice, parts=(unsigned, call))) != told(choice)
    more = msgspec.structs.replace(response, usage=Usage(input=1, output=3))
    assert summary(more) != summary(response)
