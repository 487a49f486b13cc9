"""`arno translate`: one document of a dialect in another one, and what is lost on the way.

The result goes to standard output, byte for byte; each loss is one line on standard error. Exit
code 1 if the document cannot be translated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from arno.canon.failure import RequestError
from arno.cli.terminal import inert
from arno.dialects import DIALECTS
from arno.dialects.translate import Kind, Translation, TranslationError, translate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    names = ", ".join(DIALECTS)
    parser.add_argument("file", nargs="?", metavar="FILE", help="the document (default: stdin)")
    parser.add_argument(
        "--from", dest="source", required=True, metavar="D", help=f"its dialect: {names}"
    )
    parser.add_argument(
        "--to", dest="target", required=True, metavar="D", help="the dialect to tell it in"
    )
    parser.add_argument(
        "--kind", choices=[kind.value for kind in Kind], help="what it is (default: as it looks)"
    )
    parser.add_argument(
        "--stream",
        action="store_true",
        help="a request asks for a stream, a whole answer becomes one",
    )
    parser.add_argument("--model", help="the model's id, in place of what the document says")


def execute(options: argparse.Namespace) -> int:
    """Translate; what went wrong is one line on standard error."""
    try:
        done = translate(
            _read(options.file),
            source=options.source,
            target=options.target,
            kind=options.kind,
            model=options.model,
            stream=options.stream,
        )
    except RequestError as error:
        place = f"{error.path}: " if error.path else ""
        return _refused(f"{place}{error.message}")
    except (TranslationError, OSError) as error:
        return _refused(str(error))
    sys.stdout.buffer.write(done.body)
    if done.kind is not Kind.STREAM:
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    for line in notes(done):
        print(inert(line), file=sys.stderr)
    return 0


def _read(file: str | None) -> bytes:
    return sys.stdin.buffer.read() if file in (None, "-") else Path(str(file)).read_bytes()


def _refused(message: str) -> int:
    print(f"arno: {inert(message)}", file=sys.stderr)
    return 1


def notes(done: Translation) -> list[str]:
    """What there is to say beside the result, one line each."""
    lines = [f"{loss.action}: {loss.path}: {loss.why}" for loss in done.losses]
    if done.path is not None:
        lines.insert(0, f"path: {done.path}")
    if done.failure is not None:
        lines.append(f"failure: {done.failure.kind.value}: {done.failure.message}")
    return lines
