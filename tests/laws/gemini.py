"""What the laws of the gemini dialect share: recordings, streams, and what its wire can tell."""

import gzip
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec

from arno.canon.events import Event, PartDelta, StreamError
from arno.canon.ext import Loss
from arno.canon.parts import Part, RefusalPart, TextPart, ToolCallPart
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects import DIALECTS
from arno.dialects.base import Dialect, RequestLine, Stamp, StreamDecoder
from arno.dialects.gemini.reasons import CANONICAL
from arno.wire import Frame, json
from tests.laws import harness
from tests.laws.harness import no_price
from tests.shared import SHARED

GEMINI: Dialect = DIALECTS["gemini"]
SPOKEN = frozenset({"gemini", "vertex-gemini"})
"""The recordings' own names of the dialect."""

FAULTS = frozenset({"abort", "cut", "mid_error"})
"""Rewrites of streams that must end as a failure."""
SAME = frozenset({"ascii_json", "comments", "cr", "multidata", "nospace", "retryid"})
"""Rewrites of streams that keep their meaning."""

BAD_STATUS = 400
"""Two recordings are refusals: the host may not fetch a URL."""


class Recording(msgspec.Struct, frozen=True):
    """One interaction; rewrite: "" for a recording as it was made."""

    id: str
    rewrite: str
    model: str
    stream: bool
    status: int
    request: Any
    body: bytes

    @property
    def original(self) -> str:
        """The id of the recording that a rewrite was made from."""
        return self.id.removesuffix(f"~{self.rewrite}")

    @property
    def line(self) -> RequestLine:
        """What its path says."""
        return RequestLine(model=self.model, stream=self.stream)


@cache
def rows(name: str) -> tuple[Recording, ...]:
    """Every interaction of the dialect in a file."""
    assert SHARED is not None
    found = []
    with gzip.open(SHARED / "corpus" / name) as lines:
        for line in lines:
            if b"gemini" not in line:
                continue
            row: Any = json.loads(line)
            if row["dialect"] in SPOKEN:
                found.append(
                    Recording(
                        id=row["id"],
                        rewrite=row.get("pert") or "",
                        model=row["model"],
                        stream=row["body_kind"] == "sse",
                        status=row["status"],
                        request=row["request"],
                        body=row["body"].encode(),
                    )
                )
    return tuple(found)


def recorded() -> tuple[Recording, ...]:
    """Every interaction as it was recorded."""
    return rows("interactions.jsonl.gz")


def rewritten() -> tuple[Recording, ...]:
    """Every rewritten stream."""
    return rows("interactions-perturbed.jsonl.gz")


def answers() -> list[Recording]:
    """The whole answers with a good status."""
    return [r for r in recorded() if not r.stream and r.status == 200]


def streams() -> list[Recording]:
    """The streams."""
    return [r for r in recorded() if r.stream]


def decoder() -> StreamDecoder:
    """A decoder for one stream."""
    return GEMINI.stream_decoder()


def decode(body: bytes, make=decoder) -> list[Event]:
    """Events of a whole body."""
    return harness.decode(body, make)


def decode_frames(frames: Iterable[Frame], **how: Any) -> list[Event]:
    """Events of some frames."""
    return harness.decode_frames(frames, how.pop("make", decoder), **how)


def encode(
    batches: Iterable[Sequence[Event]], stamp: Stamp | None = None
) -> tuple[bytes, tuple[Loss, ...]]:
    """The stream that says `batches`, and what was lost."""
    encoder = GEMINI.stream_encoder(stamp or Stamp(), no_price, include_usage=True)
    return b"".join(encoder.feed(batch) for batch in batches), encoder.losses


def finish_place(frames: list[Frame]) -> int:
    """The place of the last frame in which a candidate finishes for the first time."""
    seen: set[int] = set()
    place = -1
    for number, frame in enumerate(frames):
        document: Any = json.loads(frame.data) if frame.data else {}
        for candidate in document.get("candidates") or ():
            if candidate.get("finishReason") and candidate.get("index", 0) not in seen:
                seen.add(candidate.get("index", 0))
                place = number
    return place


def spaceless(value: Any) -> Any:
    """A bare value with arguments as JSON values: some rewrites lay a document out anew."""
    if isinstance(value, dict):
        return {
            key: json.loads(inner) if key == "arguments" and inner else spaceless(inner)
            for key, inner in value.items()
        }
    return [spaceless(item) for item in value] if isinstance(value, list) else value


def told(answer: Response) -> Response:
    """What a client reads of `answer` on this wire, whole or as a stream.

    Texts that follow each other are one, empty ones are none, calls without arguments have {}, a
    word of another wire's for the end is the one of this wire's.
    """
    return msgspec.structs.replace(answer, choices=tuple(map(_told, answer.choices)))


def _told(choice: Choice) -> Choice:
    parts: list[Part] = []
    for part in choice.parts:
        if parts and _joins(parts[-1], part):
            parts[-1] = _join(parts[-1], part)
        elif isinstance(part, ToolCallPart):
            # White space around arguments is no part of them.
            given = part.arguments.strip(" \t\r\n") or "{}"
            parts.append(msgspec.structs.replace(part, arguments=given))
        elif not (isinstance(part, TextPart) and not part.text and part.signature is None):
            parts.append(part)
    reason, native = choice.reason, choice.native_reason
    if native not in CANONICAL and reason is not None:
        native = {
            FinishReason.LENGTH: "MAX_TOKENS",
            FinishReason.CONTENT_FILTER: "SAFETY",
        }.get(reason, "STOP")
        reason = FinishReason.STOP if reason is FinishReason.OTHER else reason
    return msgspec.structs.replace(choice, parts=tuple(parts), reason=reason, native_reason=native)


def _joins(first: Part, second: Part) -> bool:
    """Texts that follow each other; thoughts of other wires are kept apart."""
    if type(first) is not type(second) or not isinstance(first, TextPart | RefusalPart):
        return False
    return (first.signature, first.format) == (second.signature, second.format)


def _join(first: Any, second: Any) -> Part:
    changes: dict[str, Any] = {"text": first.text + second.text}
    if isinstance(first, TextPart):
        moved = [_moved(each, len(first.text)) for each in second.annotations]
        changes["annotations"] = (*first.annotations, *moved)
    return msgspec.structs.replace(first, **changes)


def _moved(annotation: Any, by: int) -> Any:
    inner = annotation["url_citation"]
    if "start_index" not in inner:
        return annotation
    places = {name: inner[name] + by for name in ("start_index", "end_index")}
    return {**annotation, "url_citation": {**inner, **places}}


def shattered(events: Iterable[Event], data: Any, cuts: Any) -> list[Event]:
    """The same events, text deltas in arbitrary pieces."""
    pieces: list[Event] = []
    for event in events:
        if isinstance(event, PartDelta) and event.slot in ("text", "arguments"):
            places = sorted(data.draw(cuts(len(event.value))))
            ends = [0, *places, len(event.value)]
            texts = [event.value[a:b] for a, b in pairwise(ends)]
            pieces += [PartDelta(event.index, event.slot, text) for text in texts if text]
        else:
            pieces.append(event)
    return pieces


def failure_of(events: Sequence[Event]) -> Any:
    """The failure that ended a stream."""
    last = events[-1]
    assert isinstance(last, StreamError)
    return last.failure
