"""Recordings as values: cassette, interaction, request, response, and how bytes arrived.

The fields are those of a go-vcr v2 cassette (spec/cassettes.md section 2.2) plus the timing that
go-vcr cannot hold (section 4.1). Bodies are bytes, times are integer nanoseconds.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec

Headers: TypeAlias = dict[str, list[str]]
Tree: TypeAlias = "bool | int | str | bytes | list[Tree] | dict[str, Tree] | None"


class Plain(str):
    """Text that stood unquoted in the file under a key we do not know (`5`, `true`, `~`).

    Its type is unknown to us, so it is written unquoted again, and so keeps its type.
    """

    __slots__ = ()


class Profile(StrEnum):
    """Whose scalar rules a file follows (spec/cassettes.md section 2.1)."""

    V4RC2 = "v4rc2"
    GOCCY = "goccy"


class Style(msgspec.Struct, frozen=True):
    """The layout of a file, so that a re-save keeps it. The default is our own."""

    profile: Profile = Profile.V4RC2
    indent: int = 2
    compact: bool = True
    omit_empty: bool = True


class End(StrEnum):
    """How the response body ended. Only `EOF` is a complete answer."""

    EOF = "eof"
    RESET = "reset"
    CLIENT_CLOSED = "client-closed"


class WireTiming(msgspec.Struct, frozen=True):
    """When the bytes of a response body arrived.

    `chunks` is (nanoseconds since the response head, bytes) per read, in order. `sent` is the
    recorder's note of when the request went out. `extra` keeps keys we do not interpret
    (`headers`, `enc`).
    """

    chunks: tuple[tuple[int, int], ...] = ()
    sent: str | None = None
    end: End = End.EOF
    extra: dict[str, Tree] = {}


class RecordedRequest(msgspec.Struct, frozen=True):
    """A request as it was sent. `content_length` is -1 where unknown, as in Go."""

    method: str
    url: str
    headers: Headers = {}
    body: bytes = b""
    proto: str = "HTTP/1.1"
    proto_major: int = 1
    proto_minor: int = 1
    content_length: int = 0
    transfer_encoding: list[str] = []
    trailer: Headers = {}
    host: str = ""
    remote_addr: str = ""
    request_uri: str = ""
    form: Headers = {}
    extra: dict[str, Tree] = {}


class RecordedResponse(msgspec.Struct, frozen=True):
    """A response as it was received. `status` is the full text (`200 OK`).

    `uncompressed` with `content_length` -1: the recorder undid the content encoding. `duration_ns`
    is the time to the response head, not to the end of the body.
    """

    status: str
    code: int
    headers: Headers = {}
    body: bytes = b""
    proto: str = "HTTP/1.1"
    proto_major: int = 1
    proto_minor: int = 1
    transfer_encoding: list[str] = []
    trailer: Headers = {}
    content_length: int = -1
    uncompressed: bool = False
    duration_ns: int = 0
    extra: dict[str, Tree] = {}


class Interaction(msgspec.Struct, frozen=True):
    """One request and its response. `id` is the position in the file; a save renumbers."""

    id: int
    request: RecordedRequest
    response: RecordedResponse
    wire: WireTiming | None = None
    extra: dict[str, Tree] = {}


class Cassette(msgspec.Struct, frozen=True):
    """A recorded conversation. `extra` holds unknown root keys (`x_recorder` among them)."""

    interactions: tuple[Interaction, ...] = ()
    extra: dict[str, Tree] = {}
    style: Style = Style()
