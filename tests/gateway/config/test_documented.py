"""Every key of the schema stands in docs/configuration.md, and nothing else does."""

import re

from arno.gateway.config.schema import Document
from tests.gateway.config.test_read import rules
from tests.shared import ROOT

PAGE = (ROOT / "docs/configuration.md").read_text("utf-8")
SECTION = re.compile(r"^### (.*?)$(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^\| (`[^|]*`) \|", re.MULTILINE)


def documented():
    """`table.key` for every key in the tables of the page."""
    found = set()
    for title, text in SECTION.findall(PAGE.partition("## All keys")[2]):
        table = re.search(r"`\[+([a-z]+)", title)[1]
        for cell in CELL.findall(text):
            keys = re.findall(r"`([a-z0-9_.]+)`", cell)
            found |= {key if "." in key else f"{table}.{key}" for key in keys}
    return found


def test_every_key_is_documented_and_nothing_else():
    known = {".".join(path) for path, _ in rules(Document)}
    particular = {key for key in known if ".deadlines." in key}
    assert documented() - {"provider.deadlines", "model.deadlines"} == (
        known - particular - {"alias"}
    )


def test_every_table_is_documented():
    tables = re.findall(r"`\[+([a-z]+)", " ".join(title for title, _ in SECTION.findall(PAGE)))
    assert set(tables) == set(Document.__struct_fields__) - {"at"}
