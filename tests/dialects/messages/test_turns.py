"""The conversation on the messages wire: turns, ids, artefacts, media (R15, R16, R18, R19)."""

import pytest

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
from arno.canon.request import (
    Message,
    Role,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.wire import json
from tests.dialects.messages.documents import (
    MESSAGES,
    OWN,
    SIGNED,
    assistant,
    calls,
    refused,
    result,
    said,
    system,
    user,
)


def test_leading_instructions_are_hoisted_and_later_ones_told_by_the_user():
    developer = Message(role=Role.DEVELOPER, parts=(TextPart(text="B"),))
    document, losses = said(system("A"), developer, user("Hi"), system("C"), user("Ho"))
    assert document["system"] == [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
    assert [turn["role"] for turn in document["messages"]] == ["user", "user", "user"]
    assert losses == {"/messages/1/role": "renamed", "/messages/3": "approximated"}


def test_one_plain_instruction_is_a_text():
    assert said(system("A"), user("Hi"))[0]["system"] == "A"
    hinted = system(TextPart(text="A", cache=CacheHint(ttl="1h")))
    assert said(hinted, user("Hi"))[0]["system"] == [
        {"type": "text", "text": "A", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]


def test_r16_results_of_one_turn_stand_together_before_what_the_user_says():
    document, losses = said(
        user("Hi"), calls("a", "b"), result("a", "1"), result("b", "2"), user("And?"), user("Now")
    )
    assert losses == {}
    turns = document["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "user"]
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "content": "2"},
        {"type": "text", "text": "And?"},
    ]


def test_a_turn_is_split_and_joined_again_as_it_was():
    content = [
        {"type": "text", "text": "first"},
        {"type": "tool_result", "tool_use_id": "a"},
        {"type": "tool_result", "tool_use_id": "b", "content": [], "is_error": True},
        {"type": "text", "text": "last"},
    ]
    following = {"role": "user", "content": "alone"}
    body = {"model": "m", "messages": [{"role": "user", "content": content}, following]}
    request = MESSAGES.decode_request(json.dumps(body))
    assert [message.role for message in request.messages] == [
        Role.USER,
        Role.TOOL,
        Role.TOOL,
        Role.USER,
        Role.USER,
    ]
    assert json.loads(MESSAGES.encode_request(request)[0]) == body


@pytest.mark.parametrize(
    ("given", "written"),
    [("weather:0", "arno-weather_3a0"), ("a_0", "a_0"), ("a:0", "arno-a_3a0"), ("", "arno-")],
)
def test_r15_ids_fit_and_pair_and_come_back(given, written):
    document, losses = said(user("Hi"), calls(given), result(given, "1"))
    assert losses == {}
    assert document["messages"][1]["content"][0]["id"] == written
    assert document["messages"][2]["content"][0]["tool_use_id"] == written
    again = MESSAGES.decode_request(json.dumps(document))
    assert again.messages[1].parts[0].call_id == given


def test_r15_an_id_of_94_characters_is_told_as_renamed():
    document, losses = said(user("Hi"), calls("x" * 94), result("x" * 94, "1"))
    assert losses == {"/messages/1/parts/0/call_id": "renamed"}
    id_ = document["messages"][1]["content"][0]["id"]
    assert len(id_) <= 64
    assert document["messages"][2]["content"][0]["tool_use_id"] == id_


def test_arguments_that_are_no_object_are_wrapped_and_told():
    call = ToolCallPart(call_id="a", name="add", arguments='{"x":')
    document, losses = said(user("Hi"), assistant(call))
    assert document["messages"][1]["content"][0]["input"] == {"INVALID_JSON": '{"x":'}
    assert losses == {"/messages/1/parts/0/arguments": "approximated"}


def test_text_that_says_nothing_is_not_sent():
    document, losses = said(user("", "Hi", " \n"), assistant(""))
    assert document["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert losses == {"/messages/0/parts/2": "dropped"}


def test_an_answer_to_be_gone_on_with_ends_without_white_space():
    document, losses = said(user("Hi"), assistant("So "))
    assert document["messages"][1]["content"] == [{"type": "text", "text": "So"}]
    assert losses == {"/messages/1/parts/0": "approximated"}


def test_a_request_of_instructions_alone_has_a_turn():
    document, losses = said(system("A"), system("B"))
    assert document["system"] == "A"
    assert document["messages"] == [{"role": "user", "content": [{"type": "text", "text": "B"}]}]
    assert losses == {"/messages/1": "approximated"}


def test_calls_of_other_kinds_are_told_as_those_of_functions():
    call = ToolCallPart(call_id="a", name="patch", arguments="x", kind="custom")
    document, losses = said(user("Hi"), assistant(call))
    assert document["messages"][1]["content"][0]["input"] == {"INVALID_JSON": "x"}
    assert losses == {
        "/messages/1/parts/0/arguments": "approximated",
        "/messages/1/parts/0/kind": "approximated",
    }


def test_names_of_speakers_and_refusals_are_told():
    named = Message(role=Role.USER, parts=(TextPart(text="Hi"),), name="ann")
    _, losses = said(named, assistant(RefusalPart(text="No")), user("Why"))
    assert losses == {"/messages/0/name": "dropped", "/messages/1/parts/0": "approximated"}


def thoughts(*parts):
    document, losses = said(user("Hi"), assistant(*parts, "x"), user("And?"))
    return document["messages"][1]["content"][:-1], losses


def test_own_artefacts_go_back_as_they_are():
    redacted = ReasoningPart(form=ReasoningForm.REDACTED, sealed="data", format=OWN)
    blocks, losses = thoughts(SIGNED, redacted)
    assert blocks == [
        {"type": "thinking", "thinking": "Hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "data"},
    ]
    assert losses == {}


@pytest.mark.parametrize(
    "part",
    [
        ReasoningPart(text="Hm"),
        ReasoningPart(text="Hm", format=OWN),
        ReasoningPart(text="Hm", signature="s", format="google-gemini-v1"),
        ReasoningPart(
            form=ReasoningForm.SEALED, sealed="s", format="openai-responses-v1", id="rs_1"
        ),
    ],
)
def test_foreign_and_unsigned_reasoning_stays_behind(part):
    assert thoughts(part) == ([], {"/messages/1/parts/0": "dropped"})


def test_a_signature_that_came_as_a_part_of_its_own_is_put_to_its_text():
    apart = ReasoningPart(signature="sig", format=OWN)
    assert thoughts(ReasoningPart(text="Hm", format=OWN), apart) == (
        [{"type": "thinking", "thinking": "Hm", "signature": "sig"}],
        {},
    )


def test_a_signature_on_a_call_stays_behind():
    call = ToolCallPart(
        call_id="a", name="add", arguments="{}", signature="s", format="google-gemini-v1"
    )
    document, losses = said(user("Hi"), assistant(call))
    assert losses == {"/messages/1/parts/0/signature": "dropped"}
    assert "signature" not in document["messages"][1]["content"][0]


def test_what_a_client_was_shown_of_other_reasoning_is_told_apart_on_the_way_back():
    sealed = ReasoningPart(
        form=ReasoningForm.SEALED, sealed="s", format="openai-responses-v1", id="rs_1"
    )
    answer = Response(choices=(Choice(parts=(sealed,), reason=FinishReason.STOP),))
    content = MESSAGES.encode_response(answer)[0]["content"]
    body = {"model": "m", "messages": [{"role": "assistant", "content": content}]}
    request = MESSAGES.decode_request(json.dumps(body))
    part = request.messages[0].parts[0]
    assert (part.form, part.sealed, part.format, part.id) == (
        ReasoningForm.SEALED,
        "s",
        "openai-responses-v1",
        "rs_1",
    )
    _, losses = MESSAGES.encode_request(request)
    assert [loss.path for loss in losses] == ["/messages/0/parts/0"]


def media(**fields):
    document, losses = said(user(MediaPart(**fields)))
    return document["messages"][0]["content"][0], losses


def test_images_and_documents():
    image = {"type": "base64", "media_type": "image/png", "data": "eA=="}
    kind = MediaKind.IMAGE
    assert media(kind=kind, media_type="image/png", data="eA==")[0]["source"] == image
    assert media(kind=kind, data="iVBORw0KGgoAAA")[0]["source"]["media_type"] == "image/png"
    assert media(kind=kind, url="https://x/y")[0]["source"] == {"type": "url", "url": "https://x/y"}
    kind = MediaKind.DOCUMENT
    block, losses = media(kind=kind, media_type="application/pdf", data="eA==", filename="a.pdf")
    assert (block["type"], block["title"], losses) == ("document", "a.pdf", {})
    assert media(media_type="application/pdf", data="eA==")[1] == {
        "/messages/0/parts/0/kind": "renamed"
    }
    block, losses = media(kind=kind, media_type="text/csv", data="YSxi")
    assert block["source"] == {"type": "text", "media_type": "text/plain", "data": "a,b"}
    assert losses == {"/messages/0/parts/0/media_type": "approximated"}


def test_details_of_images_are_told():
    _, losses = media(kind=MediaKind.IMAGE, url="http://u", detail="high", filename="a.png")
    assert losses == {
        "/messages/0/parts/0/detail": "dropped",
        "/messages/0/parts/0/filename": "dropped",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": MediaKind.AUDIO, "media_type": "audio/wav", "data": "eA=="},
        {"kind": MediaKind.VIDEO, "url": "u"},
        {"kind": MediaKind.IMAGE, "media_type": "image/tiff", "data": "eA=="},
        {"file_id": "file-1"},
        {"media_type": "text/plain", "data": "no base64!"},
        {"media_type": "application/zip", "data": "eA=="},
        {"kind": MediaKind.IMAGE, "url": "s3://bucket/a.png"},
        {"kind": MediaKind.DOCUMENT, "media_type": "text/html", "url": "https://x/y"},
    ],
)
def test_media_that_cannot_be_carried_are_refused(fields):
    """R19."""
    assert refused(user(MediaPart(**fields))) == "/messages/0/parts/0"


def test_a_tool_s_result_holds_pictures_and_documents():
    picture = MediaPart(kind=MediaKind.IMAGE, media_type="image/png", data="eA==")
    document, losses = said(user("Hi"), calls("a"), result("a", "x", picture, is_error=True))
    block = document["messages"][2]["content"][0]
    assert [part["type"] for part in block["content"]] == ["text", "image"]
    assert block["is_error"] is True
    assert losses == {}


def test_a_result_that_is_a_document_is_told_as_its_text():
    message = Message(role=Role.TOOL, parts=(ToolResultPart(call_id="a", value={"x": 1}),))
    document, losses = said(user("Hi"), calls("a"), message)
    assert losses == {"/messages/2/parts/0/value": "approximated"}
    assert document["messages"][2]["content"][0]["content"] == '{"x":1}'


def test_what_other_upstreams_ran_and_documents_of_theirs_stay_behind():
    ran = ToolCallPart(call_id="w", name="web_search", executor=Executor.PROVIDER)
    gave = ToolResultPart(call_id="w", value=[], executor=Executor.PROVIDER)
    opaque = OpaquePart(dialect="chat", document={})
    _, losses = said(user("Hi"), assistant(ran, gave, opaque, "x"), user("And?"))
    assert losses == dict.fromkeys((f"/messages/1/parts/{n}" for n in range(3)), "dropped")
