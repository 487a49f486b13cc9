"""The errors of the wire layer, and its public names."""

from arno import wire
from arno.wire import FrameTooLarge, MalformedJSON, MalformedMessage, WireError, json


def test_every_error_is_a_wire_error() -> None:
    assert issubclass(FrameTooLarge, WireError)
    assert issubclass(MalformedJSON, WireError)
    assert issubclass(MalformedMessage, WireError)


def test_frame_too_large_names_both_sizes() -> None:
    error = FrameTooLarge(limit=10, seen=12)
    assert (error.limit, error.seen) == (10, 12)
    assert str(error) == "frame of at least 12 bytes is over the limit of 10 bytes"


def test_public_names() -> None:
    assert sorted(wire.__all__) == [
        "DEFAULT_LIMIT",
        "EventStreamBytesDecoder",
        "EventStreamDecoder",
        "FRAMERS",
        "Frame",
        "FrameTooLarge",
        "Framer",
        "Framing",
        "MEDIA_TYPES",
        "MalformedJSON",
        "MalformedMessage",
        "SSEDecoder",
        "WireError",
        "encode_comment",
        "encode_message",
        "encode_sse",
    ]
    names = ["MAX_DEPTH", "Raw", "canonical", "dumps", "equal", "is_plain", "loads"]
    assert sorted(json.__all__) == names
