"""A gateway as a child process, for commands that need one for a moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

STOP_SECONDS = 10.0


class ChildError(Exception):
    """The child did not start."""


class GatewayChild:
    """`arno serve` on a free loopback port; a context manager that ends it.

    url: where it listens, read from its first line. Its log goes to `gateway.log` in `folder`.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> GatewayChild:
        command = [sys.executable, "-m", "arno", "serve", "--port", "0", "--data"]
        log = self._folder / "gateway.log"
        # Keys of the user's own gateway would lock this one's only client out.
        environ = {name: value for name, value in os.environ.items() if name != "ARNO_KEYS"}
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*command, str(self._folder), *self._arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=environ,
            )
        first = self._process.stdout.readline() if self._process.stdout else b""
        self.url = first.decode().strip()
        if not self.url:
            self.stop()
            raise ChildError(f"the gateway did not start: {log.read_text('utf-8')[-2000:].strip()}")
        return self

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
        if process.stdout is not None:
            process.stdout.close()
