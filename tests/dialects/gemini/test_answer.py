"""Whole answers: endings without content, refused prompts, ids, citations."""

import msgspec
import pytest

from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import (
    Executor,
    MediaKind,
    MediaPart,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects.gemini.ids import PREFIX
from arno.wire import json
from tests.dialects.gemini.building import (
    OWN,
    SIGNATURE,
    answer,
    answered,
    parts_of,
    read,
)
from tests.laws.gemini import GEMINI


def said(response):
    return json.loads(json.dumps(GEMINI.encode_response(response)[0]))


def rewritten(document):
    return said(read(document))


CALL = {"functionCall": {"name": "f", "args": {"a": 1}}}


@pytest.mark.parametrize(
    ("word", "parts", "reason"),
    [
        ("STOP", [{"text": "a"}], FinishReason.STOP),
        ("STOP", [CALL], FinishReason.TOOL_CALLS),
        ("UNEXPECTED_TOOL_CALL", [CALL], FinishReason.TOOL_CALLS),
        ("MAX_TOKENS", [CALL], FinishReason.LENGTH),
        ("MAX_TOKENS", [], FinishReason.LENGTH),
        ("SAFETY", [], FinishReason.CONTENT_FILTER),
        ("MODEL_ARMOR", [], FinishReason.CONTENT_FILTER),
        ("LANGUAGE", [], FinishReason.OTHER),
        ("A_NEW_WORD", [{"text": "a"}], FinishReason.OTHER),
    ],
)
def test_endings(word, parts, reason):
    document = answered(*parts, finish=word, finishMessage="why", safetyRatings=[{"blocked": True}])
    choice = read(document).choices[0]
    assert (choice.reason, choice.native_reason) == (reason, word)
    assert rewritten(document) == document


@pytest.mark.parametrize("content", [{}, {"role": "model"}, {"parts": []}, None])
def test_candidates_without_parts_come_back_as_they_were(content):
    document = answered(finish="MAX_TOKENS")
    candidate = document["candidates"][0]
    del candidate["content"]
    if content is not None:
        candidate["content"] = content
    assert read(document).choices[0].parts == ()
    assert rewritten(document) == document


@pytest.mark.parametrize(
    "word",
    ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"],
)
def test_a_broken_answer_is_a_failure_that_may_be_tried_again(word):
    document = answered(finish=word, finishMessage="print(f(")
    failure = GEMINI.decode_response(json.dumps(document))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.code, failure.retryable) == (FailureKind.SERVER, word, True)
    assert failure.stage is Stage.BEFORE_OUTPUT
    assert "print(f(" in failure.message


def test_a_refused_prompt_is_an_empty_answer_that_a_filter_ended():
    document = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7},
        "modelVersion": "m",
    }
    response = read(document)
    (choice,) = response.choices
    assert choice.parts == ()
    assert (choice.reason, choice.native_reason) == (
        FinishReason.CONTENT_FILTER,
        "PROHIBITED_CONTENT",
    )
    assert response.usage is not None
    assert (response.usage.input, response.usage.output) == (7, 0)
    assert rewritten(document) == document


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.INVALID_ANSWER),
        (b"<html>", FailureKind.INVALID_ANSWER),
        (b"[]", FailureKind.INVALID_ANSWER),
        (b"{}", FailureKind.INVALID_ANSWER),
        (b'{"candidates":[]}', FailureKind.INVALID_ANSWER),
        (b'{"candidates":[1]}', FailureKind.INVALID_ANSWER),
        (b'[{"error":{"code":503,"status":"UNAVAILABLE"}}]', FailureKind.OVERLOADED),
        (b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}', FailureKind.RATE_LIMIT),
    ],
)
def test_what_is_no_answer_is_a_failure(body, kind):
    failure = GEMINI.decode_response(body)
    assert isinstance(failure, Failure)
    assert failure.kind is kind


def test_ids_are_made_of_the_answer_and_the_place_and_taken_away_again():
    document = answered(CALL, {"functionCall": {"name": "f", "id": "own"}}, CALL)
    first, own, second = (part.call_id for part in parts_of(document))
    assert own == "own"
    assert first.startswith(PREFIX)
    assert second.startswith(PREFIX)
    assert first != second
    assert [part.call_id for part in parts_of(document)] == [first, own, second]
    assert parts_of({**document, "responseId": "r2"})[0].call_id != first
    assert rewritten(document) == document
    nameless = {key: value for key, value in document.items() if key != "responseId"}
    one, _, other = (part.call_id for part in parts_of(nameless))
    assert one != other
    assert rewritten(nameless) == nameless


def test_a_made_id_stays_where_it_would_not_be_made_again():
    """An answer passed on under another id, as a gateway does."""
    response = read(answered(CALL))
    renamed = msgspec.structs.replace(response, id="ours")
    again = read(said(renamed))
    assert again.choices[0].parts[0].call_id == response.choices[0].parts[0].call_id


def test_thoughts_signatures_and_media():
    document = answered(
        {"text": "hm", "thought": True},
        {"text": "", "thoughtSignature": SIGNATURE},
        {"thoughtSignature": SIGNATURE},
        {**CALL, "thoughtSignature": SIGNATURE},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
    )
    thought, empty, bare, call, picture = parts_of(document)
    assert isinstance(thought, ReasoningPart)
    assert (thought.text, thought.form, thought.signature) == ("hm", ReasoningForm.FULL, None)
    for part in (empty, bare, call):
        assert (part.signature, part.format) == (SIGNATURE, OWN)
    assert isinstance(empty, TextPart)
    assert isinstance(bare, TextPart)
    assert isinstance(picture, MediaPart)
    assert picture.kind is MediaKind.IMAGE
    assert rewritten(document) == document


def test_pieces_of_one_text_are_one_part():
    document = answered(
        {"text": "a"},
        {"text": "b"},
        {"text": "c", "thoughtSignature": SIGNATURE},
        {"text": "d"},
        {"text": "e", "thought": True},
        {"text": "f", "thought": True},
    )
    assert [part.text for part in parts_of(document)] == ["ab", "c", "d", "ef"]
    assert rewritten(document) == document


def grounded(text: str, *segments: dict, **members) -> dict:
    chunks = [{"web": {"uri": "https://a.test", "title": "A"}}, {"web": {"uri": "https://b.test"}}]
    supports = [
        {"segment": segment, "groundingChunkIndices": [0, 1, 9][: number + 1]}
        for number, segment in enumerate(segments)
    ]
    metadata = {"groundingChunks": chunks, "groundingSupports": supports, "webSearchQueries": ["q"]}
    return answered({"text": text}, groundingMetadata=metadata, **members)


def citation(url: str, start: int | None = None, end: int | None = None, **source) -> dict:
    place = {} if start is None else {"start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": {"url": url, **source, **place}}


def test_grounding_is_told_as_citations_in_characters():
    document = grounded(
        "69°F. Sunny.",
        {"endIndex": 6, "text": "69°F."},
        {"startIndex": 7, "endIndex": 13, "text": "Sunny."},
        {"startIndex": 3, "endIndex": 6, "text": "not there"},
    )
    (part,) = parts_of(document)
    assert isinstance(part, TextPart)
    assert list(part.annotations) == [
        citation("https://a.test", 0, 5, title="A"),
        citation("https://a.test", 6, 12, title="A"),
        citation("https://b.test", 6, 12),
    ]
    assert rewritten(document) == document


def test_a_segment_is_looked_for_where_it_is_and_where_it_is_not_said_to_be():
    document = grounded("unused", {"partIndex": 1, "endIndex": 2, "text": "bb"})
    document["candidates"][0]["content"]["parts"] = [
        {"text": "aa"},
        {"text": "bb"},
        {"text": "t", "thought": True},
        {"text": "cc"},
    ]
    first, _, third = parts_of(document)
    assert list(first.annotations) == [citation("https://a.test", 2, 4, title="A")]
    assert third.annotations == ()
    segment = document["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"]
    segment.update(text="cc", partIndex=0)
    first, _, third = parts_of(document)
    assert first.annotations == ()
    assert list(third.annotations) == [citation("https://a.test", 0, 2, title="A")]


def test_citation_metadata_is_told_as_citations_too():
    sources = [{"startIndex": 1, "endIndex": 3, "uri": "https://a.test", "license": "x"}]
    for members in ({"citationSources": sources}, {"citations": sources}):
        document = answered({"text": "abcd"}, citationMetadata=members)
        assert parts_of(document)[0].annotations == (citation("https://a.test", 1, 3),)
        assert rewritten(document) == document


def test_citations_of_other_dialects_are_grounding():
    annotations = (
        citation("https://a.test", 0, 2, title="A"),
        citation("https://a.test", 3, 4, title="A"),
        citation("https://b.test", content="quoted"),
        {"type": "@messages", "@messages": {}},
    )
    response = answer(TextPart(text="é b", annotations=annotations))
    document, losses = GEMINI.encode_response(response)
    assert [(loss.path, loss.action) for loss in losses] == [
        ("/choices/0/parts/0/annotations", "dropped")
    ]
    assert document["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [
            {"web": {"uri": "https://a.test", "title": "A"}},
            {"retrievedContext": {"uri": "https://b.test", "text": "quoted"}},
        ],
        "groundingSupports": [
            {
                "segment": {"endIndex": 3, "text": "é "},
                "groundingChunkIndices": [0],
            },
            {"groundingChunkIndices": [0]},
            {"groundingChunkIndices": [1]},
        ],
    }


def test_tools_that_another_provider_ran_are_never_shown_as_calls():
    ran = ToolCallPart(call_id="1", name="web_search", executor=Executor.PROVIDER)
    document, losses = GEMINI.encode_response(answer(ran, TextPart(text="a")))
    assert document["candidates"][0]["content"]["parts"] == [{"text": "a"}]
    assert [(loss.path, loss.action) for loss in losses] == [("/choices/0/parts/0", "dropped")]


def test_an_answer_of_another_dialect_has_what_clients_look_for():
    choice = Choice(parts=(TextPart(text="a"),), reason=FinishReason.STOP, native_reason="end_turn")
    response = Response(id="a1", model="m", created=1_700_000_000, choices=(choice,))
    assert said(response) == {
        "candidates": [
            {
                "content": {"parts": [{"text": "a"}], "role": "model"},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "modelVersion": "m",
        "createTime": "2023-11-14T22:13:20Z",
        "responseId": "a1",
    }


@pytest.mark.parametrize("call", [{"args": {}}, {"name": "", "args": {}}, {"name": 7}, 7])
def test_a_call_that_names_no_tool_is_a_failure(call):
    told = GEMINI.decode_response(json.dumps(answered({"functionCall": call})))
    assert isinstance(told, Failure)
    assert told.kind is FailureKind.INVALID_ANSWER
    assert parts_of(answered({"functionCall": {"name": "f"}}))
