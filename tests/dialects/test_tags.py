"""Tags: one form for every dialect, told apart from any artefact, bounded."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arno.canon.parts import ReasoningForm, ReasoningPart, TextPart, ToolCallPart
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects import DIALECTS, tags
from arno.dialects.base import RequestLine
from arno.dialects.tags import Tag
from arno.wire import json

texts = st.text(max_size=20)
maybe = st.none() | texts
all_tags = st.builds(
    Tag,
    form=st.sampled_from(ReasoningForm),
    sealed=maybe,
    signature=maybe,
    format=maybe,
    id=maybe,
    item_id=maybe,
    item_index=st.none() | st.integers(0, 10**9 - 1),
    on=maybe,
    ends=st.booleans(),
    refusal=st.booleans(),
)


def in_other_alphabet(text: str) -> str:
    return text.translate(str.maketrans("+/", "-_"))


SPELLINGS: dict[str, Any] = {
    "text": tags.write,
    "base64": tags.write64,
    "base64 for addresses": lambda tag: in_other_alphabet(tags.write64(tag)),
    "base64 without padding": lambda tag: tags.write64(tag).rstrip("="),
    "base64 for addresses without padding": lambda tag: in_other_alphabet(tags.write64(tag)).rstrip(
        "="
    ),
}


def test_the_law_builds_every_field() -> None:
    tag = Tag(
        form=ReasoningForm.SEALED,
        sealed="a",
        signature="b",
        format="c",
        id="d",
        item_id="e",
        item_index=1,
        on="f",
        ends=True,
        refusal=True,
    )
    assert all(getattr(tag, name) != getattr(Tag(), name) for name in Tag.__struct_fields__)
    assert tags.read(tags.write(tag)) == tag


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=50)
@given(tag=all_tags)
@example(tag=Tag())
@example(tag=Tag(sealed='\U0001f511\x00"\\>?~'))
def test_a_tag_reads_as_it_was_written(spelling: str, tag: Tag) -> None:
    written = SPELLINGS[spelling](tag)
    assert tags.is_like(written)
    assert tags.read(written) == tag


@pytest.mark.parametrize("write", [tags.write, tags.write64])
def test_a_body_that_may_hold_one_is_found(write: Any) -> None:
    """A proof stands in a member of its own: as one whole string, however the body is escaped."""
    assert tags.may_hold(json.dumps({"a": [{"signature": write(Tag(id='"'))}]}))
    assert not tags.may_hold(json.dumps({"a": "say arno: or arno:{ or YXJubzp7"}))


ODD = [
    "",
    "arno:",
    "arno:{",
    "arno:{}x",
    'arno:{"form":"other"}',
    'arno:{"item_index":-1}',
    'arno:{"item_index":1000000000}',
    'arno:{"sealed":7}',
    "arno:full:::::",
    "YXJubzp7",
    "YXJubzp7fQ==x",
    "YXJubzp7*fQ==",
    "YXJubzp7" + base64.b64encode(b"\xff}").decode(),
    "EqQBCkYIBxgCKkBz",
    "gAAAAABo",
]


@pytest.mark.parametrize("text", ODD)
def test_what_is_no_tag_is_none(text: str) -> None:
    assert tags.read(text) is None


@given(text=texts | texts.map("arno:{".__add__) | texts.map("YXJubzp7".__add__))
def test_what_reads_as_a_tag_is_like_one(text: str) -> None:
    """So an encoder that tags all that is like a tag writes none by accident."""
    assert tags.read(text) is None or tags.is_like(text)


def test_a_tag_beyond_the_bound_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tag = tags.write(Tag(sealed="x" * 100))
    monkeypatch.setattr(tags, "MAX_TAG", len(tag))
    assert tags.read(tag) is not None
    monkeypatch.setattr(tags, "MAX_TAG", len(tag) - 1)
    assert tags.read(tag) is None


@given(tag=all_tags, text=texts)
def test_reasoning_says_what_the_tag_says(tag: Tag, text: str) -> None:
    part = tag.reasoning(text)
    plain = msgspec.structs.replace(tag, on=None, ends=False, refusal=False)
    assert tags.of_reasoning(part) == plain
    assert part.text == text


def test_a_signature_names_what_it_signs() -> None:
    call = ToolCallPart(call_id="c", name="f")
    tag = tags.of_signature(call, "s", "x")
    assert tag == Tag(signature="s", format="x", on="c")
    assert tag.sign(call) == msgspec.structs.replace(call, signature="s", format="x")
    assert tags.of_signature(TextPart(), "s", None).on == ""


# A history that moves from one endpoint to another ------------------------------------------------

SEALED = ReasoningPart(form=ReasoningForm.SEALED, sealed="c2VhbGVk", format="x-v1", id="r")
SIGNED = ReasoningPart(text="Hm", signature="c2ln", format="x-v1")


def turn(dialect: str, tag: Tag) -> dict[str, Any]:
    """A request whose answer holds `tag` at the dialect's place for sealed artefacts."""
    return _TURNS[dialect](tags.write(tag))


def signed_turn(dialect: str, tag: Tag) -> dict[str, Any]:
    """The same at the place for the proof of a readable thought, "Hm"."""
    return _SIGNED[dialect](tags.write(tag))


def chat(detail: Any) -> Any:
    said = {"role": "assistant", "content": "Hi", "reasoning_details": [detail]}
    return {"model": "m", "messages": [{"role": "user", "content": "a"}, said]}


def messages(block: Any) -> Any:
    content = [block, {"type": "text", "text": "Hi"}]
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": content}]
    return {"model": "m", "max_tokens": 5, "messages": turns}


def converse(inner: Any) -> Any:
    content = [{"reasoningContent": inner}, {"text": "Hi"}]
    turns = [
        {"role": "user", "content": [{"text": "a"}]},
        {"role": "assistant", "content": content},
    ]
    return {"messages": turns}


def responses(item: Any) -> Any:
    return {"model": "m", "input": [{"type": "reasoning", "summary": [], **item}]}


def gemini(part: Any) -> Any:
    content = {"role": "model", "parts": [{"thought": True, **part}, {"text": "Hi"}]}
    return {"contents": [{"role": "user", "parts": [{"text": "a"}]}, content]}


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_TURNS: dict[str, Any] = {
    "chat": lambda tag: chat({"type": "reasoning.encrypted", "data": tag}),
    "messages": lambda tag: messages({"type": "redacted_thinking", "data": tag}),
    "converse": lambda tag: converse({"redactedContent": in_base64(tag)}),
    "responses": lambda tag: responses({"encrypted_content": tag}),
    "gemini": lambda tag: gemini({"text": "", "thoughtSignature": in_base64(tag)}),
}
_SIGNED: dict[str, Any] = {
    "chat": lambda tag: chat({"type": "reasoning.text", "text": "Hm", "signature": tag}),
    "messages": lambda tag: messages({"type": "thinking", "thinking": "Hm", "signature": tag}),
    "converse": lambda tag: converse({"reasoningText": {"text": "Hm", "signature": tag}}),
    "responses": lambda tag: responses(
        {"content": [{"type": "reasoning_text", "text": "Hm"}], "encrypted_content": tag}
    ),
    "gemini": lambda tag: gemini({"text": "Hm", "thoughtSignature": tag}),
}


def reasoning_of(dialect: str, body: Any) -> list[ReasoningPart]:
    line = RequestLine(model="m", stream=False)
    request = DIALECTS[dialect].decode_request(json.dumps(body), line)
    parts = [part for message in request.messages for part in message.parts]
    return [part for part in parts if isinstance(part, ReasoningPart)]


def bare(part: ReasoningPart) -> ReasoningPart:
    return msgspec.structs.replace(part, item=None, ext={})


def test_every_dialect_has_its_places_here() -> None:
    assert _TURNS.keys() == _SIGNED.keys() == DIALECTS.keys()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_dialect_reads_any_sealed_artefact(dialect: str) -> None:
    [part] = reasoning_of(dialect, turn(dialect, tags.of_reasoning(SEALED)))
    assert bare(part) == SEALED


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_dialect_reads_any_signature(dialect: str) -> None:
    [part] = reasoning_of(dialect, signed_turn(dialect, tags.of_reasoning(SIGNED)))
    assert bare(part) == SIGNED


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_artefact_of_its_own_is_none_of_them(dialect: str) -> None:
    """The control: the same places without a tag hold what they always do."""
    place = _SIGNED[dialect]
    [part, *_] = reasoning_of(dialect, place("c2ln"))
    assert (part.text, part.format) != ("Hm", "x-v1")
    assert "c2ln" in {part.signature, *(p.sealed for p in reasoning_of(dialect, place("c2ln")))}


def test_a_signature_of_something_else_moves_to_chat() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for part, signed in ((ToolCallPart(call_id="c", name="f"), "c"), (TextPart(), "text")):
        tag = tags.write(tags.of_signature(part, "s", "x-v1"))
        body = chat({"type": "reasoning.encrypted", "data": tag})
        body["messages"][1]["tool_calls"] = [call]
        request = DIALECTS["chat"].decode_request(json.dumps(body))
        found = {
            part.call_id if isinstance(part, ToolCallPart) else "text"
            for part in request.messages[1].parts
            if (part.signature, part.format) == ("s", "x-v1")
        }
        assert found == {signed}


@pytest.mark.parametrize("dialect", sorted(DIALECTS.keys() - {"chat"}))
@pytest.mark.parametrize("form", [ReasoningForm.SEALED, ReasoningForm.REDACTED])
def test_an_artefact_that_looks_like_a_tag_is_tagged(dialect: str, form: ReasoningForm) -> None:
    """Whatever stands in an artefact, what a client sends back is the artefact.

    Chat has members of its own for all that a tag says, and so writes none.
    """
    for like in (tags.write(Tag(id="1")), tags.write64(Tag(id="1"))):
        part = ReasoningPart(form=form, sealed=like, format=OWN[dialect])
        assert came_back(dialect, part) == part
        thought = ReasoningPart(text="Hm", signature=like, format=OWN[dialect])
        assert came_back(dialect, thought) == thought


OWN = {
    "messages": "anthropic-claude-v1",
    "converse": "anthropic-claude-v1",
    "responses": "openai-responses-v1",
    "gemini": "google-gemini-v1",
}


def came_back(dialect: str, part: ReasoningPart) -> ReasoningPart:
    """What a whole answer with `part` decodes to."""
    choice = Choice(parts=(part, TextPart(text="Hi")), reason=FinishReason.STOP)
    document, _ = DIALECTS[dialect].encode_response(Response(id="1", model="m", choices=(choice,)))
    answer = DIALECTS[dialect].decode_response(json.dumps(document))
    assert isinstance(answer, Response)
    found = [p for p in answer.choices[0].parts if isinstance(p, ReasoningPart)]
    assert len(found) == 1
    return bare(found[0])
