"""Golden files: one small case each, in `tests/golden/converse/<case>.<target>.json`.

source      the document as it stands on the wire
canonical   what it means, without residue
converse    the meaning alone told on this wire again: what another dialect would arrive as
stream      the meaning alone told as the messages of a stream (answers only)
"""

from pathlib import Path
from typing import Any

import pytest

from arno.canon.request import Request
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.chat.test_golden import spoken, stripped
from tests.dialects.converse.building import LINE, complaints, fed, sdk_answer
from tests.laws.converse_harness import CONVERSE

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "converse"
REQUESTS = sorted(path.name.split(".")[0] for path in FOLDER.glob("request_*.source.json"))
ANSWERS = sorted(path.name.split(".")[0] for path in FOLDER.glob("answer_*.source.json"))


def golden(case: str, target: str) -> Any:
    return json.loads((FOLDER / f"{case}.{target}.json").read_bytes())


def read(case: str) -> Request | Response:
    body = json.dumps(golden(case, "source"))
    value = (
        CONVERSE.decode_request(body, LINE) if case in REQUESTS else CONVERSE.decode_response(body)
    )
    assert isinstance(value, Request | Response)
    return value


def write(value: Request | Response) -> Any:
    if isinstance(value, Request):
        return json.loads(CONVERSE.encode_request(value)[0])
    return json.loads(json.dumps(CONVERSE.encode_response(value)[0]))


def produced(case: str, target: str) -> Any:
    """What the code makes of a case for a target; JSON values all through."""
    value = read(case)
    if target == "canonical":
        return json.loads(json.dumps(spoken(value)))
    if target == "converse":
        return write(stripped(value))
    assert isinstance(value, Response)
    found = fed(list(unfold(stripped(value))), stamp=Stamp(provider="Host"))
    return json.loads(json.dumps([{name: document} for name, document in found]))


TARGETS = [
    *((case, target) for case in REQUESTS for target in ("canonical", "converse")),
    *((case, target) for case in ANSWERS for target in ("canonical", "converse", "stream")),
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
    assert json.equal(write(read(case)), golden(case, "source"))


@pytest.mark.parametrize("case", REQUESTS)
@pytest.mark.parametrize("target", ["source", "converse"])
def test_the_vendors_sdk_would_send_them(case: str, target: str) -> None:
    assert complaints(golden(case, target)) == ""


@pytest.mark.parametrize("case", ANSWERS)
def test_the_vendors_sdk_reads_them(case: str) -> None:
    assert sdk_answer(golden(case, "source"))["stopReason"] == golden(case, "source")["stopReason"]
