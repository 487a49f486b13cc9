"""What a gateway reads of a request, and the edits it makes."""

from typing import Any

import pytest

from arno.canon.failure import RequestError
from arno.dialects.base import RequestLine
from arno.wire import json
from tests.dialects.converse.building import LINE
from tests.laws.converse_harness import CONVERSE

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "a"}]}]}


def test_the_envelope() -> None:
    body = json.dumps({**BODY, "models": ["x"], "provider": {"order": ["h"]}, "session_id": "s"})
    found = CONVERSE.peek(body, RequestLine(model="a.b", stream=True))
    assert (found.model, found.models, found.stream) == ("a.b", ("x",), True)
    assert (found.routing, found.session_id) == ({"order": ["h"]}, "s")
    assert found.include_usage


BAD: dict[str, tuple[Any, str]] = {
    "no messages": ({}, "messages"),
    "no message": ({"messages": []}, "messages"),
    "no tokens": ({**BODY, "inferenceConfig": {"maxTokens": 0}}, "inferenceConfig.maxTokens"),
    "tokens as text": (
        {**BODY, "inferenceConfig": {"maxTokens": "9"}},
        "inferenceConfig.maxTokens",
    ),
    "a session that is too long": ({**BODY, "session_id": "s" * 300}, "session_id"),
    "where to go": ({**BODY, "base_url": "https://x.test"}, "base_url"),
    "fallbacks of another type": ({**BODY, "models": "x"}, "models"),
}


@pytest.mark.parametrize(("document", "path"), BAD.values(), ids=BAD)
def test_a_bad_request_names_the_member(document: Any, path: str) -> None:
    with pytest.raises(RequestError) as caught:
        CONVERSE.peek(json.dumps(document), LINE)
    assert caught.value.path == path


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"messages":"\xff"}'])
def test_a_body_that_is_no_json(body: bytes) -> None:
    with pytest.raises(RequestError):
        CONVERSE.peek(body, LINE)


@pytest.mark.parametrize("model", [None, "", "a\nb", "m" * 3000])
def test_the_path_must_name_a_model(model: str | None) -> None:
    with pytest.raises(RequestError):
        CONVERSE.peek(json.dumps(BODY), RequestLine(model=model))


def edited(document: Any, *, contract: bool = False) -> bytes:
    return CONVERSE.edit_request(
        json.dumps(document), model="other", contract=contract, ask_usage=True
    )


def test_routing_stays_at_the_gateway() -> None:
    """R14."""
    full = {**BODY, "provider": {"order": ["a"]}, "usage": {"include": True}, "foo_bar": 1}
    assert json.loads(edited(full)) == {**BODY, "foo_bar": 1}
    assert json.loads(edited(full, contract=True)) == full


def test_a_body_in_which_nothing_changes_goes_on_as_it_came() -> None:
    body = b'{ "messages" : [1] }'
    assert CONVERSE.edit_request(body, model="x", contract=False, ask_usage=True) is body
