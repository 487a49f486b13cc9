"""The scripted upstream, in C and in Python: it says what its scripts say, and counts it."""

import http.client
import resource
import socket
import ssl
import time
from urllib.parse import urlsplit

import pytest

from arno.dialects import DIALECTS
from arno.wire import json
from arno.wire.sse import SSEDecoder
from benchmarks import children, machine, mock, traffic
from benchmarks.children import BenchmarkError, counts, loading
from benchmarks.load import Plan
from benchmarks.scripts import (
    OPEN_EVENTS,
    PACED_EVENTS,
    STAMPED_EVENTS,
    End,
    scripts,
    soak_scripts,
    table,
)

pytestmark = pytest.mark.slow

CORE = machine.OTHER_CORE
HAS_C = mock.in_c() is not None


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("c", marks=pytest.mark.skipif(not HAS_C, reason="no C compiler or no epoll")),
        "python",
    ],
)
def upstream(request):
    if request.param == "c":
        with mock.upstream(soak=True) as server:
            assert server.what.startswith("C")
            yield server
    else:
        with children.serving(["-m", "benchmarks.upstream", "--soak"], CORE) as server:
            yield server


def connect(upstream):
    parts = urlsplit(upstream.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def ask(upstream, script, *, streamed=True):
    """The raw bytes of one answer, up to the end of the connection or two seconds of silence."""
    with connect(upstream) as line:
        line.sendall(traffic.post("up", "/v1/x", traffic.ask(f"up/{script}", streamed=streamed)))
        return drain(line)


def drain(line, enough=lambda got: got.endswith((b"0\r\n\r\n", b"}"))):
    got = b""
    while not enough(got):
        piece = line.recv(65536)
        if not piece:
            break
        got += piece
    return got


def terminal(frames):
    """How the chat dialect says that these frames end."""
    decoder = DIALECTS["chat"].stream_decoder()
    batches = [decoder.feed(frame) for frame in SSEDecoder().feed(b"".join(frames))]
    return type(batches[-1].events[-1]).__name__


@pytest.mark.parametrize(
    ("frames", "count"), [(traffic.stream(), 26), (traffic.long_stream(300), 300)]
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
        ("burst", 26),
        ("joined", 26),
        ("paced", PACED_EVENTS),
        ("stamped", STAMPED_EVENTS + 3),
        ("held", OPEN_EVENTS),
        ("whole", 0),
    ],
)
def test_scripts_hold_the_events_that_they_say(script, events):
    found = scripts()[script]
    assert found.events == events
    assert b"".join(w.data for w in found.writes).count(b"\n\n") == events - found.stamped


def test_names_of_scripts_can_be_read_from_a_model():
    for name in soak_scripts():
        assert name.isalnum()
        assert name == name.lower()
    assert table(scripts()).count(b"\nscript ") == len(scripts())


@pytest.mark.parametrize("script", ["burst", "joined", "undone", "whole"])
def test_an_answer_is_what_the_script_says(upstream, script):
    found = soak_scripts()[script]
    expected = found.head + b"".join(write.data for write in found.writes)
    assert ask(upstream, script) == expected


def test_a_model_without_a_script_gets_the_first_one(upstream):
    assert ask(upstream, "nobody-knows") == scripts()["whole"].head


@pytest.mark.parametrize("script", ["cut3", "refuse"])
def test_a_cut_answer_ends_with_its_connection(upstream, script):
    found = soak_scripts()[script]
    assert found.end is End.CLOSES
    expected = (found.head if found.writes else b"") + b"".join(w.data for w in found.writes)
    assert ask(upstream, script) == expected


def test_a_reset_answer_is_reset(upstream):
    with pytest.raises(ConnectionResetError):
        ask(upstream, "drop")


def test_an_answer_that_hangs_stays_open_and_counts_as_active(upstream):
    found = soak_scripts()["hang1"]
    expected = found.head + found.writes[0].data
    before = counts(upstream).active
    with connect(upstream) as line:
        line.sendall(traffic.post("up", "/", traffic.ask("up/hang1", streamed=True)))
        assert drain(line, lambda got: len(got) >= len(expected)) == expected
        assert counts(upstream).active == before + 1
    settled(lambda: counts(upstream).active == before)


def settled(check):
    until = time.monotonic() + 10
    while not check():
        assert time.monotonic() < until


def test_a_stamp_is_the_time_of_its_event(upstream):
    before = time.monotonic_ns()
    got = ask(upstream, "stamped")
    stamps = [int(part[:20]) for part in got.split(b"at=")[1:]]
    assert len(stamps) == STAMPED_EVENTS
    assert stamps == sorted(stamps)
    assert before <= stamps[0] <= stamps[-1] <= time.monotonic_ns()


def test_a_chunked_request_in_pieces_is_read(upstream):
    body = traffic.ask("up/burst", streamed=True)
    head = b"POST /v1/x HTTP/1.1\r\nhost: up\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:300], body[300:])
    )
    text = head + chunks + b"0\r\n\r\n"
    with connect(upstream) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(text), 97):
            line.sendall(text[at : at + 97])
        first = drain(line)
        # The connection is kept, and nothing of the last request is left in it.
        line.sendall(text)
        assert drain(line) == first
    assert first.endswith(b"0\r\n\r\n")
    assert first.count(b"\n\n") == 26


def test_a_client_that_does_not_read_is_waited_for(upstream):
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        line.settimeout(10)
        parts = urlsplit(upstream.url)
        line.connect((parts.hostname, parts.port))
        line.sendall(traffic.post("up", "/", traffic.ask("up/flood", streamed=True)))
        time.sleep(0.05)
        got = drain(line, lambda got: got.endswith(b"\r\n0\r\n\r\n"))
    assert got == soak_scripts()["flood"].head + b"".join(
        write.data for write in soak_scripts()["flood"].writes
    )


@pytest.mark.parametrize(
    ("script", "streamed", "events"), [("burst", True, 26), ("joined", True, 26), ("x", False, 0)]
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
    settled(lambda: counts(upstream).active == before.active)


def test_a_bad_answer_is_never_measured(upstream):
    plan = Plan(url=upstream.url, model="up/unknown", streamed=True)
    with pytest.raises(BenchmarkError, match="were bad"), loading(plan):
        pass


def test_a_load_of_open_streams_gives_up_waiting_and_says_how_many_began(upstream):
    plan = Plan(url=upstream.url, model="up/mute", mode="held", clients=3, patience_s=0.2)
    with loading(plan) as run:
        pass
    assert run.tally.begun == 0
    plan = Plan(url=upstream.url, model="up/held", mode="held", clients=3)
    with loading(plan) as run:
        pass
    assert run.tally.begun == 3


def test_the_fallback_is_used_and_told_without_a_compiler(monkeypatch):
    monkeypatch.setattr("benchmarks.native.compiler", lambda: None)
    with mock.upstream() as server:
        assert server.what == "Python, uvloop: no C compiler"
        assert ask(server, "burst").count(b"\n\n") == 26


@pytest.mark.skipif(not mock.has_tls(), reason="openssl is not here")
def test_tls_is_served_with_a_certificate_made_on_the_spot(tmp_path):
    certificate = mock.Certificate(tmp_path)
    with mock.upstream(certificate=certificate) as server:
        context = ssl.create_default_context(cafile=certificate.authority)
        port = urlsplit(server.secure).port
        line = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
        line.request("POST", "/", traffic.ask("up/whole", streamed=False))
        assert line.getresponse().read() == traffic.whole()
        line.close()
        distrustful = ssl.create_default_context()
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as bare,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            distrustful.wrap_socket(bare, server_hostname="127.0.0.1")


def test_many_files_may_be_open():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    children.many_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
