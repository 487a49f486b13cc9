"""Writes `docs/matrix.md`: what each dialect carries, found by translating and never by hand.

    python scripts/support_matrix.py [--write]

Each scenario of `tests/golden/scenarios` is a canonical request, answer or failure with the places
to look at. It is encoded in every dialect and read again; answers also as a stream. What stands
there afterwards decides: the same, something near it, nothing (the encoder says so), or a refusal.
What differs without the encoder having said so is an error: then nothing is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from arno.canon.events import StreamError
from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, RequestError, Stage
from arno.canon.fold import fold
from arno.canon.parts import PartBase
from arno.canon.request import Request
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.dialects import DIALECTS
from arno.dialects.base import Dialect, RequestLine, Stamp
from arno.dialects.dispositions import DIALECTS as NAMES
from arno.dialects.dispositions import Disposition, table
from arno.dialects.translate import no_price
from arno.wire import FRAMERS, json

ROOT: Final = Path(__file__).resolve().parents[1]
SCENARIOS: Final = ROOT / "tests" / "golden" / "scenarios"
PAGE: Final = ROOT / "docs" / "matrix.md"


COLUMNS: Final = [name for name in NAMES if name in DIALECTS]
"""Dialects in the order of the tables."""


class Word(Enum):
    """What becomes of a feature, in the order of how well it fares."""

    CARRIED = "yes"
    APPROXIMATED = "nearly"
    DROPPED = "no"
    REFUSED = "refused"
    SILENT = "LOST IN SILENCE"


Verdict = tuple[Word, str]
"""What becomes of a feature in one dialect, and why where it is not carried."""


Place = Mapping[str, Json]
"""Where to look; see `Scenario.see`."""


class Instead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a dialect says the same in other words: something stands at one of the places."""

    see: tuple[Place, ...]
    why: str


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feature.

    see: the places to compare, `{"path": pointer}` of a value or `{"part": kind, "fields": [...]}`
    of all parts of a kind; request, answer, failure: the canonical value, or of a request the
    document of a dialect that says it.
    """

    feature: str
    see: tuple[Place, ...] = ()
    instead: Instead | None = None
    request: Request | None = None
    answer: Response | None = None
    failure: Failure | None = None
    dialect: str | None = None
    document: Json = None


Value = Request | Response

Judge = Callable[[Dialect, Scenario], Verdict]
"""What finds the verdict of one cell."""


def scenarios(name: str) -> list[Scenario]:
    """The scenarios of one file."""
    loaded = json.loads((SCENARIOS / f"{name}.json").read_bytes())
    return msgspec.convert(loaded, list[Scenario])


def seen(value: Json, places: Iterable[Place]) -> list[Json]:
    """What stands at the places."""
    return [
        _at(value, place["path"])
        if "path" in place
        else [
            [plain(getattr(part, field)) for field in place["fields"]]
            for part in parts_of(value)
            if part.__struct_config__.tag == place["part"]
        ]
        for place in places
    ]


def parts_of(value: Json) -> list[Json]:
    """All parts of a request or an answer, in order."""
    holders = value.messages if isinstance(value, Request) else value.choices
    return [part for holder in holders for part in holder.parts]


def plain(value: Json) -> Json:
    """A value without residue, for comparing."""
    if isinstance(value, msgspec.Struct):
        hidden = {"ext", "raw", "item"} if isinstance(value, PartBase) else {"ext", "raw"}
        return {
            name: plain(getattr(value, name))
            for name in value.__struct_fields__
            if name not in hidden
        }
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        # A citation's own document stands beside the neutral one and goes back to its dialect.
        return {key: plain(item) for key, item in value.items() if not key.startswith("@")}
    return value


def _at(value: Json, pointer: str) -> Json:
    for step in pointer.split("/")[1:]:
        if isinstance(value, tuple | list):
            value = value[int(step)] if int(step) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            value = getattr(value, step, None)
    return plain(value)


def judged(scenario: Scenario, before: Value, after: Value, losses: Sequence[Loss]) -> Verdict:
    """The verdict on what stands at the scenario's places before and after."""
    first, second = seen(before, scenario.see), seen(after, scenario.see)
    if json.equal(to_json(first), to_json(second)):
        return Word.CARRIED, ""
    why = "; ".join(dict.fromkeys(loss.why for loss in losses))
    if _text(first) == _text(second) != "":
        return Word.APPROXIMATED, why or "the same text, cut in another way"
    other = scenario.instead
    if other is not None and _text(seen(after, other.see)):
        return Word.APPROXIMATED, "; ".join(filter(None, (other.why, why)))
    if not losses:
        return Word.SILENT, f"{first} became {second}"
    gone = all(loss.action == "dropped" for loss in losses) or not _text(second)
    return (Word.DROPPED if gone else Word.APPROXIMATED), why


def to_json(value: Json) -> Json:
    """A value as JSON values."""
    return json.loads(json.dumps(value))


def _text(value: Json) -> str:
    """All text in a value, joined."""
    if isinstance(value, list):
        return "".join(map(_text, value))
    if isinstance(value, dict):
        return "".join(map(_text, value.values()))
    return "" if value is None else str(value)


def request_verdict(dialect: Dialect, scenario: Scenario) -> Verdict:
    """What an upstream of the dialect reads of a request."""
    request = scenario.request
    if request is None:
        source = DIALECTS[str(scenario.dialect)]
        request = source.decode_request(json.dumps(scenario.document))
        if source is not dialect:
            request = msgspec.structs.replace(request, ext={})
    try:
        body, losses = dialect.encode_request(request)
    except RequestError as error:
        return Word.REFUSED, error.message
    line = RequestLine(model=request.model, stream=request.stream)
    again = dialect.decode_request(body, line)
    return judged(scenario, request, again, losses)


def answer_verdict(dialect: Dialect, scenario: Scenario) -> Verdict:
    """What a client of the dialect reads of an answer, the worse of whole and streamed."""
    answer = scenario.answer
    assert answer is not None
    document, losses = dialect.encode_response(answer)
    verdicts = [_compared(scenario, dialect.decode_response(json.dumps(document)), losses)]
    encoder = dialect.stream_encoder(Stamp(), no_price, include_usage=True)
    body = encoder.feed(list(unfold(answer)))
    result = fold(events_of(dialect, body))
    streamed = result.failure or result.response
    verdicts.append(_compared(scenario, streamed, encoder.losses))
    (whole, why), (stream, _) = verdicts
    if whole is stream:
        return whole, why
    order = list(Word)
    worse, text = max(verdicts, key=lambda verdict: order.index(verdict[0]))
    return worse, f"{'streamed' if worse is stream else 'whole'}: {text}"


def _compared(scenario: Scenario, again: Response | Failure, losses: Sequence[Loss]) -> Verdict:
    if isinstance(again, Failure):
        return Word.SILENT, f"became a failure: {again.message}"
    assert scenario.answer is not None
    return judged(scenario, scenario.answer, again, losses)


def events_of(dialect: Dialect, body: bytes) -> list[Json]:
    """The events of a stream of the dialect."""
    framer, decoder = FRAMERS[dialect.framing](len(body) + 1), dialect.stream_decoder()
    frames = [*framer.feed(body), *framer.close()]
    events = [event for frame in frames for event in decoder.feed(frame).events]
    return [*events, *decoder.close().events]


def failure_verdict(dialect: Dialect, scenario: Scenario) -> Verdict:
    """What a client of the dialect reads of a failure, before any output and in mid-stream."""
    failure = scenario.failure
    assert failure is not None
    status, document = dialect.encode_failure(failure)
    kinds = [dialect.decode_failure(status, (), json.dumps(document), Stage.BEFORE_HEAD).kind]
    stream = dialect.stream_failure(failure, Stamp())
    events = events_of(dialect, stream)
    kinds += [event.failure.kind for event in events if isinstance(event, StreamError)]
    if len(kinds) < 2:
        return Word.SILENT, "the stream does not end with a failure"
    if set(kinds) == {failure.kind}:
        return Word.CARRIED, ""
    code = f'"reason":"{failure.kind.value}"'.encode()
    if code not in json.dumps(document) or code not in stream:
        return Word.SILENT, f"no member says {failure.kind.value}"
    words = ", ".join(dict.fromkeys(kind.value for kind in kinds))
    return Word.APPROXIMATED, f"{words} in the wire's own words; the member `reason` tells it"


SECTIONS: Final = (
    (
        "Requests",
        "requests",
        request_verdict,
        "What an upstream of each dialect reads of a client's request, whatever the client speaks.",
    ),
    (
        "Answers",
        "answers",
        answer_verdict,
        "What a client of each dialect reads of an upstream's answer, whole and as a stream.",
    ),
    (
        "Failures",
        "failures",
        failure_verdict,
        "What a client of each dialect can tell a failure by, before any output and in mid-stream.",
    ),
)

HEAD: Final = """\
# What is carried

Every client dialect is translated to every provider dialect by way of one canonical form: what a
client asks for is carried if the column of its upstream says so, and what the upstream answers if
the column of the client does. Between a client and an upstream of the same dialect everything is
carried, fields that nobody knows included.

| word | meaning |
| --- | --- |
| yes | read again, it says the same |
| nearly | something near it is said; where that loses something, the client is told |
| no | left out, and the client is told: header `X-Arno-Loss`, member `losses` of the usage object |
| refused | answered with status 400 that names the field: a promise would be broken |

This page is computed: `python scripts/support_matrix.py --write` translates the scenarios of
`tests/golden/scenarios` and compares. `arno translate` (see [translate](translate.md)) shows what
becomes of a document of yours.
"""


def section(title: str, file: str, verdict: Judge, about: str, problems: list[str]) -> str:
    """One table, and below it why a cell is not a plain yes."""
    names = COLUMNS
    lines = [f"## {title}", "", about, "", f"| | {' | '.join(names)} |"]
    lines.append("| --- |" + " --- |" * len(names))
    reasons: list[str] = []
    for scenario in scenarios(file):
        cells = {name: verdict(DIALECTS[name], scenario) for name in names}
        words = " | ".join(word.value for word, _ in cells.values())
        lines.append(f"| {scenario.feature} | {words} |")
        for name, (word, why) in cells.items():
            if word is Word.SILENT:
                problems.append(f"{scenario.feature}, {name}: {why}")
            elif word is not Word.CARRIED:
                reasons.append(f"- {scenario.feature}, {name}: {word.value}: {why}")
    return "\n".join([*lines, "", f"Why ({title.lower()}):", "", *reasons, ""])


CELLS: Final = {
    Disposition.MAPPED: "yes",
    Disposition.APPROXIMATED: "nearly",
    Disposition.DROPPED: "no",
    Disposition.REFUSED: "refused",
    Disposition.ROUTED: "gateway",
}


def fields(client: str) -> str:
    """The table of one client dialect's request fields."""
    names = [name for name in COLUMNS if name != client]
    lines = [f"### {client}", "", f"| field | {' | '.join(names)} | why |"]
    lines.append("| --- |" + " --- |" * (len(names) + 1))
    for name, field in table(client).items():
        words = [CELLS[field.disposition(target)] for target in names]
        whys = dict.fromkeys(
            field.reason(target)
            for target in names
            if field.disposition(target) is not Disposition.MAPPED
        )
        lines.append(f"| `{name}` | {' | '.join(words)} | {'; '.join(whys)} |")
    return "\n".join([*lines, ""])


FIELDS: Final = """\
## Fields of requests

What becomes of each request field of a client's dialect at an upstream of another one. *gateway*:
the gateway itself acts on it. Fields that are in no table are left out and told. The tables are
`src/arno/dialects/dispositions/*.toml`.
"""


def page() -> tuple[str, list[str]]:
    """The page, and what was lost without a word."""
    problems: list[str] = []
    sections = [section(*each, problems) for each in SECTIONS]
    text = "\n".join([HEAD, *sections, FIELDS, *(fields(name) for name in COLUMNS)])
    return text, problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or write the page; exit code 1 if something was lost in silence."""
    parser = argparse.ArgumentParser(description="What each dialect carries.")
    parser.add_argument("--write", action="store_true", help="write docs/matrix.md")
    options = parser.parse_args(arguments)
    text, problems = page()
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems and options.write:
        PAGE.write_text(text, encoding="utf-8")
    elif not options.write:
        print(text, end="")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
