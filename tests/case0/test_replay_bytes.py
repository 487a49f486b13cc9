"""Case 0, item 1, through the replay server: both bodies byte for byte, in any chunking."""

import io
from contextlib import contextmanager

import msgspec
import pytest

from arno.cassette.index import NamedCassette
from arno.cassette.model import WireTiming
from arno.cassette.timing import chunks_of
from arno.gateway.log import RequestLog
from arno.gateway.replay import replay_app
from arno.transport.replay import ReplayTransport
from tests.case0.cases import every_case
from tests.gateway.harness import connect, post
from tests.gateway.wire import read_chunked, running_replay

PATH = "/api/v1/chat/completions"


def as_recorded(interaction):
    return interaction


def byte_by_byte(interaction):
    """The same body as if every byte had come alone."""
    size = len(interaction.response.body)
    return msgspec.structs.replace(interaction, wire=WireTiming(((0, 1),) * size))


def at_once(interaction):
    """The same body as if it had come in one piece."""
    size = len(interaction.response.body)
    return msgspec.structs.replace(interaction, wire=WireTiming(((0, size),)))


every_chunking = pytest.mark.parametrize("rechunk", [as_recorded, byte_by_byte, at_once])


def rechunked(case, rechunk):
    cassette = case.cassette.cassette
    items = tuple(rechunk(item) for item in cassette.interactions)
    return NamedCassette(msgspec.structs.replace(cassette, interactions=items), case.name)


@contextmanager
def replaying(cassette):
    """The URL of a replay server at scale 0."""
    transport = ReplayTransport([cassette], scale=0)
    app = replay_app(transport, log=RequestLog(io.StringIO()))
    with running_replay(app) as (url, _server):
        yield url


@every_case
@every_chunking
def test_both_bodies_are_the_recorded_bytes(case, rechunk):
    with replaying(rechunked(case, rechunk)) as url:
        for item in case.cassette.cassette.interactions:
            reply = post(url, item.request.body, path=PATH)
            assert reply.status == 200
            assert reply.headers["content-type"] == "text/event-stream"
            assert reply.body == item.response.body


@every_case
@every_chunking
def test_chunks_on_the_wire_are_the_recorded_ones(case, rechunk):
    cassette = rechunked(case, rechunk)
    with replaying(cassette) as url, connect(url) as client:
        for item in cassette.cassette.interactions:
            client.post(msgspec.Raw(item.request.body), path=PATH)
            assert client.read_head()[0] == 200
            assert read_chunked(client) == [chunk.data for chunk in chunks_of(item)]


@every_case
def test_the_second_request_needs_the_first_answer(case):
    """A request that differs in what the tool said is not in the recording."""
    with replaying(case.cassette) as url:
        body = case.cassette.cassette.interactions[1].request.body
        result = case.steps[0].call.result.encode()
        assert result in body
        assert post(url, body.replace(result, b"nothing"), path=PATH).status == 424
