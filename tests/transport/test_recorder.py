"""The recorder: a complete go-vcr file after each interaction, in request order, no secrets."""

import asyncio
import random
import stat
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from arno.cassette.govcr import dump, load
from arno.cassette.model import Cassette, End, Style
from arno.cassette.recordings import built_in
from arno.cassette.redact import dump_redacted
from arno.cassette.timing import chunks_of
from arno.transport.base import HttpRequest
from arno.transport.live import LivePool
from arno.transport.record import RecordTransport
from arno.transport.recorder import Recorder, RecordingIncomplete
from arno.transport.replay import ReplayTransport
from tests.transport.replaying import FakeTime, read_chunks, recording
from tests.transport.running import post, read_all, within
from tests.transport.upstream import Script, ScriptedUpstream

SOURCE = Path(__file__).parents[2] / "src"


@asynccontextmanager
async def undecoding_pool():
    """A live transport that leaves bodies as they come, as the recording server's does."""
    live = LivePool(decode=False)
    try:
        yield live
    finally:
        await live.aclose()


def items(count, **changed):
    return [
        recording((1, b"data: %d\n\n" % n), number=n, body=b'{"n":%d}' % n, **changed)
        for n in range(count)
    ]


def test_the_file_is_the_one_that_the_cassette_layer_writes(tmp_path):
    path = tmp_path / "a.yaml"
    recorded = items(12)
    with Recorder(path, timing=True, extra={"x_recorder": {"name": "arno"}}) as recorder:
        for item in random.Random(4).sample(recorded, len(recorded)):
            recorder(item)
    whole = Cassette(tuple(recorded), extra={"x_recorder": {"name": "arno"}})
    assert path.read_bytes() == dump_redacted(whole)


def test_the_file_is_complete_after_each_interaction(tmp_path):
    path = tmp_path / "a.yaml"
    recorder = Recorder(path)
    for count, item in enumerate(items(3), 1):
        recorder(item)
        assert [i.request.body for i in load(path.read_bytes()).interactions] == [
            b'{"n":%d}' % n for n in range(count)
        ]
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.yaml"]


def test_nothing_recorded_is_an_empty_cassette(tmp_path):
    path = tmp_path / "a.yaml"
    with Recorder(path):
        pass
    assert path.read_bytes() == b"---\nversion: 2\ninteractions: []\n"


def test_what_ended_is_there_when_the_process_ends_early(tmp_path):
    path = tmp_path / "a.yaml"
    program = (
        "import os, sys\n"
        "from arno.cassette.recordings import built_in\n"
        "from arno.transport.recorder import Recorder\n"
        "recorder = Recorder(sys.argv[1], timing=True)\n"
        "recorder(built_in().cassette.interactions[0])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(path)], env={"PYTHONPATH": str(SOURCE)}, check=False
    )
    assert load(path.read_bytes()).interactions == built_in().cassette.interactions[:1]


@pytest.mark.parametrize(
    ("end", "kept"), [(End.EOF, False), (End.RESET, True), (End.CLIENT_CLOSED, True)]
)
def test_without_timing_only_a_bad_end_is_kept(tmp_path, end, kept):
    path = tmp_path / "a.yaml"
    with Recorder(path) as recorder:
        recorder(recording((1, b"x"), end=end))
    [item] = load(path.read_bytes()).interactions
    assert (item.wire is not None) is kept
    if item.wire is not None:
        assert item.wire.end is end


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("http://127.0.0.1:80/v1/x?a=1", "https://gateway.example/api/v1/x?a=1"),
        ("http://127.0.0.1:80", "https://gateway.example/api"),
        ("http://127.0.0.1:80?a=1", "https://gateway.example/api?a=1"),
        ("http://127.0.0.1:8080/v1/x", "http://127.0.0.1:8080/v1/x"),
        ("http://other.example/v1/x", "http://other.example/v1/x"),
    ],
)
def test_urls_are_written_under_another_base(tmp_path, url, written):
    path = tmp_path / "a.yaml"
    bases = {"http://127.0.0.1:80": "https://gateway.example/api"}
    with Recorder(path, rename_urls=bases) as recorder:
        recorder(recording((1, b"x"), url=url))
    assert [item.request.url for item in load(path.read_bytes()).interactions] == [written]


# ---------------------------------------------------------------- what cannot be written


def test_what_looks_like_a_credential_is_left_out_and_told_without_being_shown(tmp_path):
    path = tmp_path / "a.yaml"
    secret = b"sk-" + b"a1b2c3d4e5f6g7h8"
    recorder = Recorder(path)
    recorder(recording((1, b"key: " + secret), number=0))
    recorder(recording((1, b"fine"), number=1))
    with pytest.raises(RecordingIncomplete) as caught:
        recorder.close()
    assert "request 0" in str(caught.value)
    assert secret.decode() not in str(caught.value)
    assert secret not in path.read_bytes()
    assert [item.response.body for item in load(path.read_bytes()).interactions] == [b"fine"]


@pytest.mark.parametrize(("encoding", "kept"), [("gzip", 0), (" Identity", 1), ("", 1)])
def test_an_answer_that_cannot_be_decoded_is_left_out_and_told(tmp_path, encoding, kept):
    """It could not be replayed: a replay gives bodies without an encoding."""
    path = tmp_path / "a.yaml"

    async def scenario():
        answer = Script([b"{}"], headers=[("content-encoding", encoding)])
        async with ScriptedUpstream([answer]) as upstream, undecoding_pool() as live:
            recorder = Recorder(path)
            await read_all(await RecordTransport(live, recorder).send(post(upstream.url)))
            return recorder

    recorder = asyncio.run(within(20, scenario()))
    assert recorder.count == kept
    assert [problem.count("encoded (gzip)") for problem in recorder.problems] == [1] * (1 - kept)


def test_a_new_file_is_for_its_owner_alone_and_a_mode_that_was_chosen_stays(tmp_path):
    path = tmp_path / "a.yaml"
    recorder = Recorder(path)
    for number, item in enumerate(items(2)):
        recorder(item)
        assert stat.S_IMODE(path.stat().st_mode) == (0o600, 0o640)[number]
        path.chmod(0o640)


def test_a_file_that_cannot_be_written_is_told_at_the_end(tmp_path):
    recorder = Recorder(tmp_path / "missing" / "a.yaml")
    recorder(recording((1, b"x")))
    with pytest.raises(RecordingIncomplete, match="cannot write the file: No such file"):
        recorder.close()


def test_a_later_write_makes_good_for_one_that_failed(tmp_path):
    path = tmp_path / "late" / "a.yaml"
    recorder = Recorder(path)
    recorder(recording((1, b"x")))
    path.parent.mkdir()
    recorder.close()
    assert len(load(path.read_bytes()).interactions) == 1


def test_a_full_file_takes_no_more_and_says_so(tmp_path):
    path = tmp_path / "a.yaml"
    recorder = Recorder(path, max_file=1500)
    for item in items(4):
        recorder(item)
    with pytest.raises(RecordingIncomplete, match="the file is full"):
        recorder.close()
    kept = load(path.read_bytes()).interactions
    assert 1 <= len(kept) < 4
    assert len(path.read_bytes()) < 1600


def test_an_error_on_its_way_out_is_not_replaced(tmp_path):
    def fail():
        with Recorder(tmp_path / "missing" / "a.yaml") as recorder:
            recorder(recording((1, b"x")))
            raise KeyError

    with pytest.raises(KeyError):
        fail()


# ---------------------------------------------------------------- record what is replayed


def test_a_recording_of_a_replay_is_the_recording(tmp_path):
    """Chunks, times, requests and ends of the shipped cassette, through both transports."""
    original, path = built_in(), tmp_path / "again.yaml"

    async def scenario():
        time = FakeTime()
        inner = ReplayTransport([original], scale=1, sleep=time.sleep, monotonic=time.monotonic)
        with Recorder(path, timing=True) as recorder:
            transport = RecordTransport(inner, recorder, monotonic_ns=time.monotonic_ns)
            for item in original.cassette.interactions:
                asked = HttpRequest("POST", item.request.url, (), item.request.body)
                await read_chunks(await transport.send(asked))
            await transport.aclose()

    asyncio.run(scenario())
    again = load(path.read_bytes()).interactions
    for one, other in zip(original.cassette.interactions, again, strict=True):
        assert other.request.body == one.request.body
        assert other.response.headers == one.response.headers
        assert [chunk.data for chunk in chunks_of(other)] == [c.data for c in chunks_of(one)]
        times = [chunk.at_ns for chunk in chunks_of(one)]
        assert [chunk.at_ns for chunk in chunks_of(other)] == pytest.approx(times, abs=2000)
        assert other.wire.end is one.wire.end is End.EOF


# ---------------------------------------------------------------- many, and more


def test_a_long_recording_costs_what_it_holds_and_is_the_writers_file(tmp_path):
    """Requests that end in any order, beyond the size from which a hidden copy is kept."""
    path = tmp_path / "a.yaml"
    recorded = [
        recording((1, b"data: %d\n\n" % n + b"x" * 9000), number=n, body=b'{"n":%d}' % n)
        for n in range(120)
    ]
    order = sorted(recorded, key=lambda item: item.id + random.Random(item.id).randrange(8))
    recorder = Recorder(path, timing=True, extra={"x_recorder": {"name": "arno"}})
    for item in order:
        recorder(item)
    whole = dump_redacted(Cassette(tuple(recorded), extra={"x_recorder": {"name": "arno"}}))
    assert path.read_bytes() == whole
    recorder.close()
    assert path.read_bytes() == whole
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize("style", [Style(), Style(indent=4, compact=False), Style(indent=4)])
def test_a_cassette_is_gone_on_with_in_its_style(tmp_path, style):
    path = tmp_path / "a.yaml"
    old = Cassette(tuple(items(2)), extra={"x_note": {"by": "hand"}}, style=style)
    path.write_bytes(dump(old))
    with Recorder(path, timing=True, onto=load(path.read_bytes())) as recorder:
        recorder(recording((1, b"more"), number=0, body=b'{"more":1}'))
        assert recorder.count == 1
    again = load(path.read_bytes())
    assert (again.style, again.extra) == (style, old.extra)
    assert [item.request.body for item in again.interactions] == [
        b'{"n":0}',
        b'{"n":1}',
        b'{"more":1}',
    ]
    assert path.read_bytes().startswith(dump(old).partition(b"x_note")[0])
