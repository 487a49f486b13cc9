"""`arno record` as a process: with a command and without, its file, its exit codes, its words."""

import fcntl
import json
import os
import re
import signal
import stat
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request

import pytest

from arno.cassette.govcr import load
from tests.cli.commands import arno, environment, running, server
from tests.transport.upstream import End, Script, ThreadedUpstream

pytestmark = pytest.mark.slow

PATIENCE_S = 30
BODY = b'{"model": "a/b"}'
EVENTS = (b"data: 1\n\n", b"data: [DONE]\n\n")

CLIENT = """
import json, os, sys, urllib.request
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
headers = {"content-type": "application/json", "authorization": "Bearer canary-4711-of-the-client"}
for _ in range(int(sys.argv[1])):
    request = urllib.request.Request(url, b'{"model": "a/b"}', headers)
    sys.stdout.write(urllib.request.urlopen(request, timeout=30).read().decode())
sys.exit(int(sys.argv[2]))
"""


def client(count=1, code=0):
    """A command that asks `count` times."""
    return ("--", sys.executable, "-c", CLIENT, count, code)


def record(folder, upstream, *command, options=()):
    """Run the recorder with a command to its end."""
    return arno("record", "-o", folder / "a.yaml", "--upstream", upstream, *options, *command)


def recorded(folder):
    return load((folder / "a.yaml").read_bytes())


@pytest.fixture
def upstream():
    with ThreadedUpstream(lambda _seen: Script.sse(*EVENTS)) as found:
        yield found


def test_a_command_is_run_recorded_and_ended_with(tmp_path, upstream):
    done = record(tmp_path, f"{upstream.url}/api/v1", *client(2))
    assert (done.returncode, done.stdout) == (0, b"".join(EVENTS).decode() * 2)
    assert done.stderr == f"arno: recorded 2 requests in {tmp_path / 'a.yaml'}\n"
    assert {seen.path for seen in upstream.requests} == {"/api/v1/chat/completions"}
    items = recorded(tmp_path).interactions
    assert [item.response.body for item in items] == [b"".join(EVENTS)] * 2
    assert {item.request.url for item in items} == {f"{upstream.url}/api/v1/chat/completions"}
    assert b"canary" not in (tmp_path / "a.yaml").read_bytes()


def test_the_file_is_for_its_owner_and_says_who_wrote_it(tmp_path, upstream):
    assert record(tmp_path, upstream.url, *client()).returncode == 0
    path = tmp_path / "a.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    note = recorded(tmp_path).extra["x_recorder"]
    assert (note["name"], note["redactions"]["replacement"]) == ("arno", "[redacted]")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", note["recorded_at"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.yaml"]


def test_without_timing_the_file_has_nothing_of_our_own(tmp_path, upstream):
    assert record(tmp_path, upstream.url, *client(), options=["--no-timing"]).returncode == 0
    assert recorded(tmp_path).extra == {}
    assert [item.wire for item in recorded(tmp_path).interactions] == [None]
    assert b"x_" not in (tmp_path / "a.yaml").read_bytes()


@pytest.mark.parametrize("code", [3, 255])
def test_the_commands_exit_code_is_ours(tmp_path, upstream, code):
    assert record(tmp_path, upstream.url, *client(1, code)).returncode == code
    assert len(recorded(tmp_path).interactions) == 1


def test_a_command_that_a_signal_ends_is_told_as_a_shell_does(tmp_path, upstream):
    suicide = ("--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert record(tmp_path, upstream.url, *suicide).returncode == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_is_told_and_leaves_no_file(tmp_path, upstream):
    done = record(tmp_path, upstream.url, "--", "no-such-program")
    assert done.returncode == 2
    assert "cannot run no-such-program" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_go_to_the_command_which_may_still_ask(tmp_path, upstream, number):
    """It ends by itself, after one more request; the recorder waits for it."""
    program = f"""
import signal, sys
sys.argv[1:] = ["1", "7"]
signal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}])
print("ready", flush=True)
signal.sigwait([{int(number)}])
exec({CLIENT!r})
"""
    options = ("record", "-o", tmp_path / "a.yaml", "--upstream", upstream.url)
    with running(*options, "--", sys.executable, "-c", program) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 7
    assert len(recorded(tmp_path).interactions) == 1


def post(url, path="/v1/chat/completions"):
    """POST; (status, body) whatever the status."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url + path, BODY), timeout=PATIENCE_S
        ) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_a_command_it_serves_until_a_signal(tmp_path, upstream, number):
    options = ("record", "-o", tmp_path / "a.yaml", "--upstream", upstream.url)
    with server(*options) as (process, url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        assert post(url) == (200, b"".join(EVENTS))
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
    assert len(recorded(tmp_path).interactions) == 1


def test_the_file_grows_while_it_records_and_stays_when_it_is_killed(tmp_path, upstream):
    """Written beside the traffic, a moment after the answer; the file is whole at each moment."""
    options = ("record", "-o", tmp_path / "a.yaml", "--upstream", upstream.url)
    with server(*options) as (process, url):
        assert recorded(tmp_path).interactions == ()
        for _ in range(3):
            assert post(url)[0] == 200
        given_up = time.monotonic() + PATIENCE_S
        while len(recorded(tmp_path).interactions) < 3:
            assert time.monotonic() < given_up
        process.kill()
        process.wait()
    assert len(recorded(tmp_path).interactions) == 3


def test_known_hosts_are_named_by_the_path_and_others_are_refused(tmp_path, upstream):
    options = ("record", "-o", tmp_path / "a.yaml")
    with server(*options, OPENAI_BASE_URL=f"{upstream.url}/llm/v1") as (process, url):
        assert post(url, "/OPENAI_BASE_URL/chat/completions")[0] == 200
        status, body = post(url, "/nowhere/v1")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert [seen.path for seen in upstream.requests] == ["/llm/v1/chat/completions"]
    assert (status, json.loads(body)["error"]["metadata"]["reason"]) == (404, "no_upstream")


# ---------------------------------------------------------------- files that are there


def test_a_file_that_exists_is_not_touched(tmp_path, upstream):
    path = tmp_path / "a.yaml"
    path.write_text("precious")
    done = record(tmp_path, upstream.url, *client())
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert (path.read_text(), upstream.requests) == ("precious", [])


def test_overwrite_replaces_it_and_append_goes_on(tmp_path, upstream):
    path = tmp_path / "a.yaml"
    path.write_text("not precious")
    path.chmod(0o640)
    assert record(tmp_path, upstream.url, *client(), options=["--overwrite"]).returncode == 0
    first = recorded(tmp_path)
    done = record(tmp_path, upstream.url, *client(2), options=["--append"])
    assert (done.returncode, done.stderr.count("recorded 2 requests")) == (0, 1)
    items = recorded(tmp_path).interactions
    assert items[0] == first.interactions[0]
    assert [item.id for item in items] == [0, 1, 2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_overwrite_without_an_answer_keeps_the_old_file(tmp_path, upstream):
    path = tmp_path / "a.yaml"
    path.write_text("precious")
    done = record(tmp_path, upstream.url, *client(0), options=["--overwrite"])
    assert (done.returncode, path.read_text()) == (1, "precious")


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("missing/a.yaml", (), "No such file"),
        (".", ("--overwrite",), "cannot be written"),
        ("bad.yaml", ("--append",), "bad.yaml"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_command_runs(
    tmp_path, upstream, name, options, reason
):
    (tmp_path / "bad.yaml").write_text("version: 1")
    command = client()
    done = arno("record", "-o", tmp_path / name, "--upstream", upstream.url, *options, *command)
    assert (done.returncode, upstream.requests) == (2, [])
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------- what went wrong


def test_a_command_that_asks_nobody_is_told_and_leaves_no_file(tmp_path, upstream):
    done = record(tmp_path, upstream.url, *client(0))
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "no request was answered" in done.stderr


def test_an_answer_that_cannot_be_written_is_one_although_the_command_is_well(tmp_path):
    key = b"sk-" + b"a1B2c3D4e5F6g7H8"
    scripts = [Script.json(b'{"x":"%b"}' % key), Script.json(b"{}")]
    with ThreadedUpstream(scripts) as upstream:
        done = record(tmp_path, upstream.url, *client(2))
    assert done.returncode == 1
    assert "recording incomplete: request 0" in done.stderr
    assert key.decode() not in done.stderr
    assert len(recorded(tmp_path).interactions) == 1


def test_an_upstream_that_is_down_is_the_commands_business_and_told(tmp_path):
    done = record(tmp_path, "http://127.0.0.1:9", *client())
    assert done.returncode == 1  # the client's own
    assert "not recorded, no answer: 127.0.0.1:9" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_was_cut_is_kept_and_counted(tmp_path):
    with ThreadedUpstream([Script.sse(EVENTS[0], end=End.CUT)]) as upstream:
        done = record(tmp_path, upstream.url, *client())
    assert "recorded 1 request, 1 without its end" in done.stderr


WRONG = {
    "no file": (("record",), "--output"),
    "no url": (("record", "-o", "a.yaml", "--upstream", "a.example"), "base URL"),
    "both": (("record", "-o", "a.yaml", "--append", "--overwrite"), "not allowed"),
    "off loopback": (("record", "-o", "a.yaml", "--host", "0.0.0.0"), "127.0.0.1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_told(case, tmp_path):
    arguments, reason = WRONG[case]
    done = arno(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import signal
asked = {signal.SIGINT, signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, asked)
print("ready", flush=True)
count = 0
while signal.sigwait(asked) == signal.SIGINT:
    count += 1
    print("interrupted", flush=True)
print("interrupts:", count, flush=True)
"""


def test_a_terminals_interrupt_comes_to_the_command_once(tmp_path, upstream):
    """On a terminal the whole group gets it: a recorder that passed it on would send a second.

    The question comes after it, the same way: what was passed on has arrived before the answer.
    """
    master, slave = os.openpty()
    command = (sys.executable, "-m", "arno", "record", "-o", str(tmp_path / "a.yaml"))
    process = subprocess.Popen(
        (*command, "--upstream", upstream.url, "--", sys.executable, "-c", INTERRUPTED),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    read_until(master, b"ready")
    # Stopped, so that what it passes on cannot melt into the terminal's own.
    process.send_signal(signal.SIGSTOP)
    os.write(master, b"\x03")
    read_until(master, b"interrupted")
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGUSR1)
    said = read_until(master, b"interrupts: ")
    process.wait(PATIENCE_S)
    os.close(master)
    assert b"interrupts: 1\r\n" in said


def read_until(handle, mark):
    """What a terminal shows, up to the line with `mark`."""
    said = b""
    while mark not in said or not said.endswith(b"\n"):
        said += os.read(handle, 1)
    return said
