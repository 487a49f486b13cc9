"""SIGKILL at any instant loses no acknowledged generation (R27, row 27 of the fault matrix).

A round counts only if, at the instant of the kill, at least 100 streams were open and at least 20
ends had been acknowledged within the last 50 ms; the instants are seeded. What a client was told
has ended must then be in the ledger.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys

import pytest

from arno.cli.serve import open_ledger
from tests.faults.load import Load, cassette
from tests.shared import ROOT

ROUNDS = 20
OPEN_STREAMS = 100
RECENT_ENDS = 20
WINDOW_SECONDS = 0.05
WORKERS = 220
PATIENCE_SECONDS = 30


class Gateway:
    """One gateway process over a data folder."""

    def __init__(self, tape, data, *, mutant):
        command = [sys.executable, "-m", "tests.faults.kill_server", str(tape), str(data)]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
        self.process = subprocess.Popen(
            command + ["--mutant"] * mutant, stdout=subprocess.PIPE, cwd=ROOT, env=environ
        )
        self.port = int(self.process.stdout.readline().decode().rsplit(":", 1)[1])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)

    def reap(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


async def _kill_under_load(gateway, moment):
    """Kill at the first instant after `moment` seconds that counts; what was acknowledged."""
    load = Load(gateway.port, WORKERS)
    running = asyncio.ensure_future(load.run())
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    await asyncio.sleep(moment)
    while load.open < OPEN_STREAMS or load.recent(WINDOW_SECONDS) < RECENT_ENDS:
        assert loop.time() < deadline, f"{load.open} open, {load.recent(WINDOW_SECONDS)} ends"
        await asyncio.sleep(0)
    gateway.kill()
    await running
    return [generation for _, generation in load.acknowledged]


def _lost(tape, data, moment, *, mutant):
    """One round: the acknowledged generations that have no successful row."""
    gateway = Gateway(tape, data, mutant=mutant)
    try:
        acknowledged = asyncio.run(_kill_under_load(gateway, moment))
    finally:
        gateway.reap()
    assert len(acknowledged) >= RECENT_ENDS
    with open_ledger(data) as sink:
        assert sink.flush(PATIENCE_SECONDS)
        rows = {one.generation.id: one.generation for one in sink.recent(1_000_000)}
    return [g for g in acknowledged if g not in rows or rows[g].state != "success"]


@pytest.fixture
def tape(tmp_path):
    path = tmp_path / "load.yaml"
    path.write_bytes(cassette())
    return path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_acknowledged_generation_is_lost_by_a_kill(tape, tmp_path):
    chance = random.Random(20)
    for number in range(ROUNDS):
        moment = 0.4 + chance.random() * 0.4
        lost = _lost(tape, tmp_path / f"data{number}", moment, mutant=False)
        assert lost == [], f"round {number} (killed after {moment:.3f} s)"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_gateway_that_journals_after_the_send_is_found_out(tape, tmp_path):
    """The mutant: the same rounds must notice a journal that comes late."""
    assert _lost(tape, tmp_path / "data", 0.5, mutant=True) != []
