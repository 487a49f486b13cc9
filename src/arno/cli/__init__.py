"""The command line: one file per verb, each with `add_arguments` and `execute`.

A verb's module is imported when it is called, so `arno run` needs no server and no database.
Exit codes: 0 done, 1 the work failed (its message is on stderr), 2 wrong usage, settings or a
system that refuses, 130 interrupted, 141 nobody reads the output any more, 143 terminated.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType

from arno.canon.failure import LocalError
from arno.version import VERSION

VERBS: dict[str, str] = {
    "demo": "a recorded conversation through gateway, agent and ledger (no key, no network)",
    "serve": "the gateway",
    "check": "read the configuration and say what would be served",
    "init": "write a commented configuration to start from",
    "replay": "a server that answers from cassettes",
    "record": "a recorder between a program and its upstreams",
    "run": "ask a model, with tools, and print the answer as it arrives",
    "translate": "tell a request, an answer or a stream of one dialect in another",
}

EXTRA_HINT = "this command needs the gateway extra: pip install 'arno[gateway]'"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code of the process."""
    _set_up_process()
    try:
        arguments = list(sys.argv[1:] if argv is None else argv)
        options = _parser(arguments).parse_args(arguments)
        code: int = options.execute(options)
        sys.stdout.flush()
    except Terminated:
        return 143
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Python would try to flush once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (LocalError, OSError) as error:
        print(f"arno: {error}", file=sys.stderr)
        return 2
    return code


class Terminated(KeyboardInterrupt):
    """SIGTERM: unwound like an interrupt, so that children and folders are cleaned up."""


def _set_up_process() -> None:
    """Signals unwind, and no character that the terminal cannot show is an error."""
    with_default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if with_default:
        signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="arno", description="An LLM gateway, a streaming agent, and record and replay."
    )
    parser.add_argument("--version", action="version", version=f"arno {VERSION}")
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    asked = next((word for word in arguments if not word.startswith("-")), None)
    for verb, summary in VERBS.items():
        sub = verbs.add_parser(verb, help=summary, description=summary)
        if verb == asked:
            module = _load(verb)
            module.add_arguments(sub)
            sub.set_defaults(execute=module.execute)
    return parser


def _load(verb: str) -> ModuleType:
    try:
        return importlib.import_module(f"arno.cli.{verb}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("arno"):
            raise
        print(f"arno: {EXTRA_HINT} (missing: {error.name})", file=sys.stderr)
        raise SystemExit(2) from error
