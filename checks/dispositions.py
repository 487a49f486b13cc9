"""Dispositions: every request field says what becomes of it in every dialect (R13).

The tables are `src/arno/dialects/dispositions/<dialect>.toml`; `tests/golden/union/<dialect>.json`
is one request with every field of that dialect, `<dialect>.alone.json` holds the fields that cannot
stand in it beside others, each in a request of its own. A field of the union that no table names
fails, and so does a section whose field stands in neither document, a dialect that is missing or
listed twice, an unknown word, and a field that is not mapped and does not say why.
"""

import json
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from checks.outcome import Outcome
from checks.tree import place

TABLES = "src/arno/dialects/dispositions"
UNION = "tests/golden/union"
WORDS = ("mapped", "approximated", "dropped", "refused", "routed")
OTHERS = {
    "canon": str,
    "why": str | dict,
    "neutral": list,
    "contract": bool,
    "switch": bool,
    "yields": str,
}

Table = Mapping[str, dict[str, Any]]


def fields_of(
    document: Mapping[str, Any], table: Collection[str], prefix: str = ""
) -> Iterator[str]:
    """The fields of a request by their names in the table, as deep as the table goes."""
    for key, value in document.items():
        name = prefix + key
        elements = value if isinstance(value, list) else []
        inner = [value] if isinstance(value, dict) else []
        if name in table or not any(row.startswith((f"{name}.", f"{name}[]")) for row in table):
            yield name
        for item in inner:
            if any(row.startswith(f"{name}.") for row in table):
                yield from fields_of(item, table, f"{name}.")
        if f"{name}[]" in table and elements:
            yield f"{name}[]"
        for item in elements:
            if any(row.startswith(f"{name}[].") for row in table):
                known = _only_told(item, table, f"{name}[].")
                yield from fields_of(known, table, f"{name}[].")


def _only_told(item: object, table: Collection[str], prefix: str) -> dict[str, Any]:
    """Of an element of a conversation only what the table speaks of: it is content."""
    if not isinstance(item, dict):
        return {}
    if not prefix.startswith(("messages", "input", "contents")):
        return item
    return {key: value for key, value in item.items() if f"{prefix}{key}" in table}


def _section(name: str, row: dict[str, Any], dialects: set[str]) -> Iterator[str]:
    """What is wrong with one section."""
    listed = [dialect for word in WORDS for dialect in row.get(word, [])]
    for dialect in sorted(dialects | set(listed)):
        if dialect not in dialects:
            yield f"[{name}] speaks of an unknown dialect, {dialect}"
        elif listed.count(dialect) != 1:
            yield f"[{name}] lists {dialect} {listed.count(dialect)} times"
    for key, value in row.items():
        if key not in WORDS and not isinstance(value, OTHERS.get(key, ())):
            yield f"[{name}] has a member that is not understood: {key}"
    why = row.get("why", "")
    for word in WORDS[1:]:
        for dialect in row.get(word, []):
            if not (why if isinstance(why, str) else why.get(dialect)):
                yield f"[{name}] does not say why it is {word} for {dialect}"


def _read(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return document if isinstance(document, dict) else {}


def _problems(root: Path, path: Path, dialects: set[str]) -> Iterator[str]:
    table: Table = tomllib.loads(path.read_text(encoding="utf-8"))
    where = place(root, path)
    for name, row in table.items():
        yield from (f"{where}: {problem}" for problem in _section(name, row, dialects))
    union = root / UNION / f"{path.stem}.json"
    if not union.is_file():
        yield f"{where}: there is no {UNION}/{path.stem}.json"
        return
    alone = _read(root / UNION / f"{path.stem}.alone.json")
    seen = set(fields_of(_read(union), table)) | set(alone)
    for name in sorted(seen - table.keys()):
        yield f"{place(root, union)}: {name} has no section in {where}"
    for name, row in table.items():
        # Where the model stands in the path, the body does not name it.
        if name not in seen and row.get("canon") != "/model":
            yield f"{where}: [{name}] stands in no request of {UNION}"


def check_dispositions(root: Path) -> Outcome:
    """Every field of every client's dialect against every dialect."""
    tables = sorted((root / TABLES).glob("*.toml"))
    dialects = {path.stem for path in tables}
    problems = [problem for path in tables for problem in _problems(root, path, dialects)]
    count = sum(len(tomllib.loads(path.read_text(encoding="utf-8"))) for path in tables)
    return Outcome(tuple(problems), f"{count} fields of {len(tables)} dialects")
