"""The benchmarks run and measure what they say; how long anything takes is tested nowhere."""

import itertools

import msgspec
import pytest

from arno.dialects import DIALECTS
from arno.wire import json
from arno.wire.sse import SSEDecoder
from benchmarks import install, machine, micro, serving, traffic
from benchmarks.__main__ import SUITES, main
from benchmarks.children import BenchmarkError, counts, first_line, loading, start, stop
from benchmarks.children import serving as process
from benchmarks.load import Plan, spread
from benchmarks.table import TINY, Row, Section, render
from benchmarks.upstream import PACED_EVENTS, STAMPED_EVENTS, scripts

CORE = machine.OTHER_CORE


@pytest.fixture(scope="module")
def upstream():
    with process(["-m", "benchmarks.upstream"], CORE) as server:
        yield server


@pytest.fixture(scope="module")
def running():
    with serving.bench() as bench:
        yield bench


def terminal(frames):
    """How the chat dialect says that these frames end."""
    decoder = DIALECTS["chat"].stream_decoder()
    batches = [decoder.feed(frame) for frame in SSEDecoder().feed(b"".join(frames))]
    return type(batches[-1].events[-1]).__name__


@pytest.mark.parametrize(
    ("frames", "count"), [(traffic.stream(), 27), (traffic.long_stream(300), 300)]
)
def test_streams_have_their_events_and_end_well(frames, count):
    assert len(frames) == count
    assert terminal(frames) == "ResponseEnd"


def test_a_stamped_event_is_an_event_and_carries_its_time():
    frame = traffic.stamped(1234)
    assert len(frame) == len(traffic.stamped(10**18))
    document = json.loads(frame.removeprefix(b"data: "))
    assert document["choices"][0]["delta"]["content"] == "at=" + "1234".zfill(20)


def test_the_whole_answer_has_one_kilobyte_and_usage():
    body = traffic.whole()
    assert 900 <= len(body) <= 1100
    assert DIALECTS["chat"].decode_response(body).usage.input == 96


@pytest.mark.parametrize("prompt_bytes", [0, 117_000])
def test_a_request_has_the_size_that_was_asked_for(prompt_bytes):
    body = traffic.ask("a/b", streamed=True, prompt_bytes=prompt_bytes)
    assert prompt_bytes <= len(body) + 2048
    assert len(body) <= prompt_bytes * 1.05 + 2048
    assert DIALECTS["chat"].peek(body).model == "a/b"


@pytest.mark.parametrize(
    ("script", "events"),
    [
        ("burst", 27),
        ("joined", 27),
        ("paced", PACED_EVENTS),
        ("stamped", STAMPED_EVENTS + 3),
        ("held", 2),
    ],
)
def test_scripts_hold_the_events_that_they_say(script, events):
    found = scripts()[script]
    assert found.events + found.stamped == events
    assert b"".join(found.writes).count(b"\n\n\r\n") in {len(found.writes), 1}


@pytest.mark.parametrize(
    ("script", "streamed", "events"), [("burst", True, 27), ("joined", True, 27), ("x", False, 0)]
)
def test_the_upstream_counts_what_it_wrote(upstream, script, streamed, events):
    before = counts(upstream)
    plan = Plan(url=upstream.url, model=f"up/{script}", streamed=streamed, clients=2)
    with loading(plan) as run:
        while counts(upstream).requests < before.requests + 20:
            pass
    after = counts(upstream)
    answers = after.requests - before.requests
    assert run.tally.answers >= 18
    assert answers - run.tally.answers <= 2
    written = after.events - before.events
    assert events * (answers - 2) <= written <= events * answers
    assert (after.streams - before.streams > 0) is streamed
    assert after.connections - before.connections == 2


def test_a_bad_answer_is_never_measured(upstream):
    plan = Plan(url=upstream.url, model="up/unknown", streamed=True)
    with pytest.raises(BenchmarkError, match="were bad"), loading(plan):
        pass


def test_a_process_that_ends_at_once_is_told():
    child = start(["-c", "pass"], CORE)
    try:
        with pytest.raises(BenchmarkError, match="ended before it was ready"):
            first_line(child)
    finally:
        stop(child)


def test_connections_that_are_not_kept_are_told(running, monkeypatch):
    asked = itertools.count(0, 1000)

    def forgetful(upstream):
        return msgspec.structs.replace(counts(upstream), connections=next(asked))

    monkeypatch.setattr(serving, "counts", forgetful)
    with pytest.raises(BenchmarkError, match="upstream connections for 32 clients"):
        serving.cpu_row(running, TINY, serving.CASES[0], serving.FLOOR)


def test_work_that_does_not_come_is_told(running, monkeypatch):
    monkeypatch.setattr(serving, "PATIENCE_S", 0.0)
    with pytest.raises(BenchmarkError, match="no events came"):
        serving._window(running.upstream, running.gateway, 0.001, "events")


@pytest.mark.parametrize("kind", ["verbatim", "restamped"])
def test_latency_is_measured_on_both_sides(running, kind):
    direct = serving._latency(running.upstream.url, "up", TINY)
    through = serving._latency(running.gateway.url, kind, TINY)
    for tally in (direct, through):
        assert tally.first_byte.count >= 2
        assert tally.event.count >= 2
        assert 0 < tally.event.p50 <= tally.event.p99


@pytest.mark.parametrize("kind", [serving.FLOOR, "verbatim", "restamped"])
@pytest.mark.parametrize("case", [serving.CASES[0], serving.CASES[2]], ids=lambda case: case.script)
def test_cpu_time_is_measured(running, case, kind):
    row = serving.cpu_row(running, TINY, case, kind)
    assert row.value > 0
    assert row.unit == "us CPU"


def test_held_streams_are_open_when_memory_is_read(running):
    before = counts(running.upstream).requests
    rows = list(serving.memory_rows(running, TINY))
    assert counts(running.upstream).requests - before == TINY.held
    assert [row.unit for row in rows] == ["MB"] * 2


@pytest.mark.parametrize("name", ["install", "micro"])
def test_suites_without_processes(name):
    for section in SUITES[name](TINY):
        assert all(row.value > 0 for row in section.rows)


@pytest.mark.parametrize("what", ["restamped", "verbatim"])
def test_single_steps_do_their_work(what):
    """The machine's step gives the whole stream to a client."""
    writer = {"restamped": micro._restamping, "verbatim": micro._verbatim}[what]
    written = b"".join(step.output for step in micro._machine(writer)()())
    assert terminal([written]) == "ResponseEnd"
    assert written.count(b"\n\n") == 27


def test_the_install_counts_packages_once_and_leaves_extras_out():
    names = install.needed(["uvicorn>=0", "uvicorn", "no-such-package", "msgspec; extra == 'x'"])
    assert {"uvicorn", "click", "h11"} <= set(names)
    assert not {"no-such-package", "msgspec", "websockets"} & set(names)


BUSY = """
import threading, time
thread = threading.Thread(target=lambda: sum(range(10**6)))
thread.start(); thread.join()
while time.process_time_ns() < 50_000_000: pass
print(time.process_time_ns(), flush=True)
input()
"""


def test_cpu_time_is_that_of_the_other_process_and_its_threads():
    child = start(["-c", BUSY], CORE)
    try:
        told = int(first_line(child))
        seen = machine.cpu_ns(child.pid)
    finally:
        stop(child)
    # A `ps` that is asked in place of a clock counts whole seconds or hundredths.
    assert told * 0.5 <= seen <= told + 50_000_000


def test_memory_is_that_of_the_other_process():
    child = start(["-c", "held = bytearray(b'x' * 2**26); print('up', flush=True); input()"], CORE)
    try:
        first_line(child)
        assert 64 <= machine.resident_mb(child.pid) <= 256
    finally:
        stop(child)


def test_spread():
    assert spread([1000]) is None
    found = spread([1000 * number for number in range(1, 101)])
    assert (found.p50, found.count) == (50.5, 100)
    assert 99 <= found.p99 <= 100


def test_a_table_is_markdown_with_median_and_least():
    rows = (
        Row(what="a", unit="us", samples=(3.0, 1.0, 2.0), budget=150.0),
        Row(what="longer", unit="MB", samples=(1234.5,), note="n"),
    )
    lines = render(Section(title="T", under="U", rows=rows)).splitlines()
    assert lines[:4] == ["### T", "", "U", ""]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]
    assert cells[2] == ["a", "2", "1", "us", "150", ""]
    assert cells[3] == ["longer", "1,234", "", "MB", "", "n"]
    assert len({len(line) for line in lines[4:]}) == 1


def test_what_cannot_be_measured_is_an_exit_code(monkeypatch, capsys):
    def broken(effort):
        raise BenchmarkError("out of order")

    monkeypatch.setitem(SUITES, "micro", broken)
    assert main(["--quick", "--only", "micro"]) == 1
    assert "benchmarks: out of order" in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_run(monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.__main__.QUICK", TINY)
    assert main(["--quick"]) == 0
    out = capsys.readouterr().out
    for title in ("CPU time of the gateway", "Latency at 50", "Resident memory", "Start-up of"):
        assert f"### {title}" in out
    for title in ("Imports", "Size of the install", "Single steps"):
        assert f"### {title}" in out


def test_it_is_started_as_a_module():
    child = start(["-m", "benchmarks", "--help"], CORE)
    try:
        out, _ = child.communicate(timeout=30)
    finally:
        stop(child)
    assert child.returncode == 0
    assert "--quick" in out
