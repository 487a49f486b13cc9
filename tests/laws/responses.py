"""What the laws of the responses dialect share: its recordings, its grammar (R7), its streams."""

import gzip
from base64 import b64decode
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from arno.canon.events import Event, PartDelta, PartEnd, PartStart
from arno.canon.parts import Part
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects import DIALECTS
from arno.dialects.base import Dialect, Stamp
from arno.dialects.responses.reasons import INCOMPLETE_REASONS
from arno.wire import json
from tests.laws.harness import bare, checked, frames_of, no_price
from tests.shared import SHARED

RESPONSES: Dialect = DIALECTS["responses"]

_PYDANTIC = "pydantic-ai/tests/models/cassettes/test_openai_responses"

BAD_STATUS = {
    "pydantic-ai/tests/cassettes/test_model_name_suggestions/"
    "test_inferred_model_name_suggestion.yaml#0": 400,
}
"""Answers that are refusals with their status: tested as failures."""

COUNTED = {
    f"{_PYDANTIC}/test_responses_usage_limit_exceeded.yaml#0",
    f"{_PYDANTIC}/test_responses_usage_limit_not_exceeded.yaml#0",
}
"""Counts of input tokens: another operation, which answers no response object."""

SAME = ("crlf", "nospace", "comments", "ascii_json", "cr", "retryid", "multidata")
FAULTS = ("cut", "abort", "mid_error", "failed")
"""Rewrites of a stream that keep its meaning, and those that must end as a failure."""

HIDDEN = frozenset({"item", "id"})
"""What another wire's values do not have: the item that a part stands in, and its id."""


class Row(msgspec.Struct, frozen=True):
    """One recording; a rewritten one is called `<id of the original>~<name of the rewrite>`."""

    id: str
    rewrite: str
    stream: bool
    status: int
    request: Any
    body: bytes

    @property
    def original(self) -> str:
        """The id of the recording that a rewrite was made from."""
        return self.id.removesuffix(f"~{self.rewrite}")

    @property
    def last(self) -> Any:
        """The response object that a stream ends with."""
        documents = [json.loads(f.data) for f in frames_of(self.body) if f.data]
        ends = [d for d in documents if isinstance(d, dict) and d["type"] == "response.completed"]
        return ends[-1]["response"]


def _rows(name: str) -> tuple[Row, ...]:
    assert SHARED is not None
    found = []
    with gzip.open(SHARED / "corpus" / name) as lines:
        for line in lines:
            if b'"openai-responses"' not in line:
                continue
            row: Any = json.loads(line)
            encoded = row.get("body_b64")
            found.append(
                Row(
                    id=row["id"],
                    rewrite=row.get("pert") or "",
                    stream=row["body_kind"] == "sse",
                    status=row["status"],
                    request=row["request"],
                    body=row["body"].encode() if encoded is None else b64decode(encoded),
                )
            )
    return tuple(found)


@cache
def recorded() -> tuple[Row, ...]:
    """Every interaction as it was recorded, polls for an answer in the making included."""
    return _rows("interactions.jsonl.gz")


@cache
def rewritten() -> tuple[Row, ...]:
    """Every rewritten stream."""
    return _rows("interactions-perturbed.jsonl.gz")


def answers() -> list[Row]:
    """The whole answers."""
    left_out = COUNTED | BAD_STATUS.keys()
    return [row for row in recorded() if not row.stream and row.id not in left_out]


def streams() -> list[Row]:
    """The streams."""
    return [row for row in recorded() if row.stream]


def encode(batches: Iterable[Sequence[Event]], stamp: Stamp | None = None) -> bytes:
    """The stream that says `batches`."""
    encoder = RESPONSES.stream_encoder(stamp or Stamp(), no_price, include_usage=True)
    return b"".join(encoder.feed(batch) for batch in batches)


def late(events: list[Event]) -> list[Event]:
    """The same parts, all open until the last of them has begun, as a chat stream has them."""
    ends = [event for event in events if isinstance(event, PartEnd)]
    others = [event for event in events if not isinstance(event, PartEnd)]
    place = max((n for n, event in enumerate(others) if isinstance(event, PartDelta)), default=-1)
    started = max((n for n, e in enumerate(others) if isinstance(e, PartStart)), default=-1)
    place = max(place, started) + 1
    return checked([*others[:place], *ends, *others[place:]])


def documents_of(body: bytes) -> list[Any]:
    """The documents of a stream."""
    return [json.loads(frame.data) for frame in frames_of(body) if frame.data]


def check_grammar(body: bytes) -> None:
    """R7: numbers, indexes, ids and texts of a stream that we wrote."""
    items: dict[int, Any] = {}
    done: dict[int, Any] = {}
    pieces: dict[tuple[str, int, int], str] = {}
    documents = documents_of(body)
    assert [frame.event for frame in frames_of(body) if frame.data] == [
        document["type"] for document in documents
    ]
    assert [document["sequence_number"] for document in documents] == list(range(len(documents)))
    assert [d["type"] for d in documents[:2]] == ["response.created", "response.in_progress"]
    for document in documents:
        kind, index = document["type"], document.get("output_index", -1)
        if kind == "response.output_item.added":
            assert index == len(items)
            items[index] = document["item"]
        elif kind == "response.output_item.done":
            assert index not in done
            assert document["item"]["id"] == items[index]["id"]
            done[index] = document["item"]
        elif "item_id" in document:
            assert document["item_id"] == items[index]["id"]
            assert index not in done
        _check_text(document, pieces)
    _check_end(documents[-1], items, done)


def _check_text(document: Any, pieces: dict[tuple[str, int, int], str]) -> None:
    kind = document["type"]
    name, _, verb = kind.rpartition(".")
    number = document.get("content_index", document.get("summary_index", 0))
    key = name, document.get("output_index", -1), number
    whole = [document[m] for m in ("text", "refusal", "arguments", "input") if m in document]
    if verb == "delta":
        pieces[key] = pieces.get(key, "") + document["delta"]
    elif verb == "done" and whole:
        assert whole == [pieces.get(key, "")], document


def _check_end(last: Any, items: dict[int, Any], done: dict[int, Any]) -> None:
    response = last["response"]
    assert {"object", "output", "usage", "status", "error", "tools"} <= response.keys()
    assert last["type"] == f"response.{response['status']}"
    if response["status"] == "failed":
        return
    assert [done[index] for index in sorted(done)] == response["output"]
    assert done.keys() == items.keys()
    ids = [item["id"] for item in items.values()]
    assert len(set(ids)) == len(ids)


def told(answer: Response) -> Response:
    """What a client reads of `answer` on this wire: one choice, its own words for the end."""
    choice = answer.choices[0] if answer.choices else Choice()
    reason = choice.reason
    if reason is FinishReason.OTHER:
        reason = FinishReason.STOP
    words = {value: word for word, value in INCOMPLETE_REASONS.items()}
    native = "completed" if reason is not None else "incomplete"
    choice = msgspec.structs.replace(
        choice,
        index=0,
        parts=tuple(map(_told, choice.parts)),
        reason=FinishReason.OTHER if reason is None else reason,
        native_reason=words.get(reason, native) if reason is not None else native,
    )
    return msgspec.structs.replace(answer, choices=(choice,))


def _told(part: Part) -> Part:
    """A format says who reads an artefact: where there is none, nothing is said of it."""
    if part.signature is not None or getattr(part, "sealed", None) is not None:
        return part
    return msgspec.structs.replace(part, format=None)


def plain(value: Any) -> Any:
    """A canonical value as data, without items and ids."""
    return bare(value, without=HIDDEN)
