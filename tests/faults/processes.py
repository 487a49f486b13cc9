"""`arno serve` as a process that hides nothing: all that it says and leaves behind can be searched.

with gateway(folder, text, KEY="...") as running:
    post(running.url, ...)
running.said()          # standard error and output, to the last line
running.left()          # every file of its data folder, journal and database alike
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from tests.cli.commands import environment
from tests.gateway.harness import PATIENCE_S
from tests.shared import ROOT

DEBUG = {"PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"}
"""What makes the interpreter and its event loop talk most."""

MESSAGES = [{"role": "user", "content": "Hi"}]


class Running:
    """One gateway. files: of its data folder, read at any moment."""

    def __init__(self, folder, process):
        self.folder = folder
        self.data = folder / "data"
        self.process = process
        self.url = ""

    def stop(self):
        """Let it drain."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0

    def said(self):
        """What it printed."""
        return (self.folder / "stdout").read_bytes() + (self.folder / "stderr").read_bytes()

    def left(self, pattern="**/*"):
        """What its files hold now."""
        paths = self.data.glob(pattern)
        return b"".join(path.read_bytes() for path in paths if path.is_file())


@contextmanager
def gateway(folder, text, *arguments, hook=None, **variables):
    """A gateway by this configuration, until the block ends. hook: Python that runs in it first."""
    config = folder / "arno.toml"
    config.write_text(text)
    if hook is not None:
        variables["PYTHONPATH"] = f"{hooked(folder, hook)}{os.pathsep}{ROOT / 'src'}"
    command = [sys.executable, "-m", "arno", "serve", "--config", config]
    command += ["--data", folder / "data", *arguments]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            list(map(str, command)), stdout=out, stderr=errors, env=environment(**variables)
        )
    running = Running(folder, process)
    try:
        running.url = first_line(running)
        yield running
        running.stop()
    finally:
        # After a failure it is let end as well: its log says why.
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()


def hooked(folder, source):
    """A folder whose module `sitecustomize` the interpreter runs before anything else."""
    place = folder / "hook"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(source)
    return place


def first_line(running):
    """The URL, once it is announced."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        line, end, _ = (running.folder / "stdout").read_text().partition("\n")
        if end:
            return line
        assert running.process.poll() is None, running.said().decode()
        time.sleep(0.005)
    raise AssertionError(f"no URL: {running.said().decode()}")


def ask(model, *, stream=False, **members):
    """The body of a request."""
    return {"model": model, "messages": MESSAGES, "stream": stream, **members}


def whole(model="m", text="Hello"):
    """A whole answer of an upstream."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    head = {"id": "up-1", "object": "chat.completion", "created": 1, "model": model}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


def piece(text, reason=None):
    """One event of a stream of an upstream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    head = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n"


def path_of(folder, name, text):
    """A file for its owner's eyes."""
    path = Path(folder) / name
    path.write_text(text)
    path.chmod(0o600)
    return path
