"""Golden files: one small case each, in `tests/golden/messages/<case>.<target>.json`.

source      the document as it stands on the messages wire
canonical   what it means, without residue
messages    the meaning alone told on the wire again: what another dialect would arrive as
losses      what that could not carry, where it is anything
stream      the meaning alone told as the documents of a stream (answers only)
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from arno.canon.failure import RequestError
from arno.canon.request import Request
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.messages.documents import MESSAGES
from tests.laws import messages_grammar as grammar
from tests.laws.harness import no_price

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "messages"
REQUESTS = sorted(path.name.split(".")[0] for path in FOLDER.glob("request_*.source.json"))
ANSWERS = sorted(path.name.split(".")[0] for path in FOLDER.glob("answer_*.source.json"))


def golden(case: str, target: str) -> Any:
    return json.loads((FOLDER / f"{case}.{target}.json").read_bytes())


def stripped(value: Any) -> Any:
    """A canonical value without what its dialect kept for itself."""
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
        kept = {
            name: stripped(getattr(value, name)) for name in names if name not in ("ext", "raw")
        }
        return type(value)(**kept)
    return tuple(stripped(item) for item in value) if isinstance(value, tuple) else value


def spoken(value: Any) -> Any:
    """A canonical value as JSON, fields at their defaults left out."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        members = {f.name: (getattr(value, f.name), f.default) for f in fields}
        tag = value.__struct_config__.tag
        return ({"type": tag} if tag else {}) | {
            name: spoken(member)
            for name, (member, default) in members.items()
            if name not in ("ext", "raw") and member != default
        }
    return [spoken(item) for item in value] if isinstance(value, tuple) else value


def read(case: str) -> Request | Response:
    body = json.dumps(golden(case, "source"))
    value = MESSAGES.decode_request(body) if case in REQUESTS else MESSAGES.decode_response(body)
    assert isinstance(value, Request | Response)
    return value


def write(value: Request | Response) -> Any:
    """The document and the losses; of a request that cannot be carried, what it is refused for."""
    if isinstance(value, Response):
        return MESSAGES.encode_response(value)
    try:
        body, losses = MESSAGES.encode_request(value)
    except RequestError as error:
        return {"refused": error.path, "why": error.message}, ()
    return json.loads(body), losses


def produced(case: str, target: str) -> Any:
    """What the code makes of a case for a target; JSON values all through."""
    value = read(case)
    if target == "canonical":
        return plain(spoken(value))
    if target == "messages":
        return plain(write(stripped(value))[0])
    if target == "losses":
        return plain(spoken(write(stripped(value))[1]))
    assert isinstance(value, Response)
    encoder = MESSAGES.stream_encoder(Stamp(provider="Host"), no_price, include_usage=True)
    return grammar.documents(encoder.feed(list(unfold(stripped(value)))))


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


TARGETS = [
    *((case, target) for case in REQUESTS for target in ("canonical", "messages", "losses")),
    *(
        (case, target)
        for case in ANSWERS
        for target in ("canonical", "messages", "losses", "stream")
    ),
]


def test_there_are_cases_and_no_file_is_left_over() -> None:
    assert len(REQUESTS) >= 3
    assert len(ANSWERS) >= 3
    sources = {(case, "source") for case in (*REQUESTS, *ANSWERS)}
    files = {tuple(path.name.removesuffix(".json").split(".")) for path in FOLDER.iterdir()}
    assert files == sources | set(TARGETS)


@pytest.mark.parametrize(("case", "target"), TARGETS)
def test_golden(case: str, target: str) -> None:
    ours, kept = produced(case, target), golden(case, target)
    assert json.equal(ours, kept), json.dumps(ours).decode()


@pytest.mark.parametrize("case", [*REQUESTS, *ANSWERS])
def test_sources_come_back_as_they_were(case: str) -> None:
    assert json.equal(plain(write(read(case))[0]), golden(case, "source"))
