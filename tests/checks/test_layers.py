"""Layers: the contracts of pyproject.toml, each tried with an import that it forbids."""

import pytest

from checks.layers import check_layers
from tests.checks.trees import PYPROJECT, plant

LAYERS = (
    *("wire", "canon", "dialects", "cassette", "ledger", "providers", "transport", "routing"),
    *("exchange", "store", "engine", "gateway", "agent", "cli"),
)
DOWNWARDS = {
    "src/arno/cli/a.py": "import arno.gateway, arno.agent, arno.store, asyncio",
    "src/arno/gateway/a.py": "import arno.engine, arno.store, starlette",
    "src/arno/agent/a.py": "from arno.engine import a",
    "src/arno/engine/a.py": "import arno.exchange, arno.routing, arno.ledger, time",
    "src/arno/store/a.py": "import arno.ledger, sqlalchemy, alembic",
    "src/arno/transport/a.py": "import arno.cassette, asyncio, httptools",
    "src/arno/dialects/base.py": "import arno.canon, arno.wire",
    "src/arno/dialects/chat.py": "import arno.dialects.base, msgspec",
    "src/arno/wire/a.py": "import msgspec",
    "src/arno/version.py": "VERSION = '1'",
}
FORBIDDEN = {
    "upwards": ("wire/b.py", "import arno.canon", "Layers"),
    "gateway to agent": ("gateway/b.py", "import arno.agent", "Layers"),
    "agent to gateway": ("agent/b.py", "from arno import gateway", "Layers"),
    "store to engine": ("store/b.py", "import arno.engine", "Layers"),
    "within a function": ("canon/b.py", "def f():\n    import arno.cli", "Layers"),
    "ledger to providers": ("ledger/b.py", "import arno.providers", "Layers"),
    "asyncio in wire": ("wire/b.py", "import asyncio", "pure layers"),
    "the clock in ledger": ("ledger/b.py", "from time import time", "pure layers"),
    "chance in routing": ("routing/b.py", "import random", "pure layers"),
    "sockets in cassette": ("cassette/b.py", "import socket", "pure layers"),
    "httptools in dialects": ("dialects/b.py", "import httptools", "pure layers"),
    "dialect to dialect": (
        "dialects/messages.py",
        "import arno.dialects.chat",
        "Dialects never import each other",
    ),
    "a database in gateway": ("gateway/b.py", "import sqlalchemy", "Only store"),
    "a database in cli": ("cli/b.py", "import alembic", "Only store"),
    "engine to store": ("engine/b.py", "import arno.store.a", "Only gateway and cli"),
    "store to transport": ("store/b.py", "import arno.transport", "Store knows the ledger"),
    "starlette in agent": ("agent/b.py", "import starlette", "without the gateway extra"),
    "a cycle": (
        "canon/b.py",
        "import arno.canon.c\n",
        "No import cycles",
    ),
}


def tree(tmp_path):
    packages = {f"src/arno/{layer}/__init__.py": "" for layer in LAYERS}
    project = {"pyproject.toml": PYPROJECT, "src/arno/__init__.py": ""}
    cycle = {"src/arno/canon/c.py": ""}
    return plant(tmp_path, {**project, **packages, **DOWNWARDS, **cycle})


def test_imports_downwards_pass(tmp_path):
    outcome = check_layers(tree(tmp_path))
    assert outcome.problems == ()


@pytest.mark.parametrize(("name", "code", "contract"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_forbidden_import_breaks_its_contract(tmp_path, name, code, contract):
    root = plant(tree(tmp_path), {f"src/arno/{name}": code + "\n"})
    if "cycle" in contract:
        plant(root, {"src/arno/canon/c.py": "import arno.canon.b\n"})
    broken = [line for line in check_layers(root).problems if line.endswith("BROKEN")]
    assert any(contract in line for line in broken), broken


def test_layers_that_do_not_exist_yet_are_left_out(tmp_path):
    files = {
        "pyproject.toml": PYPROJECT,
        "src/arno/__init__.py": "",
        "src/arno/wire/__init__.py": "",
    }
    assert check_layers(plant(tmp_path, files)).passed


def test_a_folder_that_no_contract_knows_is_a_problem(tmp_path):
    root = plant(tree(tmp_path), {"src/arno/stray/__init__.py": ""})
    problems = "\n".join(check_layers(root).problems)
    assert "the contract 'database' in pyproject.toml does not name arno.stray" in problems
    assert "the contract 'store-users' in pyproject.toml does not name arno.stray" in problems
