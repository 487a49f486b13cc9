"""What a gateway reads of a request, and how it edits one of the same dialect."""

import pytest

from arno.canon.failure import RequestError
from arno.canon.parts import ReasoningPart, RefusalPart, TextPart, ToolCallPart
from arno.dialects.base import RequestLine
from arno.wire import json
from tests.dialects.gemini.building import LINE, SIGNATURE, answer, turn, user
from tests.laws.gemini import GEMINI

BODY = json.dumps({"contents": [user("hi")]})


def test_the_envelope():
    body = json.dumps(
        {
            "contents": [user("hi")],
            "generationConfig": {"candidateCount": 3},
            "models": ["b"],
            "provider": {"order": ["x"]},
            "session_id": "s",
        }
    )
    envelope = GEMINI.peek(body, RequestLine(model="gemini-3-pro", stream=True))
    assert (envelope.model, envelope.models, envelope.stream) == ("gemini-3-pro", ("b",), True)
    assert (envelope.choices, envelope.include_usage) == (3, True)
    assert (envelope.routing, envelope.session_id) == ({"order": ["x"]}, "s")
    plain = GEMINI.peek(BODY, LINE)
    assert (plain.stream, plain.choices) == (False, 1)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b" ", ""),
        (b"{", ""),
        (b"[]", ""),
        (b'{"contents":"\xff"}', ""),
        (b"{}", "contents"),
        (b'{"contents":[ ]}', "contents"),
        (b'{"contents":{}}', "contents"),
        (b'{"contents":[1],"generationConfig":{"candidateCount":0}}', "generationConfig.cand"),
        (b'{"contents":[1],"generation_config":{"candidate_count":9}}', "generationConfig.cand"),
        (b'{"contents":[1],"generationConfig":{"maxOutputTokens":-1}}', "generationConfig.max"),
        (b'{"contents":[1],"generationConfig":{"maxOutputTokens":"5"}}', "generationConfig.max"),
        (b'{"contents":[1],"models":["",1]}', "models"),
        (b'{"contents":[1],"models":[""]}', "models[0]"),
        (b'{"contents":[1],"session_id":"' + b"x" * 257 + b'"}', "session_id"),
        (b'{"contents":[1],"base_url":"http://x"}', "base_url"),
        (b"[" * 100_000, ""),
    ],
)
def test_bad_requests_name_the_member(body, path):
    with pytest.raises(RequestError) as error:
        GEMINI.peek(body, LINE)
    assert error.value.path.startswith(path)
    assert bool(error.value.path) is bool(path)


@pytest.mark.parametrize("model", [None, "", "x" * 257, "a\nb"])
def test_a_model_that_is_none(model):
    with pytest.raises(RequestError) as error:
        GEMINI.peek(BODY, RequestLine(model=model))
    assert error.value.path == "model"


def edited(body: bytes, *, contract: bool = False) -> bytes:
    return GEMINI.edit_request(body, model="other", contract=contract, ask_usage=True)


def test_a_body_in_which_nothing_changes_goes_on_as_it_came():
    assert edited(BODY) is BODY
    routed = json.dumps({"contents": [user("hi")], "provider": {}, "session_id": "s"})
    assert edited(routed, contract=True) is routed
    assert json.loads(edited(routed)) == {"contents": [user("hi")]}
    members = GEMINI.peek(routed, LINE).members
    again = GEMINI.edit_request(routed, model=None, contract=False, ask_usage=True, members=members)
    assert again == edited(routed)


def test_artefacts_of_other_wires_are_for_no_upstream_of_this_one():
    """R18, where the body is passed on: what clients send back of an answer of another wire."""
    said = answer(
        ReasoningPart(text="hm", signature="s", format="anthropic-claude-v1"),
        TextPart(text="a"),
        RefusalPart(text="no"),
        ToolCallPart(call_id="1", name="f", arguments='{"a" : 1}', signature="x", format="y"),
    )
    document, _ = GEMINI.encode_response(said)
    kept = document["candidates"][0]["content"]
    own = turn("model", {"text": "b", "thoughtSignature": SIGNATURE})
    body = json.dumps({"contents": [user("hi"), kept, user("more"), own]})
    assert json.loads(edited(body))["contents"] == [
        user("hi"),
        turn(
            "model",
            {"text": "a"},
            {"text": "no"},
            {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}},
        ),
        user("more"),
        own,
    ]
    assert b'{"a" : 1}' in edited(body)
    alone = turn("model", kept["parts"][0])
    assert json.loads(edited(json.dumps({"contents": [user("hi"), alone]}))) == {
        "contents": [user("hi")]
    }
