"""The conversation: turns and messages, calls and results, media, what a client sends back."""

import pytest

from arno.canon.failure import RequestError
from arno.canon.parts import (
    CacheHint,
    Executor,
    MediaKind,
    MediaPart,
    OpaquePart,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.request import Message, Request, Role
from arno.dialects.gemini.ids import PREFIX
from arno.wire import json
from tests.dialects.gemini.building import (
    LINE,
    OWN,
    SIGNATURE,
    asked,
    messages,
    turn,
    user,
    written,
)
from tests.laws.gemini import GEMINI

HI = TextPart(text="hi")
UNSIGNED = "skip_thought_signature_validator"


def call(name: str, **members) -> dict:
    return {"functionCall": {"name": name, **members}}


def result(name: str, response: dict, **members) -> dict:
    return {"functionResponse": {"name": name, "response": response, **members}}


def test_results_are_messages_of_their_own_and_one_turn_again():
    """R16: three calls, three results, then the user's words, in one turn and in two."""
    calls = turn("model", *(call(name, args={}) for name in "abc"))
    results = [result(name, {"output": name}) for name in "abc"]
    for contents in (
        [user("go"), calls, turn("user", *results, {"text": "and?"})],
        [user("go"), calls, turn("user", *results), user("and?")],
        [user("go"), calls, turn("user", {"text": "and?"}, *results)],
    ):
        value = asked(*contents)
        roles = [message.role.value for message in value.messages]
        assert roles == ["user", "assistant", "tool", "tool", "tool", "user"]
        asked_for = [part.call_id for part in value.messages[1].parts]
        given = [message.parts[0].call_id for message in value.messages[2:5]]
        assert asked_for == given == [f"{PREFIX}0", f"{PREFIX}1", f"{PREFIX}2"]
        assert written(value) == ({"contents": contents}, {})


def test_parallel_results_of_another_dialect_are_one_turn():
    value = messages(
        (Role.USER, (HI,)),
        (
            Role.ASSISTANT,
            (ToolCallPart(call_id="1", name="a"), ToolCallPart(call_id="2", name="b")),
        ),
        (Role.TOOL, (ToolResultPart(call_id="2", parts=(TextPart(text="B"),)),)),
        (Role.TOOL, (ToolResultPart(call_id="1", parts=(TextPart(text="A"),)),)),
        (Role.USER, (TextPart(text="and?"),)),
    )
    contents = written(value)[0]["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user", "user"]
    assert contents[2]["parts"] == [
        result("b", {"output": "B"}, id="2"),
        result("a", {"output": "A"}, id="1"),
    ]


def test_made_ids_are_taken_away_and_results_stand_in_the_order_of_their_calls():
    value = messages(
        (Role.USER, (HI,)),
        (
            Role.ASSISTANT,
            (
                ToolCallPart(call_id=f"{PREFIX}aa", name="f", arguments='{"n":1}'),
                ToolCallPart(call_id=f"{PREFIX}ab", name="f", arguments='{"n":2}'),
            ),
        ),
        (Role.TOOL, (ToolResultPart(call_id=f"{PREFIX}ab", parts=(TextPart(text="2"),)),)),
        (Role.TOOL, (ToolResultPart(call_id=f"{PREFIX}aa", parts=(TextPart(text="1"),)),)),
    )
    contents = written(value)[0]["contents"]
    assert [part["functionCall"] for part in contents[1]["parts"]] == [
        {"name": "f", "args": {"n": 1}},
        {"name": "f", "args": {"n": 2}},
    ]
    assert contents[2]["parts"] == [result("f", {"output": "1"}), result("f", {"output": "2"})]


@pytest.mark.parametrize(
    ("calls", "results", "answered"),
    [
        (["a:1", None], [None, "a:1"], ["call_gemini_0", "a:1"]),
        (["a:1", None], ["a:1", None], ["a:1", "call_gemini_0"]),
        (["a", "b"], [None, None], ["a", "b"]),
        (["a", "b"], [None, "a"], ["b", "a"]),
        (["a"], ["a", None, None], ["a", "call_gemini_0", "call_gemini_1"]),
    ],
)
def test_a_result_without_an_id_is_of_no_call_that_another_result_names(calls, results, answered):
    def named(id_):
        return {} if id_ is None else {"id": id_}

    request = asked(
        user("q"),
        turn("model", *(call("f", args={}, **named(each)) for each in calls)),
        turn(
            "user",
            *(
                {"functionResponse": {"name": "f", "response": {"r": 1}, **named(each)}}
                for each in results
            ),
        ),
    )
    told = [m.parts[0] for m in request.messages if m.role is Role.TOOL]
    assert [part.call_id for part in told if isinstance(part, ToolResultPart)] == answered


def test_calls_without_ids_pair_with_results_by_name_and_order():
    value = asked(
        user("go"),
        turn("model", call("f", args={"n": 1}), call("g"), call("f", args={"n": 2}, id="own")),
        turn("user", result("g", {}), result("f", {"output": "1"}), result("f", {}, id="own")),
        turn("model", call("f")),
        turn("function", result("f", {"output": "3"})),
    )
    ids = [part.call_id for message in value.messages[1:] for part in message.parts]
    assert ids == [
        f"{PREFIX}0",
        f"{PREFIX}1",
        "own",
        f"{PREFIX}1",
        f"{PREFIX}0",
        "own",
        f"{PREFIX}2",
        f"{PREFIX}2",
    ]


@pytest.mark.parametrize(
    ("response", "texts", "value", "failed"),
    [
        ({"output": "sunny"}, ["sunny"], None, None),
        ({"error": "no such city"}, ["no such city"], None, True),
        ({"output": ""}, [], None, None),
        ({"output": {"t": 1}}, [], {"t": 1}, None),
        ({"t": 1, "u": 2}, [], {"t": 1, "u": 2}, None),
        ({"result": "x"}, [], {"result": "x"}, None),
        ({}, [], None, None),
    ],
)
def test_what_a_result_says(response, texts, value, failed):
    contents = [user("x"), turn("model", call("f")), turn("user", result("f", response))]
    read = asked(*contents)
    part = read.messages[2].parts[0]
    assert isinstance(part, ToolResultPart)
    assert [text.text for text in part.parts if isinstance(text, TextPart)] == texts
    assert (part.value, part.is_error) == (value, failed)
    assert written(read) == ({"contents": contents}, {})


def test_results_with_media_and_a_document_tell_both():
    picture = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    contents = [
        user("x"),
        turn("model", call("f")),
        turn("user", result("f", {"size": 3}, parts=[picture])),
    ]
    read = asked(*contents)
    part = read.messages[2].parts[0]
    assert isinstance(part, ToolResultPart)
    text, media = part.parts
    assert isinstance(text, TextPart)
    assert text.text == '{"size":3}'
    assert isinstance(media, MediaPart)
    assert (media.kind, media.data) == (MediaKind.IMAGE, "aGk=")
    assert written(read) == ({"contents": contents}, {})


def test_results_of_other_dialects_are_objects():
    def told(part: ToolResultPart) -> tuple:
        value = messages((Role.USER, (HI,)), (Role.TOOL, (part,)))
        document, losses = written(value)
        return document["contents"][1]["parts"][0]["functionResponse"]["response"], losses

    texts = (TextPart(text="a"), TextPart(text="b"))
    assert told(ToolResultPart(call_id="1", parts=texts)) == (
        {"output": "a\nb"},
        {"/messages/1/parts/0/parts": "approximated"},
    )
    assert told(ToolResultPart(call_id="1", value=[1, 2])) == ({"output": [1, 2]}, {})
    assert told(ToolResultPart(call_id="1", value={"a": 1})) == ({"a": 1}, {})
    assert told(ToolResultPart(call_id="1", value={"output": 1})) == ({"output": {"output": 1}}, {})
    assert told(ToolResultPart(call_id="1")) == ({"output": ""}, {})
    assert told(ToolResultPart(call_id="1", parts=texts[:1], is_error=True)) == (
        {"error": "a"},
        {},
    )


def test_system_prompts_are_hoisted_and_late_ones_told_as_the_users():
    value = messages(
        (Role.SYSTEM, (TextPart(text="one"),)),
        (Role.DEVELOPER, (TextPart(text="two"),)),
        (Role.USER, (HI,)),
        (Role.SYSTEM, (TextPart(text="late"),)),
    )
    document, losses = written(value)
    assert document["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}]}
    assert document["contents"] == [user("hi"), user("late")]
    assert losses == {"/messages/1": "renamed", "/messages/3": "approximated"}


def test_a_system_instruction_may_be_a_string():
    value = asked(user("hi"), systemInstruction="be brief")
    assert [part.text for part in value.messages[0].parts] == ["be brief"]
    assert written(value)[0]["systemInstruction"] == "be brief"


def test_a_request_of_system_prompts_alone_is_refused():
    with pytest.raises(RequestError) as error:
        written(messages((Role.SYSTEM, (TextPart(text="one"),))))
    assert error.value.path == "/messages"


def test_media_travel_inline_or_by_address_and_no_other_way():
    parts = (
        MediaPart(kind=MediaKind.IMAGE, data="aGk=", detail="low"),
        MediaPart(kind=MediaKind.IMAGE, url="https://x.test/a.png?b=1"),
        MediaPart(kind=MediaKind.VIDEO, url="gs://bucket/video"),
        MediaPart(kind=MediaKind.AUDIO, data="aGk=", media_type="audio/mp3", filename="a.mp3"),
    )
    document, losses = written(messages((Role.USER, parts)))
    assert document["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/jpeg", "data": "aGk="}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x.test/a.png?b=1"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/video"}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "aGk=", "displayName": "a.mp3"}},
    ]
    assert losses == {
        "/messages/0/parts/0/detail": "dropped",
        "/messages/0/parts/2/media_type": "approximated",
    }
    with pytest.raises(RequestError) as error:
        written(messages((Role.USER, (HI, MediaPart(file_id="file-1")))))
    assert error.value.path == "/messages/0/parts/1"


def test_what_a_result_holds_besides_text_is_told_or_refused():
    def told(*parts):
        result = ToolResultPart(call_id="1", parts=parts)
        return written(messages((Role.USER, (HI,)), (Role.TOOL, (result,))))

    image = MediaPart(kind=MediaKind.IMAGE, data="aGk=", media_type="image/png", detail="low")
    opaque = OpaquePart(dialect="messages", document={"type": "tool_reference"})
    document, losses = told(HI, image, opaque)
    pieces = document["contents"][1]["parts"][0]["functionResponse"]["parts"]
    assert pieces == [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]
    assert losses == {
        "/messages/1/parts/0/parts/1/detail": "dropped",
        "/messages/1/parts/0/parts/2": "dropped",
    }
    with pytest.raises(RequestError) as error:
        told(HI, MediaPart(file_id="file-1"))
    assert error.value.path == "/messages/1/parts/0/parts/1"


def test_turns_of_the_model_in_a_row_are_one_so_that_results_follow_their_calls():
    calls = [ToolCallPart(call_id=n, name="f", arguments="{}") for n in "12"]
    results = [(Role.TOOL, (ToolResultPart(call_id=n, parts=(HI,)),)) for n in "12"]
    said = [(Role.ASSISTANT, (call,)) for call in calls]
    document, losses = written(messages((Role.USER, (HI,)), *said, *results))
    assert [turn["role"] for turn in document["contents"]] == ["user", "model", "user"]
    assert [len(turn["parts"]) for turn in document["contents"]] == [1, 2, 2]
    assert losses == {}


def test_the_name_space_of_a_call_is_told_as_lost():
    call = ToolCallPart(call_id="1", name="f", arguments="{}", namespace="shop")
    losses = written(messages((Role.USER, (HI,)), (Role.ASSISTANT, (call,))))[1]
    assert losses == {"/messages/1/parts/0/namespace": "dropped"}


def test_what_stands_beside_a_part_is_kept():
    parts = [
        {
            "fileData": {"fileUri": "gs://b/v", "mimeType": "video/mp4"},
            "videoMetadata": {"fps": 1},
        },
        {"inline_data": {"mime_type": "image/png", "data": "aGk="}, "mediaResolution": {}},
        {"text": "x", "thought": False},
        {"novelty": {"a": 1}},
    ]
    value = asked(turn("user", *parts))
    kinds = [type(part) for part in value.messages[0].parts]
    assert kinds == [MediaPart, MediaPart, TextPart, OpaquePart]
    assert written(value) == ({"contents": [turn("user", *parts)]}, {})


def test_own_artefacts_go_back_and_others_stay_away():
    """R18."""
    value = messages(
        (Role.USER, (HI,)),
        (
            Role.ASSISTANT,
            (
                ReasoningPart(text="mine", signature=SIGNATURE, format=OWN),
                ReasoningPart(text="theirs", signature="x", format="anthropic-claude-v1"),
                ReasoningPart(form=ReasoningForm.SEALED, sealed="y", format="openai-responses-v1"),
                ToolCallPart(call_id="1", name="f", signature="z", format="anthropic-claude-v1"),
                ToolCallPart(call_id="2", name="f", signature=SIGNATURE, format=OWN),
                TextPart(text="t"),
            ),
        ),
    )
    document, losses = written(value)
    assert [part.get("thoughtSignature") for part in document["contents"][1]["parts"]] == [
        SIGNATURE,
        "skip_thought_signature_validator",
        SIGNATURE,
        None,
    ]
    assert losses == {
        "/messages/1/parts/1": "dropped",
        "/messages/1/parts/2": "dropped",
        "/messages/1/parts/3/signature": "dropped",
    }


def test_a_signature_that_another_wire_carried_apart_goes_to_its_call():
    seal = ReasoningPart(form=ReasoningForm.SEALED, sealed=SIGNATURE, format=OWN, id="2")
    loose = ReasoningPart(form=ReasoningForm.SEALED, sealed=SIGNATURE, format=OWN)
    calls = (ToolCallPart(call_id="1", name="f"), ToolCallPart(call_id="2", name="g"))
    value = messages((Role.USER, (HI,)), (Role.ASSISTANT, (seal, *calls, loose)))
    document, losses = written(value)
    assert document["contents"][1]["parts"][1:] == [
        {**call("g", args={}, id="2"), "thoughtSignature": SIGNATURE},
        {"text": "", "thoughtSignature": SIGNATURE},
    ]
    assert losses == {}


def test_calls_of_other_models_need_no_signature_where_models_ask_for_none():
    said = Message(role=Role.ASSISTANT, parts=(ToolCallPart(call_id="1", name="f"),))
    turns = (Message(role=Role.USER, parts=(HI,)), said)
    for model, signed in (("gemini-3-pro", True), ("gemini-2.5-pro", False)):
        document, losses = written(Request(model=model, messages=turns))
        part = document["contents"][1]["parts"][0]
        assert ("thoughtSignature" in part) is signed
        assert losses == {}
    back = asked(user("hi"), turn("model", {**call("f"), "thoughtSignature": UNSIGNED}))
    assert back.messages[1].parts[0].signature is None
    assert written(back)[0]["contents"][1]["parts"][0]["thoughtSignature"] == UNSIGNED


def test_a_signature_in_the_other_alphabet_is_the_same_artefact():
    """The SDK for Python sends `-_` where the upstream wrote `+/`; an origin is found by text."""
    contents = [user("x"), turn("model", {**call("f"), "thoughtSignature": "ab-_"})]
    value = asked(*contents)
    assert value.messages[1].parts[0].signature == "ab+/"
    assert written(value) == ({"contents": contents}, {})


def test_tools_that_the_provider_ran_go_back_as_they_came_and_nowhere_else():
    parts = [
        {"toolCall": {"id": "1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"q": ["a"]}}},
        {"toolResponse": {"id": "1", "tool_type": "GOOGLE_SEARCH_WEB", "response": {"r": 1}}},
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        {"text": "2"},
    ]
    value = asked(user("x"), turn("model", *parts), user("y"))
    read = value.messages[1].parts
    assert [part.executor for part in read[:4]] == [Executor.PROVIDER] * 4
    assert read[0].arguments == '{"q":["a"]}'
    assert read[2].call_id == read[3].call_id
    assert read[3].value == {"outcome": "OUTCOME_OK", "output": "2"}
    assert written(value)[0]["contents"][1] == turn("model", *parts)
    ran = ToolCallPart(call_id="1", name="web_search", executor=Executor.PROVIDER)
    document, losses = written(messages((Role.USER, (HI,)), (Role.ASSISTANT, (ran,))))
    assert document["contents"] == [user("hi")]
    assert losses == {"/messages/1/parts/0": "dropped"}


def test_arguments_keep_their_bytes():
    body = (
        b'{"contents":[{"role":"user","parts":[{"text":"x"}]},{"role":"model","parts":'
        b'[{"functionCall":{"name":"f","args":{"a" :  1.0,\n "b":"\\u00e9"}}}]}]}'
    )
    value = GEMINI.decode_request(body, LINE)
    assert value.messages[1].parts[0].arguments == '{"a" :  1.0,\n "b":"\\u00e9"}'
    assert b'{"a" :  1.0,\n "b":"\\u00e9"}' in GEMINI.encode_request(value)[0]
    laid_out = json.dumps(json.loads(body)).replace(b"{", b"{\n  ").replace(b",", b",\n  ")
    read = GEMINI.decode_request(laid_out, LINE).messages[1].parts[0].arguments
    assert json.loads(read) == {"a": 1, "b": "é"}
    assert "\n" not in read


def test_arguments_that_are_no_object_stand_in_one_and_come_back():
    said = ToolCallPart(call_id="1", name="f", arguments='{"x": 1')
    value = messages((Role.USER, (HI,)), (Role.ASSISTANT, (said,)))
    body, losses = GEMINI.encode_request(value)
    assert [loss.path for loss in losses] == ["/messages/1/parts/0/arguments"]
    assert GEMINI.decode_request(body, LINE).messages[1].parts[0].arguments == '{"x": 1'


def test_an_answer_kept_chunk_by_chunk_is_one_message():
    contents = [
        user("x"),
        turn("model", {"text": "Hel"}),
        turn("model", {"text": "lo"}),
        turn("model", call("f", args={})),
        turn("model", {"text": ""}),
        turn("user", result("f", {"output": "1"})),
    ]
    value = asked(*contents)
    assert [message.role.value for message in value.messages] == ["user", "assistant", "tool"]
    text, asked_for = value.messages[1].parts
    assert isinstance(text, TextPart)
    assert text.text == "Hello"
    assert value.messages[2].parts[0].call_id == asked_for.call_id
    assert written(value) == ({"contents": contents}, {})


def test_history_of_a_refusal_is_text_and_cache_marks_are_told():
    value = messages(
        (Role.USER, (TextPart(text="a", cache=CacheHint()),)),
        (Role.ASSISTANT, (RefusalPart(text="no"),)),
    )
    document, losses = written(value)
    assert document["contents"][1] == turn("model", {"text": "no"})
    assert losses == {
        "/messages/0/parts/0/cache": "dropped",
        "/messages/1/parts/0": "approximated",
    }


def test_results_stand_before_what_was_said_since_their_calls():
    calls = tuple(ToolCallPart(call_id=each, name="f", arguments="{}") for each in "ab")
    results = [ToolResultPart(call_id=each, parts=(TextPart(text=each),)) for each in "abc"]
    request = messages(
        (Role.USER, (HI,)),
        (Role.ASSISTANT, calls),
        (Role.TOOL, (results[0],)),
        (Role.USER, (TextPart(text="mid"),)),
        (Role.TOOL, (results[1],)),
        (Role.TOOL, (results[2],)),
        (Role.ASSISTANT, (HI,)),
        (Role.USER, (TextPart(text="end"),)),
    )
    document, _ = written(request)
    said = [
        part["text"] if "text" in part else part["functionResponse"]["response"]["output"]
        for content in document["contents"]
        for part in content["parts"]
        if "functionCall" not in part
    ]
    assert said == ["hi", "a", "b", "mid", "c", "hi", "end"]
    assert [len(content["parts"]) for content in document["contents"]] == [1, 2, 2, 1, 1, 1, 1]


def test_a_turn_of_which_nothing_is_left_is_told():
    request = messages((Role.USER, (HI,)), (Role.ASSISTANT, ()), (Role.USER, ()))
    document, losses = written(request)
    assert len(document["contents"]) == 1
    assert losses == {"/messages/1": "dropped", "/messages/2": "dropped"}
    assert written(messages((Role.USER, (HI,))))[1] == {}
