"""Media: blocks with a format and a source, names of documents, what is refused (R19)."""

import base64
from typing import Any

import pytest

from arno.canon.failure import RequestError
from arno.canon.parts import MediaKind, MediaPart, OpaquePart, TextPart, ToolResultPart
from arno.canon.request import Message, Request, Role
from arno.dialects.converse.media import FORMATS, WRITTEN
from arno.wire import json
from tests.dialects.converse.building import LINE, answer, asked, content_of, told, written
from tests.laws.converse_harness import CONVERSE

DATA = base64.b64encode(b"bytes").decode()


def media(kind: MediaKind = MediaKind.FILE, **fields: Any) -> MediaPart:
    return MediaPart(kind=kind, **fields)


SHOWN: dict[str, tuple[MediaPart, Any]] = {
    "image": (
        media(MediaKind.IMAGE, media_type="image/png", data=DATA),
        {"image": {"format": "png", "source": {"bytes": DATA}}},
    ),
    "another name of a type": (
        media(MediaKind.IMAGE, media_type="image/jpg", data=DATA),
        {"image": {"format": "jpeg", "source": {"bytes": DATA}}},
    ),
    "an image as a file": (
        media(media_type="image/gif", data=DATA, filename="a.gif"),
        {"image": {"format": "gif", "source": {"bytes": DATA}}},
    ),
    "document": (
        media(media_type="application/pdf", data=DATA, filename="Report (1).pdf"),
        {"document": {"format": "pdf", "name": "Report (1)", "source": {"bytes": DATA}}},
    ),
    "known by its name": (
        media(data=DATA, filename="notes.md"),
        {"document": {"format": "md", "name": "notes", "source": {"bytes": DATA}}},
    ),
    "a type with parameters": (
        media(media_type="text/plain; charset=utf-8", data=DATA, filename="a.txt"),
        {"document": {"format": "txt", "name": "a", "source": {"bytes": DATA}}},
    ),
    "video in S3": (
        media(MediaKind.VIDEO, media_type="video/mp4", url="s3://bucket/key"),
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/key"}}}},
    ),
    "audio": (
        media(MediaKind.AUDIO, media_type="audio/x-wav", data=DATA),
        {"audio": {"format": "wav", "source": {"bytes": DATA}}},
    ),
}


@pytest.mark.parametrize(("part", "block"), SHOWN.values(), ids=SHOWN)
def test_media_of_another_dialect(part: MediaPart, block: Any) -> None:
    document, losses = written(asked(part))
    assert document["messages"][0]["content"] == [block]
    assert losses == []


REFUSED: dict[str, MediaPart] = {
    "a URL": media(MediaKind.IMAGE, url="https://x.test/a.png"),
    "a URL with a type": media(MediaKind.IMAGE, media_type="image/png", url="https://x.test/a.png"),
    "an uploaded file": media(file_id="file-1"),
    "no data": media(MediaKind.IMAGE, media_type="image/png"),
    "no type": media(MediaKind.IMAGE, data=DATA),
    "an unknown type": media(media_type="application/zip", data=DATA, filename="a.pdf"),
    "an image of another type": media(MediaKind.IMAGE, media_type="image/tiff", data=DATA),
}


@pytest.mark.parametrize("part", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_shown_refuses_the_request(part: MediaPart) -> None:
    """Nothing is ever fetched, and nothing of the content is left out."""
    with pytest.raises(RequestError) as caught:
        CONVERSE.encode_request(asked(TextPart(text="a"), part))
    assert caught.value.path == "/messages/0/parts/1"
    assert ("URL" in caught.value.message) == (part.url is not None)
    result = ToolResultPart(call_id="c", parts=(part,))
    with pytest.raises(RequestError) as caught:
        CONVERSE.encode_request(Request("m", (Message(Role.TOOL, (result,)),)))
    assert caught.value.path == "/messages/0/parts/0/parts/0"


@pytest.mark.parametrize("part", REFUSED.values(), ids=REFUSED)
def test_in_an_answer_it_is_left_out_and_told(part: MediaPart) -> None:
    document, losses = CONVERSE.encode_response(answer(TextPart(text="a"), part))
    assert document["output"]["message"]["content"] == [{"text": "a"}]
    assert told(losses) == [("/choices/0/parts/1", "dropped")]


NAMES: dict[str, tuple[str | None, str]] = {
    "letters only": ("Übersicht_1.pdf", "-bersicht-1"),
    "white space": ("a \t b.pdf", "a b"),
    "too long": ("a" * 300 + ".pdf", "a" * 200),
    "nothing left": (" .pdf", "document"),
    "no name": (None, "document"),
    "another ending": ("a.PDF", "a-PDF"),
}


@pytest.mark.parametrize(("filename", "name"), NAMES.values(), ids=NAMES)
def test_a_document_gets_a_name_that_is_allowed(filename: str | None, name: str) -> None:
    part = media(media_type="application/pdf", data=DATA, filename=filename)
    document, losses = written(asked(part))
    (block,) = document["messages"][0]["content"]
    assert block["document"]["name"] == name
    assert losses == [("/messages/0/parts/0/filename", "renamed")]


def test_every_document_gets_another_name() -> None:
    part = media(media_type="application/pdf", data=DATA, filename="a.pdf")
    blocks = content_of(asked(part, part, part))
    assert [block["document"]["name"] for block in blocks] == ["a", "a (2)", "a (3)"]


def test_other_text_is_sent_as_plain_text() -> None:
    part = media(media_type="text/x-python", data=DATA, filename="a.txt")
    document, losses = written(asked(part))
    assert document["messages"][0]["content"][0]["document"]["format"] == "txt"
    assert losses == [("/messages/0/parts/0/media_type", "approximated")]


NATIVE: dict[str, tuple[Any, MediaPart | None]] = {
    "document": (
        {"document": {"format": "pdf", "name": "a", "source": {"bytes": DATA}}},
        media(MediaKind.DOCUMENT, media_type="application/pdf", data=DATA, filename="a.pdf"),
    ),
    "a name with an ending": (
        {"document": {"format": "pdf", "name": "a.pdf", "source": {"bytes": DATA}}},
        media(MediaKind.DOCUMENT, media_type="application/pdf", data=DATA, filename="a.pdf.pdf"),
    ),
    "text": (
        {"document": {"format": "txt", "name": "a", "source": {"text": "bytes"}}},
        media(MediaKind.DOCUMENT, media_type="text/plain", data=DATA, filename="a.txt"),
    ),
    "context and citations": (
        {
            "document": {
                "name": "a",
                "source": {"bytes": DATA},
                "context": "c",
                "citations": {"enabled": True},
            }
        },
        media(MediaKind.DOCUMENT, data=DATA, filename="a"),
    ),
    "owner of a bucket": (
        {
            "image": {
                "format": "png",
                "source": {"s3Location": {"uri": "s3://b/k", "bucketOwner": "1"}},
            }
        },
        media(MediaKind.IMAGE, media_type="image/png", url="s3://b/k"),
    ),
    "two formats of one type": (
        {"video": {"format": "mpg", "source": {"bytes": DATA}}},
        media(MediaKind.VIDEO, media_type="video/mpeg", data=DATA),
    ),
    "an unknown format": (
        {"image": {"format": "heic", "source": {"bytes": DATA}}},
        media(MediaKind.IMAGE, data=DATA),
    ),
    "guarded": (
        {"guardContent": {"image": {"format": "png", "source": {"bytes": DATA}}}},
        media(MediaKind.IMAGE, media_type="image/png", data=DATA),
    ),
    "pieces of a document": (
        {"document": {"name": "a", "source": {"content": [{"text": "x"}]}}},
        None,
    ),
    "no source": ({"image": {"format": "png"}}, None),
}


@pytest.mark.parametrize(("block", "part"), NATIVE.values(), ids=NATIVE)
def test_blocks_of_this_dialect_come_back(block: Any, part: MediaPart | None) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": [block]}]})
    request = CONVERSE.decode_request(body, LINE)
    (found,) = request.messages[0].parts
    if part is None:
        assert isinstance(found, OpaquePart)
    else:
        assert isinstance(found, MediaPart)
        names = [name for name in part.__struct_fields__ if name != "ext"]
        assert [getattr(found, n) for n in names] == [getattr(part, n) for n in names]
    again, losses = CONVERSE.encode_request(request)
    assert json.equal(json.loads(again), json.loads(body))
    assert losses == ()


@pytest.mark.parametrize(("block", "format_"), [(b, f) for b in FORMATS for f in FORMATS[b]])
def test_every_format_comes_back(block: str, format_: str) -> None:
    name = {"name": "a"} if block == "document" else {}
    content = [{block: {"format": format_, "source": {"bytes": DATA}, **name}}]
    body = json.dumps({"messages": [{"role": "user", "content": content}]})
    again, _ = CONVERSE.encode_request(CONVERSE.decode_request(body, LINE))
    assert json.equal(json.loads(again), json.loads(body))
    assert WRITTEN[FORMATS[block][format_]][0] == block
