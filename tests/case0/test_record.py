"""Case 0, recorded again: our agent, through `arno record`, from `arno replay`, all processes.

What comes out must be what went in, but for the few things that are another client's or another
day's. `unlike` is the control: each of them alone is noticed.
"""

import asyncio
import signal
import sys

import msgspec
import pytest

from arno import Agent
from arno.cassette.govcr import dump, load
from arno.cassette.timing import chunks_of
from arno.wire import json
from tests.case0.cases import SHIPPED, every_case
from tests.cli.commands import running, server
from tests.gateway.harness import connect
from tests.gateway.wire import read_chunked

pytestmark = pytest.mark.slow

PATIENCE_S = 30
PATH = "/api/v1/chat/completions"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """By case and options of `arno record`: the original's bytes and the new file's."""
    done = {}

    def record(case, *options):
        key = (case.name, options)
        if key not in done:
            done[key] = _record(case, options, tmp_path_factory.mktemp(case.name))
        return done[key]

    return record


def _record(case, options, folder):
    tape, new = folder / "tape.yaml", folder / "new.yaml"
    tape.write_bytes(dump(case.cassette.cassette))
    with server("replay", tape, "--scale", "0") as (_, upstream):
        arguments = ("record", "-o", new, "--upstream", upstream, *options)
        with server(*arguments) as (process, url):
            agent = Agent(case.model, base_url=f"{url}/api/v1", **case.agent)
            result = asyncio.run(run(agent, case.prompt))
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
    assert result.text == case.steps[-1].text
    return tape.read_bytes(), new.read_bytes()


async def run(agent, prompt):
    async with agent:
        return await agent.run(prompt)


def comparable(data):
    """A cassette without user agent, order of body keys, length, proto fields, URL's host, times.

    Everything else stays: root keys, extra keys, wire timing, headers, bodies, status.
    """
    cassette = load(data)
    items = []
    for item in cassette.interactions:
        request, response = (msgspec.to_builtins(part) for part in (item.request, item.response))
        for part in (request, response):
            for key in ("proto", "proto_major", "proto_minor", "content_length"):
                part.pop(key)
        request["headers"].pop("User-Agent")
        request["body"] = json.loads(item.request.body)
        request["url"] = item.request.url.partition("://")[2].partition("/")[2]
        response.pop("duration_ns")
        items.append((item.id, request, response, item.wire, item.extra))
    return cassette.extra, cassette.style, items


def untimed(data):
    """The bytes of a cassette without our own keys: what a go-vcr file can hold."""
    cassette = load(data)
    items = tuple(msgspec.structs.replace(item, wire=None) for item in cassette.interactions)
    return dump(msgspec.structs.replace(cassette, interactions=items, extra={}))


@every_case
def test_without_timing_the_new_cassette_is_the_original(case, recorded):
    """The original here is a plain go-vcr file, as the seed is."""
    original, new = recorded(case, "--no-timing")
    assert comparable(new) == comparable(untimed(original))


@every_case
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"- text/event-stream", b"- text/plain"),
        (b"data: [DONE]\n", b"data: [DONE] \n"),
        (b"status: 200 OK", b"status: 200 Fine"),
        (b"chat/completions\n", b"chat/completion\n"),
        (b"version: 2\n", b"version: 2\nx_more: 1\n"),
    ],
)
def test_the_comparison_notices_a_difference(case, recorded, old, new):
    original, again = recorded(case, "--no-timing")
    changed = again.replace(old, new)
    assert changed != again
    assert comparable(changed) != comparable(untimed(original))


@every_case
def test_the_file_is_what_the_writer_makes_of_it(case, recorded):
    for options in ((), ("--no-timing",)):
        _, new = recorded(case, *options)
        assert dump(load(new)) == new


@every_case
def test_with_timing_a_replay_gives_the_chunks_that_the_client_saw(case, tmp_path):
    """Chunk by chunk on raw sockets: upstream, recorder, and a replay of what was recorded."""
    tape, new = tmp_path / "tape.yaml", tmp_path / "new.yaml"
    tape.write_bytes(dump(case.cassette.cassette))
    bodies = [item.request.body for item in case.cassette.cassette.interactions]
    with (
        server("replay", tape, "--scale", "0.2") as (_, upstream),
        server("record", "-o", new, "--upstream", upstream) as (process, url),
    ):
        seen = chunks_of_all(url, bodies)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    again = load(new.read_bytes()).interactions
    assert [[chunk.data for chunk in chunks_of(item)] for item in again] == seen
    assert [item.response.body for item in again] == [
        item.response.body for item in case.cassette.cassette.interactions
    ]
    with server("replay", new, "--scale", "0") as (_, url):
        assert chunks_of_all(url, bodies) == seen


def chunks_of_all(url, bodies):
    """The chunks of each answer as they stand on the wire."""
    found = []
    with connect(url) as client:
        for body in bodies:
            client.post(msgspec.Raw(body), path=PATH)
            assert client.read_head()[0] == 200
            found.append(read_chunked(client))
    return found


def test_the_agent_as_a_command_of_the_recorder(tmp_path):
    """`arno record -o FILE --upstream URL -- arno run ...`: nothing but the command line."""
    tape, new = tmp_path / "tape.yaml", tmp_path / "new.yaml"
    tape.write_bytes(dump(SHIPPED.cassette.cassette))
    command = (sys.executable, "-m", "arno", "run", SHIPPED.prompt, "--model", SHIPPED.model)
    settings = ("--instructions", SHIPPED.agent["instructions"], "--max-tokens", "1000")
    more = ("--tool", "arno.cli.scenario:departures", "--tool-choice", "auto")
    usage = ("--extra", '{"usage": {"include": true}}')
    with (
        server("replay", tape, "--scale", "0") as (_, upstream),
        running(
            *("record", "-o", new, "--upstream", upstream, "--no-timing", "--"),
            *command,
            *settings,
            *more,
            *usage,
        ) as process,
    ):
        printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert printed.strip().endswith(SHIPPED.steps[-1].text)
    assert comparable(new.read_bytes()) == comparable(untimed(tape.read_bytes()))
