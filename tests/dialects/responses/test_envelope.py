"""What a gateway reads of a request, and the edits it makes."""

from typing import Any

import pytest

from arno.canon.failure import RequestError
from arno.dialects import tags
from arno.wire import json
from tests.laws.responses import RESPONSES

PLAIN = {"model": "m", "input": "Hi"}


def body(**members: Any) -> bytes:
    return json.dumps({**PLAIN, **members})


def test_the_envelope() -> None:
    found = RESPONSES.peek(
        body(stream=True, models=["b"], provider={"order": ["x"]}, user="u", session_id="s")
    )
    assert (found.model, found.models, found.stream) == ("m", ("b",), True)
    assert (found.routing, found.user, found.session_id) == ({"order": ["x"]}, "u", "s")
    assert found.include_usage
    assert found.choices == 1


BAD = {
    "model": (body(model=None), "model"),
    "long model": (body(model="m" * 257), "model"),
    "input": (body(input=None), "input"),
    "empty input": (body(input=[]), "input"),
    "odd input": (body(input={"a": 1}), "input"),
    "background": (body(background=True), "background"),
    "limit": (body(max_output_tokens=0), "max_output_tokens"),
    "stream": (body(stream="yes"), "stream"),
    "operator": (body(base_url="https://x"), "base_url"),
    "user": (body(user="u" * 513), "user"),
    "twice": (b'{"model":"a","input":"x","model":"b"}', "model"),
    "no JSON": (b"{", ""),
    "no UTF-8": (b'{"model":"m","input":"\xff"}', ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused_is_named(case: str) -> None:
    document, path = BAD[case]
    with pytest.raises(RequestError) as caught:
        RESPONSES.peek(document)
    assert caught.value.path == path


@pytest.mark.parametrize("member", ["previous_response_id", "conversation", "prompt"])
def test_a_conversation_may_be_elsewhere(member: str) -> None:
    assert RESPONSES.peek(json.dumps({"model": "m", member: "x"})).model == "m"


def edited(document: bytes, *, contract: bool = False, model: str | None = None) -> bytes:
    return RESPONSES.edit_request(document, model=model, contract=contract, ask_usage=True)


def test_a_body_in_which_nothing_changes_goes_on_as_it_came() -> None:
    document = b' {"model": "m", "input": "Hi", "stream_options": {}} '
    assert edited(document) is document


def test_the_model_is_the_upstreams_and_routing_stays_here() -> None:
    changed: Any = json.loads(edited(body(provider={}, models=["x"], user="u"), model="up"))
    assert changed.keys() == {"model", "input", "user"}
    assert changed["model"] == "up"
    assert changed["user"] != "u"
    kept: Any = json.loads(edited(body(provider={}, user="u"), contract=True, model="up"))
    assert kept == {"model": "up", "input": "Hi", "provider": {}, "user": "u"}


@pytest.mark.parametrize("contract", [False, True])
def test_what_we_have_tagged_does_not_go_upstream(contract: bool) -> None:
    """R18: another wire's artefacts, in items of their own and on calls; all else stays."""
    tag = tags.write(tags.Tag(sealed="x", format="anthropic-claude-v1"))
    own = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    document = body(
        input=[
            {"type": "reasoning", "summary": [], "encrypted_content": tag},
            own,
            {**call, "signature": tag},
            {"role": "user", "content": "arno:{ is a text like any other"},
        ]
    )
    changed: Any = json.loads(edited(document, contract=contract))
    assert changed["input"][:2] == [own, call]
    assert len(changed["input"]) == 3
