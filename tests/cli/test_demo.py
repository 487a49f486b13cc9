"""`arno demo`: shows the conversation as it arrives, says what it cost, fails loudly."""

import argparse
import signal
import subprocess

import psutil
import pytest

from arno.cassette.recordings import built_in_cassette
from arno.cli import demo
from arno.cli.child import GatewayChild
from arno.cli.scenario import BOATS, PROMPT
from tests.cli.commands import PATIENCE_SECONDS, arno, running

COSTS = ("0.0001136", "0.0001051", "0.0002187")


@pytest.fixture(scope="module")
def shown():
    done = arno("demo")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_shows_question_call_result_and_answer_in_order(shown):
    order = [
        PROMPT,
        "I'll look up today's departures from Port Amber for you.",
        'departures {"harbour": "Port Amber"}',
        BOATS,
        "step 1: Northpier",
        "Two boats leave Port Amber today:",
        "step 2: Southpier",
        "ledger",
        "total",
    ]
    places = [shown.index(piece) for piece in order]
    assert places == sorted(places)


def test_it_says_what_was_read_back(shown):
    assert all(cost in shown for cost in COSTS)
    assert "96 tokens in (64 cached), 34 out" in shown
    assert shown.count("reported") == 2


def test_it_ends_with_three_lines_on_how_to_go_on(shown):
    last = shown.rstrip().splitlines()[-3:]
    for word, line in zip(("arno serve", "export", "base_url="), last, strict=True):
        assert word in line


def test_without_a_terminal_it_writes_plain_lines(shown):
    assert "\x1b" not in shown


def test_every_figure_is_read_back_from_the_gateway(tmp_path, monkeypatch, capsys):
    """Over a recording with other figures the same code shows those, so it has none of its own."""
    changes = {
        b'"cost":0.0001136': b'"cost":0.0007136',
        b'"completion_tokens":41': b'"completion_tokens":49',
        b'"Southpier"': b'"Eastpier!"',
    }
    altered = built_in_cassette()
    for old, new in changes.items():
        assert old in altered
        altered = altered.replace(old, new)
    tape = tmp_path / "altered.yaml"
    tape.write_bytes(altered)
    more = ("--cassette", str(tape), "--scale", "0")
    monkeypatch.setattr(demo, "GatewayChild", lambda folder: GatewayChild(folder, *more))
    assert demo.execute(argparse.Namespace()) == 0
    shown = capsys.readouterr().out
    assert "0.0007136" in shown
    assert "Eastpier!" in shown
    assert "49 out" in shown
    assert "0.0001136" not in shown
    assert "0.0008187" in shown


@pytest.mark.parametrize("moment", ["I'll", "step 1", "Two boats"])
def test_a_gateway_that_dies_is_a_clear_error(moment):
    with running("demo", stderr=subprocess.PIPE) as process:
        seen = ""
        while moment not in seen:
            piece = process.stdout.read(1)
            assert piece, seen
            seen += piece
        [gateway] = psutil.Process(process.pid).children()
        gateway.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert errors.startswith("arno demo: ")
    assert "Traceback" not in errors


def test_a_demo_that_is_terminated_takes_its_gateway_and_folder_along(tmp_path):
    with running("demo", TMPDIR=str(tmp_path)) as process:
        assert process.stdout.readline().startswith("gateway")
        [gateway] = psutil.Process(process.pid).children()
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 143
        gateway.wait(PATIENCE_SECONDS)
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_killed_takes_its_gateway_along(tmp_path):
    with running("demo", TMPDIR=str(tmp_path)) as process:
        assert process.stdout.readline().startswith("gateway")
        [gateway] = psutil.Process(process.pid).children()
        process.kill()
        gateway.wait(PATIENCE_SECONDS)


def test_a_reader_that_leaves_is_no_error():
    with running("demo", stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(PATIENCE_SECONDS) == 141
        assert errors == ""
