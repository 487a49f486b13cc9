"""Docs: every example in README.md and docs/ is executed, and every link inside the tree exists.

The language of a fenced block decides:

- `python`   run as a program of its own;
- `output`   what the `python` block before it must have printed;
- `console`  lines that start with `$ ` are run by bash, the lines below each are its output; a
             command that ends with ` &` is a server: it is left running until the document ends,
             and the lines below it are the first ones that it prints;
- any other  (`text`, `sh`, `json`, ...) is not run.

In expected output `...` stands for anything, also over several lines; a command without expected
output may print what it likes. All blocks of one document run in order in one empty folder, without
the user's keys and settings. A command that ends with a non-zero exit code fails the check.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from checks.markdown import Block, blocks
from checks.outcome import Outcome
from checks.shell import Finished, Shell
from checks.tree import place

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def documents(root: Path) -> Iterator[Path]:
    """README.md, the other documents at the root, and everything below docs/."""
    yield from sorted(root.glob("*.md"))
    yield from sorted((root / "docs").rglob("*.md"))


def matches(expected: str, printed: str) -> bool:
    """Whether output fits: `...` is anything; spaces at line ends and around it do not count."""
    pieces = [re.escape(_trimmed(piece)) for piece in expected.split("...")]
    pattern = r"\s*" + r"[\s\S]*".join(pieces) + r"\s*"
    return re.fullmatch(pattern, _trimmed(printed)) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def _commands(text: str) -> Iterator[tuple[str, str, int]]:
    """(command, expected output, line within the block) of a console block."""
    command, start = "", 0
    expected: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("$ "):
            if command:
                yield command, "\n".join(expected), start
            command, start, expected = line[2:], number, []
        elif command.endswith("\\"):
            command = f"{command}\n{line}"
        else:
            expected.append(line)
    if command:
        yield command, "\n".join(expected), start


def _compare(what: str, expected: str, finished: Finished) -> str:
    if finished.code != 0:
        return f"{what}: exit code {finished.code}: {finished.last_line()}"
    if expected.strip() and not matches(expected, finished.output):
        return f"{what}: expected {expected.strip()!r}, printed {finished.output.strip()!r}"
    return ""


def _console(shell: Shell, block: Block) -> Iterator[tuple[int, str]]:
    for command, expected, line in _commands(block.text):
        if command.rstrip().endswith(" &"):
            lines = len(expected.strip().splitlines())
            finished = shell.start(command.rstrip().removesuffix("&"), max(lines, 1))
        else:
            finished = shell.run(command)
        yield block.line + line, _compare(command.splitlines()[0], expected, finished)


def _results(shell: Shell, markdown: str) -> Iterator[tuple[int, str]]:
    """(line, problem or empty) of everything that was executed in a document."""
    program: Finished | None = None
    for block in blocks(markdown):
        if block.language == "python":
            program = shell.python(block.text)
            yield block.line, _compare("python", "", program)
        elif block.language == "output" and program is not None:
            yield block.line, _compare("output", block.text, program)
        elif block.language == "console":
            yield from _console(shell, block)


def _links(document: Path) -> Iterator[str]:
    """Relative links of a document that lead nowhere."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:|#", target):
            continue
        if not (document.parent / target.partition("#")[0]).exists():
            yield f"the link {target} leads nowhere"


def check_docs(root: Path) -> Outcome:
    """Every example runs and prints what the document says; every local link has a target."""
    problems: list[str] = []
    count = 0
    for document in documents(root):
        problems.extend(f"{place(root, document)}: {text}" for text in _links(document))
        with Shell(root) as shell:
            for line, problem in _results(shell, document.read_text(encoding="utf-8")):
                count += 1
                if problem:
                    problems.append(f"{place(root, document, line)}: {problem}")
    return Outcome(tuple(problems), f"{count} examples")
