"""Calls of tools in pieces: put together, or a failure; in streams, answers and histories."""

import pytest

from arno.canon.failure import Failure, FailureKind, RequestError
from arno.canon.parts import TextPart, ToolCallPart
from arno.canon.response import FinishReason
from arno.dialects.bounds import Budget
from arno.dialects.gemini.pieces import BadPieces, Pieces
from arno.wire import json
from tests.dialects.gemini.building import SIGNATURE, answered, asked, body_of, parts_of, turn, user
from tests.laws.gemini import GEMINI, decode, failure_of
from tests.laws.harness import folded


def piece(*partial: dict, more: bool = True, **members) -> dict:
    told = {**members, **({"partialArgs": list(partial)} if partial else {})}
    return {"functionCall": {**told, **({"willContinue": True} if more else {})}}


def arg(path: str, value: object = None, *, more: bool = False) -> dict:
    kinds = {str: "stringValue", bool: "boolValue", int: "numberValue", type(None): "nullValue"}
    told = {"jsonPath": path, kinds[type(value)]: "NULL_VALUE" if value is None else value}
    return {**told, **({"willContinue": True} if more else {})}


SPLIT = [
    {**piece(name="f", id="x"), "thoughtSignature": SIGNATURE},
    piece(arg("$.city", "Par", more=True)),
    piece(arg("$.city", "i", more=True), arg("$.days", 3)),
    piece(arg("$.city", "s"), arg("$['a b'].on", True), arg("$.list[0].n"), arg("$.list[1]", "z")),
    piece(more=False),
]
ARGUMENTS = {"city": "Paris", "days": 3, "a b": {"on": True}, "list": [{"n": None}, "z"]}


def streamed(*parts: dict, finish: str = "STOP"):
    chunks = [answered(part, finish=None) for part in parts]
    return decode(body_of(*chunks, answered(finish=finish)))


def test_a_call_in_pieces_is_one_call():
    choice = folded(streamed({"text": "a"}, *SPLIT, {"text": "b"})).choices[0]
    text, call, _ = choice.parts
    assert isinstance(text, TextPart)
    assert isinstance(call, ToolCallPart)
    assert (call.call_id, call.name, call.signature) == ("x", "f", SIGNATURE)
    assert json.loads(call.arguments) == ARGUMENTS
    assert choice.reason is FinishReason.TOOL_CALLS
    assert parts_of(answered(*SPLIT))[0] == call
    snake = json.dumps(SPLIT).replace(b"functionCall", b"function_call")
    snake = snake.replace(b"willContinue", b"will_continue").replace(b"jsonPath", b"json_path")
    snake = snake.replace(b"partialArgs", b"partial_args").replace(b"Value", b"_value")
    parts = parts_of(answered(*json.loads(snake)))
    assert isinstance(parts[0], ToolCallPart)
    assert json.loads(parts[0].arguments) == ARGUMENTS


def test_the_last_piece_may_hold_arguments_and_a_whole_call_may_follow():
    last = piece(arg("$.a", 1), more=False)
    whole = {"functionCall": {"name": "g", "args": {"b": 2}}}
    calls = folded(streamed(piece(name="f"), last, whole)).choices[0].parts
    told = [(part.name, part.arguments) for part in calls if isinstance(part, ToolCallPart)]
    assert told == [("f", '{"a":1}'), ("g", '{"b":2}')]
    (bare,) = folded(streamed(piece(name="f"), piece(more=False))).choices[0].parts
    assert isinstance(bare, ToolCallPart)
    assert bare.arguments == "{}"


@pytest.mark.parametrize(
    "parts",
    [
        [piece(arg("$.a", 1))],
        [piece(name="f")],
        [piece(name="f"), piece(name="g"), piece(more=False)],
        [piece(name="f", id="1"), piece(name="f", id="2"), piece(more=False)],
        [piece(arg("a", 1), more=False, name="f")],
        [piece(arg("$", 1), more=False, name="f")],
        [piece(arg("$.a[1]", 1), more=False, name="f")],
        [piece(arg("$.a..b", 1), more=False, name="f")],
        [piece(arg("$.a", 1), arg("$.a.b", 1), more=False, name="f")],
        [piece(arg("$" + ".a" * 100, 1), more=False, name="f")],
        [piece(name="f"), {"functionCall": {"args": [1]}}],
        [{"functionCall": {"name": "f", "partialArgs": [7]}}],
    ],
)
def test_pieces_that_make_no_call_are_a_failure(parts):
    assert failure_of(streamed(*parts)).kind is FailureKind.INVALID_ANSWER
    told = GEMINI.decode_response(json.dumps(answered(*parts)))
    assert isinstance(told, Failure)
    assert told.kind is FailureKind.INVALID_ANSWER


@pytest.mark.parametrize(
    ("parts", "arguments"),
    [
        ([piece(name="f")], ""),
        ([piece(name="f"), piece(arg("$.a", "Par", more=True))], '{"a":"Par"'),
    ],
)
def test_a_call_that_was_cut_short_has_no_end_made_up(parts, arguments):
    choice = folded(streamed(*parts, finish="MAX_TOKENS")).choices[0]
    (call,) = choice.parts
    assert isinstance(call, ToolCallPart)
    assert (call.name, call.arguments, choice.reason) == ("f", arguments, FinishReason.LENGTH)
    assert parts_of(answered(*parts, finish="MAX_TOKENS"))[0] == call


def test_a_client_may_send_the_pieces_back():
    result = {"functionResponse": {"name": "f", "id": "x", "response": {"r": 1}}}
    for turns in ([turn("model", *SPLIT)], [turn("model", part) for part in SPLIT]):
        request = asked(user("q"), *turns, turn("user", result))
        (call,) = request.messages[1].parts
        assert isinstance(call, ToolCallPart)
        assert json.loads(call.arguments) == ARGUMENTS
        body, _ = GEMINI.encode_request(request)
        assert json.loads(body)["contents"][1:-1] == turns
    with pytest.raises(RequestError) as refused:
        asked(user("q"), turn("model", piece(arg("$.a", 1))))
    assert refused.value.path == "contents[1]"
    for stray in ({}, {"name": ""}):
        with pytest.raises(RequestError) as refused:
            asked(user("q"), turn("model", {"functionCall": stray}))
        assert refused.value.path == "contents[1].parts"


def test_what_waits_is_bounded():
    small = Pieces(Budget(1000))
    for _ in range(2):
        small.feed(piece(name="f"))
        small.feed(piece(arg("$.a", "x" * 800, more=True)))
        assert small.feed(piece(more=False))
    small.feed(piece(arg("$.a", "x" * 800), name="f"))
    with pytest.raises(BadPieces):
        small.feed(piece(arg("$.a", "x" * 800)))
