"""An empty place in which examples of the documents are executed."""

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SECONDS = 60.0
"""How long one example may take."""

KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR")
"""Environment variables that an example sees; the user's keys and settings are not among them."""


@dataclass(frozen=True)
class Finished:
    """What an example printed (both streams as they came) and its exit code (0: still running)."""

    output: str
    code: int

    def last_line(self) -> str:
        """The last line that is not empty: of a traceback, the error."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else "no output"


class Shell:
    """A temporary folder, a clean environment, and the servers started in it.

    A context manager: at its end the servers are stopped and the folder is removed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            self._stop(server)
        self._folder.cleanup()

    def python(self, source: str) -> Finished:
        """Run a Python program."""
        return self._finish(self._begin([sys.executable, "-W", "error", "-c", source]))

    def run(self, command: str) -> Finished:
        """Run a command line."""
        return self._finish(self._begin(["bash", "-euo", "pipefail", "-c", command]))

    def start(self, command: str, lines: int) -> Finished:
        """Start a server and wait for its first lines."""
        server = self._begin(["bash", "-c", command])
        self._servers.append(server)
        output = _first_lines(server, lines)
        complete = output.count(b"\n") >= lines
        return Finished(output.decode(errors="replace"), 0 if complete else self._end(server))

    def _end(self, server: subprocess.Popen[bytes]) -> int:
        """The exit code of a server that did not get ready; -1 where it says 0."""
        try:
            server.wait(1)
        except subprocess.TimeoutExpired:
            self._stop(server)
        return server.returncode or -1

    def _begin(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self._folder.name,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        programs = [str(Path(sys.executable).parent), kept.get("PATH", "")]
        return {
            **kept,
            "PATH": os.pathsep.join(programs),
            "HOME": self._folder.name,
            "PYTHONPATH": str(self._root / "src"),
            "PYTHONUNBUFFERED": "1",
            "NO_COLOR": "1",
        }

    def _finish(self, process: subprocess.Popen[bytes]) -> Finished:
        try:
            output, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._stop(process)
            return Finished(f"not finished after {SECONDS:.0f} s", -1)
        return Finished(output.decode(errors="replace"), process.returncode)

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        """End a process that we started and everything that it started."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _first_lines(process: subprocess.Popen[bytes], lines: int) -> bytes:
    """Read until so many lines are there, the output ends, or the time is up."""
    output = b""
    if process.stdout is None:
        return output
    deadline = time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while output.count(b"\n") < lines and selector.select(deadline - time.monotonic()):
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            output += piece
    return output
