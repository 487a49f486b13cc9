"""A gateway as a child process, for commands that need one for a moment."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class ChildError(Exception):
    """The child did not start."""


class GatewayChild:
    """`arno serve` on a free loopback port, over recordings alone; a context manager that ends it.

    url: where it listens, read from its first line. Its log goes to `gateway.log` in `folder`. It
    holds the child's standard input, so the child ends when this process does, however it ends.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> GatewayChild:
        command = [sys.executable, "-m", "arno", "serve", "--port", "0", "--until-stdin-ends"]
        # The user's own configuration and providers have no part in this.
        command += ["--config", os.devnull, "--offline"]
        log = self._folder / "gateway.log"
        # Keys of the user's own gateway would lock this one's only client out.
        environ = {name: value for name, value in os.environ.items() if name != "ARNO_KEYS"}
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*command, "--data", str(self._folder), *self._arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.PIPE,
                env=environ,
            )
        self.url = self._first_line()
        if not self.url:
            self.stop()
            words = log.read_text("utf-8", errors="replace")[-2000:].strip()
            raise ChildError(f"the gateway did not start: {words or 'it ended without a word'}")
        return self

    def _first_line(self) -> str:
        """The URL, "" if the child ends or says nothing for too long."""
        out = None if self._process is None else self._process.stdout
        if out is None or not select.select([out], [], [], START_SECONDS)[0]:
            return ""
        return out.readline().decode(errors="replace").strip()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let it drain and end; kill it if it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
