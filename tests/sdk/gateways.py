"""Gateways for the official SDKs to talk to: processes as a user starts them, and one in here.

    with process(folder, "serve", "--scale", "0", "--data", str(folder / "data")) as url:
        ...                                    # the command `arno serve`; it must end with code 0

    with fronting([Script.sse(*HELLO)]) as url:
        ...                                    # real engine before a scripted upstream, no process

`process` keeps what the program says on standard error in `folder`; a failed start shows it.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from arno.cassette import recordings
from tests.case0.cases import SEED_FILE
from tests.engine.harness import Bench, catalogue_of
from tests.gateway.harness import gateway_app, running_gateway
from tests.shared import ROOT, SHARED
from tests.transport.upstream import ThreadedUpstream

PATIENCE_S = 60
RIGHT_KEY = "sk-arno-sdk-tests-right"
"""The client key of gateways that have keys."""


def environment(more):
    """The environment of a user who has set nothing of ours but `more`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ARNO_")}
    return {**plain, "PYTHONPATH": str(ROOT / "src"), **more}


@contextmanager
def process(folder, *arguments, **environ):
    """The URL that `arno ARGUMENTS` prints first; SIGTERM at the end, after which it is well."""
    command = [sys.executable, "-m", "arno", *arguments]
    said = folder / "stderr.log"
    with said.open("wb") as stderr:
        program = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    with program:
        try:
            url = program.stdout.readline().decode().strip()
            assert url.startswith("http://127.0.0.1:"), said.read_text()
            yield url
            program.terminate()
            assert program.wait(PATIENCE_S) == 0, said.read_text()
        finally:
            program.kill()


def recording_file(case):
    """The cassette of a case."""
    if case.name == "shipped":
        return Path(recordings.__file__).with_name(recordings.BUILT_IN)
    return SHARED / SEED_FILE


@contextmanager
def serve(folder, case, **environ):
    """`arno serve` over a case, without waiting, its ledger in `folder`."""
    chosen = [] if case.name == "shipped" else ["--cassette", str(recording_file(case))]
    options = ["--port", "0", "--scale", "0", "--data", str(folder / "data"), *chosen]
    with process(folder, "serve", *options, **environ) as url:
        yield url


@contextmanager
def replay(folder, case):
    """`arno replay` over a case, without waiting."""
    file = str(recording_file(case))
    with process(folder, "replay", file, "--scale", "0", "--port", "0") as url:
        yield url


@contextmanager
def before(upstream_url, contract=False):
    """A gateway before one upstream; the model is `MODEL` of the engine's harness.

    contract: the upstream speaks our own contract, so its bytes go through as they are.
    """
    row = ("scripted", upstream_url, contract)
    bench = Bench(row)
    app = gateway_app(
        bench.engine,
        catalogue=catalogue_of(row),
        sink=bench.sink,
        closers=[bench.transport.aclose],
    )
    with running_gateway(app) as url:
        yield url


@contextmanager
def fronting(scripts, contract=False):
    """`before` an upstream with these scripts."""
    with ThreadedUpstream(scripts) as upstream, before(upstream.url, contract) as url:
        yield url
