"""Media in messages: what a block carries, and what it says as something else."""

from typing import Any

import pytest

from arno.canon.parts import CacheHint, MediaKind, MediaPart, OpaquePart, Part, TextPart
from arno.canon.request import Message, Request, Role
from arno.wire import json
from tests.laws.harness import CHAT, bare

WHERE = "/messages/0/parts/0"


def sent(part: Part, role: Role = Role.USER) -> tuple[Any, list[tuple[str, str]]]:
    """The content that an upstream gets for `part`, and what was lost of it."""
    request = Request(model="m", messages=(Message(role=role, parts=(part,)),))
    body, losses = CHAT.encode_request(request)
    document: Any = json.loads(body)
    messages = document["messages"]
    found = [(loss.path.removeprefix(WHERE), loss.action) for loss in losses]
    return messages[0]["content"] if messages else None, found


def image(**members: Any) -> MediaPart:
    return MediaPart(kind=MediaKind.IMAGE, **members)


def block(type_: str, **members: Any) -> list[dict[str, Any]]:
    return [{"type": type_, type_: members}]


PNG = "data:image/png;base64,AA=="
PDF = "data:application/pdf;base64,AA=="
BYTES = "data:application/octet-stream;base64,AA=="
PAGE = "https://x.test/a"
MEDIA: dict[str, tuple[MediaPart, Any, list[tuple[str, str]]]] = {
    "an image": (image(media_type="image/png", data="AA=="), block("image_url", url=PNG), []),
    "an image of no type": (
        image(data="AA=="),
        block("image_url", url=BYTES),
        [("/media_type", "approximated")],
    ),
    "an image by its address": (
        image(url=PAGE, media_type="image/png", detail="low"),
        block("image_url", url=PAGE, detail="low"),
        [("/media_type", "approximated")],
    ),
    "an image by an id": (
        image(file_id="file_1"),
        block("file", file_id="file_1"),
        [("", "renamed")],
    ),
    "an image with a name": (
        image(url=PAGE, filename="a.png"),
        block("image_url", url=PAGE),
        [("/filename", "dropped")],
    ),
    "a document": (
        MediaPart(kind=MediaKind.DOCUMENT, media_type="application/pdf", data="AA=="),
        block("file", file_data=PDF),
        [("", "renamed")],
    ),
    "a file": (
        MediaPart(media_type="application/pdf", data="AA==", filename="a.pdf"),
        block("file", file_data=PDF, filename="a.pdf"),
        [],
    ),
    "a file with detail": (
        MediaPart(url=PAGE, detail="low"),
        block("file", file_data=PAGE),
        [("/detail", "dropped")],
    ),
    "sound": (
        MediaPart(kind=MediaKind.AUDIO, media_type="audio/mpeg", data="AA=="),
        block("input_audio", data="AA==", format="mp3"),
        [],
    ),
    "sound of an odd type": (
        MediaPart(kind=MediaKind.AUDIO, media_type="audio/x-wav", data="AA=="),
        block("input_audio", data="AA==", format="wav"),
        [("/media_type", "approximated")],
    ),
    "sound by its address": (
        MediaPart(kind=MediaKind.AUDIO, url=PAGE),
        block("file", file_data=PAGE),
        [("", "renamed")],
    ),
    "sound in words": (
        MediaPart(kind=MediaKind.AUDIO, data="AA==", transcript="hm"),
        block("input_audio", data="AA=="),
        [("/transcript", "dropped")],
    ),
    "a film": (
        MediaPart(kind=MediaKind.VIDEO, url=PAGE),
        block("video_url", url=PAGE),
        [],
    ),
}
"""Media of another dialect, its block, and what is lost."""


@pytest.mark.parametrize("case", MEDIA)
def test_media_of_other_dialects(case: str) -> None:
    part, content, losses = MEDIA[case]
    assert sent(part) == (content, losses)


@pytest.mark.parametrize("case", [case for case, (_, _, losses) in MEDIA.items() if not losses])
def test_media_without_a_loss_come_back(case: str) -> None:
    part, content, _ = MEDIA[case]
    message = {"role": "user", "content": content}
    request = CHAT.decode_request(json.dumps({"model": "m", "messages": [message]}))
    assert bare(request.messages[0].parts) == bare((part,))


@pytest.mark.parametrize("word", ["mp3", "wav", "mpeg", "pcm16", "x/y"])
def test_words_for_audio_go_back_as_they_came(word: str) -> None:
    content = block("input_audio", data="AA==", format=word)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]})
    again, losses = CHAT.encode_request(CHAT.decode_request(body))
    assert json.equal(json.loads(again), json.loads(body))
    assert not losses


def test_breakpoints_stand_on_any_block() -> None:
    hint = CacheHint(ttl="1h")
    mark = {"type": "ephemeral", "ttl": "1h"}
    part = image(url=PAGE, cache=hint)
    content, losses = sent(part)
    assert content == [{**block("image_url", url=PAGE)[0], "cache_control": mark}]
    message = {"role": "user", "content": content}
    request = CHAT.decode_request(json.dumps({"model": "m", "messages": [message]}))
    assert bare(request.messages[0].parts) == bare((part,))
    assert not losses


def test_a_part_that_no_content_holds_is_told() -> None:
    content, losses = sent(OpaquePart(dialect="other", document={}))
    assert (content, losses) == (None, [("", "dropped")])
    content, losses = sent(TextPart(text="a", ext={"other": {"new": 1, "type": "text"}}))
    assert (content, losses) == ("a", [("/new", "dropped")])
