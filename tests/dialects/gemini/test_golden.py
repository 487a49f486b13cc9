"""Golden files: one small case each, in `tests/golden/gemini/<case>.<target>.json`.

source      the document as it stands on the gemini wire
canonical   what it means, without residue
gemini      the meaning alone told on the gemini wire again: what another dialect would arrive as
stream      the meaning alone told as the chunks of a stream (answers only)
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from arno.canon.request import Request
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.wire import json
from tests.dialects.gemini.building import LINE, fed
from tests.laws.gemini import GEMINI

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "gemini"
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
    if case in REQUESTS:
        return GEMINI.decode_request(body, LINE)
    value = GEMINI.decode_response(body)
    assert isinstance(value, Response)
    return value


def write(value: Request | Response) -> Any:
    if isinstance(value, Request):
        return json.loads(GEMINI.encode_request(value)[0])
    return json.loads(json.dumps(GEMINI.encode_response(value)[0]))


def produced(case: str, target: str) -> Any:
    """What the code makes of a case for a target; JSON values all through."""
    value = read(case)
    if target == "canonical":
        return json.loads(json.dumps(spoken(value)))
    if target == "gemini":
        return write(stripped(value))
    assert isinstance(value, Response)
    return fed(list(unfold(stripped(value))))


TARGETS = [
    *((case, target) for case in REQUESTS for target in ("canonical", "gemini")),
    *((case, target) for case in ANSWERS for target in ("canonical", "gemini", "stream")),
]


def test_there_are_cases_and_no_file_is_left_over():
    assert len(REQUESTS) >= 3
    assert len(ANSWERS) >= 3
    sources = {(case, "source") for case in (*REQUESTS, *ANSWERS)}
    files = {tuple(path.name.removesuffix(".json").split(".")) for path in FOLDER.iterdir()}
    assert files == sources | set(TARGETS)


@pytest.mark.parametrize(("case", "target"), TARGETS)
def test_golden(case, target):
    ours, kept = produced(case, target), golden(case, target)
    assert json.equal(ours, kept), json.dumps(ours).decode()


@pytest.mark.parametrize("case", [*REQUESTS, *ANSWERS])
def test_sources_come_back_as_they_were(case):
    assert json.equal(write(read(case)), golden(case, "source"))
