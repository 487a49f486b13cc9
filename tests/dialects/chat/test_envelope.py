"""What a gateway reads and edits of a request without decoding it: contract section 3, R14."""

import hashlib
from typing import Any

import pytest

from arno.canon.failure import RequestError
from arno.dialects.base import Envelope
from arno.dialects.bodies import ROUTING
from arno.wire import json
from tests.laws.harness import CHAT

MESSAGES = [{"role": "user", "content": "hi"}]


def body(**members: Any) -> bytes:
    return json.dumps({"model": "m/x", "messages": MESSAGES, **members})


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({}, "model", "m/x"),
        ({}, "stream", False),
        ({"stream": None}, "stream", False),
        ({"stream": True}, "stream", True),
        ({"models": ["a", "b"]}, "models", ("a", "b")),
        ({}, "include_usage", False),
        ({"stream_options": {"include_usage": True}}, "include_usage", True),
        ({"stream_options": {"include_usage": False}}, "include_usage", False),
        ({"usage": {"include": True}}, "include_usage", True),
        ({"usage": {}}, "include_usage", False),
        ({}, "choices", 1),
        ({"n": None}, "choices", 1),
        ({"n": 1}, "choices", 1),
        ({"n": 8}, "choices", 8),
        ({"models": ["a"] * 16}, "models", ("a",) * 16),
        ({"user": "u" * 512}, "user", "u" * 512),
        ({"session_id": "s" * 256}, "session_id", "s" * 256),
        ({"provider": {"order": ["a"]}}, "routing", {"order": ["a"]}),
        ({"user": "u"}, "user", "u"),
        ({"session_id": "s"}, "session_id", "s"),
        ({"foo_bar": 1, "messages": [1]}, "model", "m/x"),
    ],
)
def test_peek(members: dict[str, Any], field: str, value: Any) -> None:
    envelope = CHAT.peek(body(**members))
    assert isinstance(envelope, Envelope)
    assert getattr(envelope, field) == value


BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", ""),
    "empty": (b"", ""),
    "not UTF-8": (b'{"model":"\xff"}', ""),
    "an array": (b"[]", ""),
    "deep": (b'{"model":"m","messages":' + b"[" * 5000, ""),
    "model missing": (b'{"messages":[{}]}', "model"),
    "model empty": (body(model=""), "model"),
    "model null": (body(model=None), "model"),
    "model a number": (body(model=5), "model"),
    "model too long": (body(model="m" * 257), "model"),
    "model with a line break": (body(model="m\r\nx-evil: 1"), "model"),
    "messages missing": (b'{"model":"m"}', "messages"),
    "messages empty": (body(messages=[]), "messages"),
    "messages text": (body(messages="hi"), "messages"),
    "messages null": (body(messages=None), "messages"),
    "stream text": (body(stream="yes"), "stream"),
    "models text": (body(models="a"), "models"),
    "models of numbers": (body(models=["a", 5]), "models[1]"),
    "models too many": (body(models=["a"] * 17), "models"),
    "models with an empty one": (body(models=["a", ""]), "models[1]"),
    "models with a long one": (body(models=["m" * 257]), "models[0]"),
    "models with a line break": (body(models=["a", "b\r\nx-evil: 1"]), "models[1]"),
    "user too long": (body(user="u" * 513), "user"),
    "session_id too long": (body(session_id="s" * 257), "session_id"),
    "n nine": (body(n=9), "n"),
    "n negative": (body(n=-1), "n"),
    "n zero": (body(n=0), "n"),
    "n huge": (body(n=2**40), "n"),
    "n a fraction": (body(n=1.5), "n"),
    "max_tokens negative": (body(max_tokens=-1), "max_tokens"),
    "max_completion_tokens text": (body(max_completion_tokens="5"), "max_completion_tokens"),
    "provider text": (body(provider="a"), "provider"),
    "stream_options text": (body(stream_options="a"), "stream_options"),
    "include_usage text": (
        body(stream_options={"include_usage": "yes"}),
        "stream_options.include_usage",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_peek_names_the_member_that_is_wrong(case: str) -> None:
    text, path = BAD[case]
    with pytest.raises(RequestError) as caught:
        CHAT.peek(text)
    assert caught.value.path == path
    assert caught.value.message


TWICE = {
    "plain": b'{"model":"a","messages":[1],"model":"b"}',
    "the same": b'{"model":"a","messages":[1],"model":"a"}',
    "with space": b'{ "model" : "a", "messages": [ "}" ], "model"\n: "b" }',
    "escaped": b'{"model":"a","messages":[1],"m\\u006fdel":"b"}',
    "behind a string with escapes": b'{"model":"a","x":"\\"}\\\\","messages":[1],"model":"b"}',
}


@pytest.mark.parametrize("case", TWICE)
def test_a_model_that_stands_there_twice_is_refused(case: str) -> None:
    """One reader takes the first, another the last: price and limits are those of one of them."""
    with pytest.raises(RequestError) as caught:
        CHAT.peek(TWICE[case])
    assert caught.value.path == "model"


ONCE = [
    b'{"model":"a","messages":[{"model":"b"}],"tools":[{"properties":{"model":{}}}]}',
    b'{"model":"model","messages":["model"],"user":"model"}',
    b'{"model":"a","messages":["\\"model\\":"],"user":"\\u006d"}',
    b'{"model":"a","x":{"}":"\\"model","model":1},"messages":["{"]}',
]


@pytest.mark.parametrize("text", ONCE)
def test_the_word_elsewhere_does_no_harm(text: bytes) -> None:
    assert CHAT.peek(text).model in ("a", "model")


DECODE_BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", ""),
    "an array": (b"[]", ""),
    "model missing": (b'{"messages":[{}]}', "model"),
    "messages empty": (body(messages=[]), "messages"),
    "a message of text": (body(messages=["hi"]), "messages[0]"),
    "an unknown role": (body(messages=[*MESSAGES, {"role": "robot"}]), "messages[1].role"),
    "a tool of text": (body(tools=["f"]), "tools[0]"),
    "a tool without a name": (
        body(tools=[{"type": "function", "function": {}}]),
        "tools[0].function.name",
    ),
    "stop of numbers": (body(stop=[1]), "stop[0]"),
    "n of text": (body(n="x"), "n"),
    "stream of text": (body(stream="yes"), "stream"),
    "seed of text": (body(seed="x"), "seed"),
    "user a number": (body(user=5), "user"),
}


@pytest.mark.parametrize("case", DECODE_BAD)
def test_decoding_names_the_member_that_is_wrong(case: str) -> None:
    text, path = DECODE_BAD[case]
    with pytest.raises(RequestError) as caught:
        CHAT.decode_request(text)
    assert caught.value.path == path


def edited(text: bytes, **options: Any) -> bytes:
    choices: dict[str, Any] = {"model": None, "contract": False, "ask_usage": False, **options}
    return CHAT.edit_request(text, **choices)


@pytest.mark.parametrize("contract", [True, False])
def test_a_request_in_which_nothing_changes_is_the_same_object(contract: bool) -> None:
    text = b' { "model" : "m/x", "messages": [ {} ], "temperature": 0.70, "foo_bar": 1 }\n'
    assert edited(text, contract=contract) is text
    assert edited(text, contract=contract, model="m/x") is text


def test_what_asks_for_usage_already_is_not_touched() -> None:
    text = body(stream_options={"include_usage": True})
    assert edited(text, ask_usage=True) is text


def test_only_the_model_changes() -> None:
    text = b'{"model":"m/x","messages":[{"n":1.50}],"temperature":0.70,"foo_bar":{"a":[1e3]}}'
    assert edited(text, model="up") == text.replace(b"m/x", b"up")


ALL_ROUTING = {name: {"include": True} for name in ROUTING}


def test_r14_routing_members_stay_with_upstreams_of_the_contract_only() -> None:
    text = body(foo_bar=1, context_management={"edits": []}, **ALL_ROUTING)
    assert edited(text, contract=True) is text
    sent = edited(text, contract=False)
    assert json.equal(
        json.loads(sent),
        {
            "model": "m/x",
            "messages": MESSAGES,
            "foo_bar": 1,
            "context_management": {"edits": []},
        },
    )


def test_r14_empty_routing_members_are_stripped_too() -> None:
    sent = edited(body(provider={}, usage={"include": True}))
    assert json.equal(json.loads(sent), json.loads(body()))


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None}])
def test_usage_is_switched_on_where_asked(options: Any) -> None:
    text = body() if options is None else body(stream_options={**options, "odd": 1})
    sent: Any = json.loads(edited(text, ask_usage=True))
    assert sent["stream_options"]["include_usage"] is True
    assert ("odd" in sent["stream_options"]) is (options is not None)
    assert edited(text, ask_usage=True, contract=True) is text


def test_the_end_users_id_goes_on_as_a_hash_only() -> None:
    """Contract section 3: the same user is the same to an upstream, but cannot be read there."""
    text = body(user="ann@example.org")
    sent: Any = json.loads(edited(text, contract=False))
    assert sent["user"] == hashlib.sha256(b"ann@example.org").hexdigest()[:32]
    assert edited(text, contract=True) is text
    for nobody in (body(), body(user=None), body(user="")):
        assert edited(nobody, contract=False) is nobody


NO_TEXT = {
    b"": "the body is empty",
    b" \n": "the body is empty",
    b'{"model":"m","messages":[{"content":"\xff"}]}': "not UTF-8 (at byte 37)",
    b'{"model":"m","messages":[{"content":"\xe2\x82"}]}': "not UTF-8",
    b"\xff\xfe{\x00": "not UTF-8 (at byte 0)",
    b'{"model":"m","messages":' + b"[" * 100_000: "nested too deep",
}


@pytest.mark.parametrize("body", NO_TEXT)
def test_a_body_that_is_no_text_is_refused_in_plain_words(body: bytes) -> None:
    """Members that go on as raw bytes must not carry what no upstream can read."""
    with pytest.raises(RequestError) as raised:
        CHAT.peek(body)
    assert NO_TEXT[body] in raised.value.message
