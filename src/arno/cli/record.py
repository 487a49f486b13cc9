"""`arno record`: a recorder between a program and its upstreams."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from arno.canon.failure import LocalError
from arno.cassette.govcr import dump
from arno.cassette.model import Cassette
from arno.cli.base_urls import BaseUrls, known_upstreams, one_upstream
from arno.cli.command import run_command
from arno.cli.options import ENVIRON, add_address
from arno.gateway import server
from arno.gateway.clock import Clock
from arno.gateway.log import RequestLog
from arno.gateway.record import RecordApp
from arno.gateway.settings import GatewaySettings
from arno.providers import load_catalogue
from arno.providers.recordable import recordables
from arno.transport.files import load_cassettes
from arno.transport.host_pool import LiveLimits
from arno.transport.live import LivePool
from arno.transport.proxy import Proxies
from arno.transport.record import RecordTransport
from arno.transport.recorder import Recorder, RecordingIncomplete, recorder_note

MAX_CONNECTIONS: Final = 1000
"""Connections to one upstream: a recorder is not where a client's requests should wait."""

_COMMAND_GRACE_S: Final = 1.0
"""How long answers may go on after the command that asked for them has ended."""

_SWITCH_S: Final = 0.0002
"""How long the thread that redacts and writes may keep the others waiting (Python's own: 5 ms)."""

_PRIVATE: Final = 0o600


class RecordError(LocalError):
    """The recording cannot begin; the message says what to change."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="cassette")
    parser.add_argument(
        "--upstream",
        metavar="URL",
        help="the base URL that all requests go to (default: the first segment of a path names one"
        " of the known hosts)",
    )
    parser.add_argument(
        "--no-timing",
        action="store_true",
        help="a plain go-vcr file: without the times of chunks, and without our own note",
    )
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--append", action="store_true", help="go on with a cassette that exists")
    there.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    add_address(parser)
    parser.add_argument(
        "command",
        nargs="*",
        metavar="-- COMMAND",
        help="run this with base-URL variables that point here, and end with it",
    )


def execute(options: argparse.Namespace) -> int:
    """Record until the command ends, or a signal; the exit code is the command's.

    Whatever an answer lacks in the file is told on stderr, and is 1 where there was no other error.
    """
    settings = GatewaySettings(host=options.host, port=options.port)
    rows = recordables(load_catalogue().endpoints.values())
    if options.upstream is None:
        base_urls = known_upstreams(rows, ENVIRON)
    else:
        base_urls = one_upstream(options.upstream, rows, ENVIRON)
    proxies = Proxies.from_environment(ENVIRON)
    sys.setswitchinterval(_SWITCH_S)
    tape = _open(options)
    try:
        app = _app(base_urls, settings, tape.recorder, proxies, quiet=bool(options.command))
        code = _run(app, base_urls, options.command)
    finally:
        problems = tape.close()
    _tell(tape.recorder, app.unanswered, problems)
    return code or int(bool(problems))


class _Silence:
    """A log that nobody reads: standard error belongs to the command."""

    def write(self, text: str, /) -> None:
        """Forget it."""

    def flush(self) -> None:
        """Nothing is kept."""


class _Tape(msgspec.Struct):
    """The file that is written. reserved: made here, and empty so far."""

    recorder: Recorder
    reserved: bool

    def close(self) -> tuple[str, ...]:
        """Complete the file, or leave what was there if nothing is to be written; the problems."""
        if self.recorder.count:
            try:
                self.recorder.close()
            except RecordingIncomplete as error:
                return error.problems
            return ()
        if self.reserved:
            self.recorder.path.unlink(missing_ok=True)
        return self.recorder.problems or ("no request was answered, so there is no recording",)


def _open(options: argparse.Namespace) -> _Tape:
    """The recording's file. A new one is made at once: so nobody else takes its name, and one that
    cannot be written is told before the command runs. Raises RecordError.
    """
    path: Path = options.output
    onto = None
    reserved = not path.exists()
    if reserved:
        _reserve(path)
    elif options.append:
        onto = load_cassettes([path])[0].cassette
    elif not options.overwrite:
        raise RecordError(f"{path} exists: give --overwrite to replace it, --append to go on")
    if not os.access(path.parent, os.W_OK | os.X_OK) or path.is_dir():
        raise RecordError(f"{path} cannot be written")
    extra = None if options.no_timing else recorder_note(time.time_ns())
    recorder = Recorder(path, timing=not options.no_timing, extra=extra, onto=onto)
    return _Tape(recorder, reserved)


def _reserve(path: Path) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error.strerror}") from error
    with open(handle, "wb") as file:
        file.write(dump(Cassette()))


def _app(
    base_urls: BaseUrls,
    settings: GatewaySettings,
    recorder: Recorder,
    proxies: Proxies,
    *,
    quiet: bool,
) -> RecordApp:
    """The recording server's application. quiet: standard error is the command's."""
    if quiet:
        settings = msgspec.structs.replace(settings, grace_s=_COMMAND_GRACE_S)
    limits = LiveLimits(max_connections_per_host=MAX_CONNECTIONS)
    # Bodies are passed on as they come; the recording alone is decoded.
    live = LivePool(limits, proxies=proxies, decode=False)
    transport = RecordTransport(live, recorder, on_problem=recorder.refuse, background=True)
    log = RequestLog(_Silence() if quiet else None)
    return RecordApp(transport, base_urls.routes, settings, log, Clock())


def _run(app: RecordApp, base_urls: BaseUrls, command: Sequence[str]) -> int:
    log, wall_ns = app.log, app.clock.wall_ns
    if not command:
        return server.run(app, app.settings, inflight=app.inflight, log=log, wall_ns=wall_ns)
    serving = server.beside(app, app.settings, inflight=app.inflight, log=log, wall_ns=wall_ns)
    with serving as url:
        return run_command(command, base_urls.environment(url, ENVIRON))


def _tell(recorder: Recorder, unanswered: Sequence[str], problems: Sequence[str]) -> None:
    """What became of the recording, on standard error."""
    if recorder.count:
        cut = f", {recorder.cut} without its end" if recorder.cut else ""
        requests = "1 request" if recorder.count == 1 else f"{recorder.count} requests"
        print(f"arno: recorded {requests}{cut} in {recorder.path}", file=sys.stderr)
    for message in unanswered:
        print(f"arno: not recorded, no answer: {message}", file=sys.stderr)
    for problem in problems:
        print(f"arno: recording incomplete: {problem}", file=sys.stderr)
