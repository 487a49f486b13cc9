"""The benchmarks run and measure what they say; how long anything takes is tested nowhere."""

import msgspec
import pytest

from arno.dialects import DIALECTS
from arno.wire.sse import SSEDecoder
from benchmarks import compare, install, machine, measure, micro, requests, subjects
from benchmarks.__main__ import SUITES, TABLE, main
from benchmarks.answers import check
from benchmarks.children import BenchmarkError, Server, counts, first_line, start, stop
from benchmarks.load import spread
from benchmarks.measure import CASES, REQUEST
from benchmarks.subjects import FLOOR, Running, own
from benchmarks.table import TINY, Row, Section, render

pytestmark = pytest.mark.slow

CORE = machine.OTHER_CORE
PLAIN = (FLOOR, "arno asgi, verbatim", "arno asgi, restamped")


@pytest.fixture(scope="module")
def base():
    with compare.ground(None) as ground:
        yield ground


@pytest.fixture(scope="module", params=PLAIN)
def running(request, base):
    [subject] = [one for one in own(certified=False) if one.name == request.param]
    with subject.start(base) as found:
        yield found


def test_every_way_of_ours_answers_rightly(base):
    certified = base.certificate is not None
    ours = [one for one in own(certified=certified) if one.ours]
    assert len(ours) >= 3
    for subject in ours:
        if subject.start is not None:
            with subject.start(base) as running:
                check(running)


@pytest.mark.parametrize("case", [CASES[0], CASES[2]], ids=lambda case: case.script)
def test_cpu_time_is_measured_and_connections_are_kept(base, running, case):
    found = measure.cost(base.upstream, running, case, TINY)
    assert len(found.samples) == TINY.windows
    assert min(found.samples) > 0
    assert found.opened <= case.clients
    assert not found.late


def test_a_pace_that_is_too_much_is_told(base, running, monkeypatch):
    paced = next(case for case in CASES if case.paced)
    monkeypatch.setattr(measure, "KEPT_PACE", 1000.0)
    assert measure.cost(base.upstream, running, paced, TINY).late


def test_latency_is_measured(base, running):
    found = measure.latency(base.upstream, running, TINY)
    for part in (found.first_byte, found.event):
        assert part.count >= 2
        assert 0 < part.p50 <= part.p99


def test_held_streams_are_open_when_memory_is_read(base, running):
    before = counts(base.upstream).requests
    found = measure.memory(running, TINY)
    assert counts(base.upstream).requests - before == TINY.held == found.opened
    assert found.rest > 0
    assert found.each_kb == pytest.approx((found.full - found.rest) * 1024 / TINY.held)


def test_work_that_does_not_come_is_told(base, monkeypatch):
    monkeypatch.setattr(measure, "PATIENCE_S", 0.0)
    with pytest.raises(BenchmarkError, match="no events came"):
        measure.window(base.upstream, [base.upstream.pid], 0.001, "events")


class WrongAnswers:
    """Answers in place of a gateway's."""

    def __init__(self, monkeypatch, whole, stream):
        def ask(running, script, *, streamed):
            return stream if streamed else whole

        monkeypatch.setattr("benchmarks.answers.ask", ask)


def test_answers_that_are_wrong_are_told(monkeypatch):
    from benchmarks import traffic

    nobody = Running(server=Server(0, "http://127.0.0.1:1"))
    good, stream = traffic.whole(), traffic.stream()
    WrongAnswers(monkeypatch, good, b"".join(stream))
    check(nobody)
    wrong = [
        (b"<html>", b"".join(stream), "no JSON"),
        (good.replace(b"tide", b"time"), b"".join(stream), "a whole answer says"),
        (b'{"choices":[]}', b"".join(stream), "without text"),
        (good, b"".join(stream[:-1]), "a stream says"),
        (good, b"".join((*stream[:3], *stream[4:])), "a stream says"),
    ]
    for whole, frames, words in wrong:
        WrongAnswers(monkeypatch, whole, frames)
        with pytest.raises(BenchmarkError, match=words):
            check(nobody)


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(BenchmarkError, match="no answer"):
        check(Running(server=Server(0, "http://127.0.0.1:1")))


def test_the_short_run_for_requests(monkeypatch):
    monkeypatch.setattr(requests, "ROUNDS", 1)
    [section] = requests.sections(TINY)
    assert len(section.rows) == 3
    assert all(row.value > 0 for row in section.rows)


@pytest.mark.parametrize("name", ["install", "micro", "translation"])
def test_suites_without_processes(name):
    for section in SUITES[name](TINY):
        assert all(row.value > 0 for row in section.rows)


@pytest.mark.parametrize("what", ["restamped", "verbatim"])
def test_single_steps_do_their_work(what):
    """The machine's step gives the whole stream to a client."""
    writer = {"restamped": micro._restamping, "verbatim": micro._verbatim}[what]
    written = b"".join(step.output for step in micro._machine(writer)()())
    decoder = DIALECTS["chat"].stream_decoder()
    batches = [decoder.feed(frame) for frame in SSEDecoder().feed(written)]
    assert type(batches[-1].events[-1]).__name__ == "ResponseEnd"
    assert written.count(b"\n\n") == 26


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


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
child.communicate(b"x")
"""


def test_a_family_is_a_process_and_what_it_started():
    child = start(["-c", PARENT], CORE)
    try:
        grandchild = int(first_line(child))
        assert machine.family(child.pid) == [child.pid, grandchild]
        child.communicate("\n", timeout=30)
    finally:
        stop(child)


def test_memory_is_that_of_the_other_process():
    child = start(["-c", "held = bytearray(b'x' * 2**26); print('up', flush=True); input()"], CORE)
    try:
        first_line(child)
        assert 64 <= machine.resident_mb(child.pid) <= 256
        assert machine.descriptors(child.pid) >= 3
    finally:
        stop(child)


def test_a_process_that_ends_at_once_is_told():
    child = start(["-c", "pass"], CORE)
    try:
        with pytest.raises(BenchmarkError, match="ended before it was ready"):
            first_line(child)
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
def test_the_table_without_peers(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("benchmarks.__main__.QUICK", TINY)
    file = tmp_path / "table.json"
    rows = [word for name in (subjects.DIRECT, *PLAIN) for word in ("--row", name)]
    assert main(["--quick", "--no-peers", "--json", str(file), *rows]) == 0
    out = capsys.readouterr().out
    for title in ("The gateway beside others", "Gates", "What was switched on"):
        assert f"### {title}" in out
    document = msgspec.json.decode(file.read_bytes())
    names = [row["name"] for row in document["rows"]]
    assert [name for name in names if "TLS" not in name] == [subjects.DIRECT, *PLAIN]
    for row in document["rows"]:
        missing = row["notes"] == ["openssl is not here"]
        assert missing or set(row["costs"]) == {case.short for case in CASES}
    assert {gate["verdict"].split()[0] for gate in document["gates"]} <= {"met", "missed"}
    assert document["medians"]["floor"][REQUEST.short] > 0


def test_it_is_started_as_a_module():
    child = start(["-m", "benchmarks", "--help"], CORE)
    try:
        out, _ = child.communicate(timeout=30)
    finally:
        stop(child)
    assert child.returncode == 0
    assert "--quick" in out
    assert TABLE in out
