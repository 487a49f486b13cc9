"""R37 as far as it is about size and start, and R36's "no network at import or start".

How long a start takes is a benchmark. What takes long is tested here: what is loaded, what is
asked of the network, and how much memory a gateway at rest holds. The figures are of a real
`arno serve` whose providers are switched on by their keys.
"""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec

import psutil
import pytest

from tests.cli.commands import arno, environment
from tests.faults.processes import ask, gateway, hooked, whole
from tests.gateway.harness import PATIENCE_S, get, post
from tests.gateway.upstream import Upstream
from tests.shared import ROOT
from tests.store.locks import until

MIB = 1024 * 1024
MOST_RESIDENT = 80 * MIB

PROVIDERS = {
    "OPENAI_API_KEY": "k",
    "OPENROUTER_API_KEY": "k",
    "MOONSHOT_API_KEY": "k",
    "GROQ_API_KEY": "k",
    "MISTRAL_API_KEY": "k",
    "DEEPSEEK_API_KEY": "k",
    "VLLM_BASE_URL": "http://127.0.0.1:9/v1",
}

SERVERS = {"uvicorn", "httptools", "uvloop", "h11"}
DATABASES = {"sqlalchemy", "alembic", "sqlite3"}
NEVER = {"genai_prices", "pydantic", "pydantic_core", "httpx", "openai", "requests", "aiohttp"}

PLANTED = "import json\nimport alembic\nimport pydantic\n"


def loaded_by(statement, **variables):
    """The top-level modules that an interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_next_to_nothing():
    loaded = loaded_by("import arno") - loaded_by("")
    assert loaded - sys.stdlib_module_names == {"arno"}
    assert not loaded & {"asyncio", "socket", "ssl", "http", "logging", "sqlite3", "subprocess"}


def test_the_agent_needs_neither_server_nor_database():
    loaded = loaded_by("from arno import Agent, tool")
    assert "asyncio" in loaded, "the control: it was really loaded"
    assert not loaded & (SERVERS - {"httptools"} | DATABASES | NEVER)


def test_what_is_loaded_would_be_seen():
    """The control."""
    assert loaded_by(PLANTED) >= {"alembic", "pydantic"}


AT_THE_END = """
import atexit, json, os, sys
atexit.register(lambda: open(os.environ["LOADED"], "w").write(json.dumps(list(sys.modules))))
"""


def served(folder, **variables):
    """Start a gateway, ask it, stop it: the modules that it had loaded."""
    place = folder / "loaded.json"
    with Upstream(lambda peer: peer.answer(200, whole())) as upstream:
        text = f'[provider.lab]\nbase_url = "{upstream.url}"\n'
        settings = {**PROVIDERS, "LOADED": str(place), **variables}
        with gateway(folder, text, hook=AT_THE_END, **settings) as running:
            assert post(running.url, ask("lab/x")).status == 200
            assert get(running.url, "/v1/key").status == 200
            until(lambda: b"estimates" in running.said() or not estimates_here())
    return {name.partition(".")[0] for name in json.loads(place.read_text())}


def estimates_here():
    """Whether the package with the estimates is installed."""
    return find_spec("genai_prices") is not None


def test_a_gateway_loads_what_it_needs(tmp_path):
    for loaded in (served(tmp_path), served(tmp_path)):
        assert {"uvicorn", "sqlalchemy", "msgspec"} <= loaded, "the control"
        assert not loaded & NEVER, "estimates are read by a process of its own"
        assert "alembic" not in loaded, "the schema is new, or the current one"


def test_an_older_schema_loads_the_migrations(tmp_path):
    """The control of what is missing above; this one is so old that nobody knows it."""
    served(tmp_path)
    with closing(sqlite3.connect(tmp_path / "data" / "ledger.db")) as connection:
        connection.execute("update alembic_version set version_num = '0000'")
        connection.commit()
    variables = {
        "LOADED": str(tmp_path / "loaded.json"),
        "PYTHONPATH": f"{hooked(tmp_path, AT_THE_END)}{os.pathsep}{ROOT / 'src'}",
    }
    done = arno("serve", "--config", os.devnull, "--data", tmp_path / "data", **variables)
    assert done.returncode == 2
    assert "alembic" in json.loads((tmp_path / "loaded.json").read_text())


OFFLINE = """
import os, socket, sys
from ipaddress import ip_address

def told(what):
    with open(os.environ["TOLD"], "a") as file:
        file.write(f"{what}\\n")
    raise PermissionError(f"no network here: {what}")

def is_here(host):
    try:
        return host in (None, "", "localhost") or ip_address(host).is_loopback
    except ValueError:
        return False

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not is_here(address[0]):
            told(f"{event} {address}")
    elif event.startswith(("socket.gethost", "socket.getaddrinfo")):
        host = arguments[0]
        host = host.decode() if isinstance(host, bytes) else host
        if not is_here(host):
            told(f"{event} {host}")

sys.addaudithook(watch)
if os.environ.get("FOR_UVLOOP"):
    # Its look-ups are the C library's, which no hook of the interpreter sees.
    import uvloop
    known = uvloop.Loop.getaddrinfo
    def getaddrinfo(self, host, *arguments, **more):
        if not is_here(host.decode() if isinstance(host, bytes) else host):
            told(f"uvloop {host}")
        return known(self, host, *arguments, **more)
    uvloop.Loop.getaddrinfo = getaddrinfo
"""


@pytest.fixture
def offline(tmp_path):
    """(variables of a process that may reach loopback alone, what it tried otherwise)."""
    pytest.importorskip("uvloop", reason="the loop that the look-ups are watched on")
    told = tmp_path / "told"
    told.touch()
    hook = hooked(tmp_path, OFFLINE)
    path = f"{hook}{os.pathsep}{ROOT / 'src'}"
    variables = {"TOLD": str(told), "PYTHONPATH": path, "FOR_UVLOOP": "1", **PROVIDERS}
    return variables, lambda: told.read_text()


def test_nothing_is_asked_of_the_network_until_a_request_needs_it(tmp_path, offline):
    variables, told = offline
    with gateway(tmp_path, "", **variables) as running:
        until(lambda: b"estimates" in running.said() or not estimates_here())
        assert get(running.url, "/readyz").status == 200
        assert get(running.url, "/v1/models").status == 200
        assert told() == ""
        # The control: the first request to a provider does look its name up.
        assert post(running.url, ask("groq/x")).status >= 500
    assert "api.groq.com" in told()


@pytest.mark.parametrize("line", [("check",), ("check", "--json"), ("init",), ("--version",)])
def test_no_command_asks_the_network(tmp_path, offline, line):
    variables, told = offline
    assert arno(*line, cwd=tmp_path, **variables).returncode == 0
    assert told() == ""


@pytest.mark.parametrize("module", ["arno", "arno.cli.serve", "arno.cli.record", "arno.agent"])
def test_no_import_asks_the_network(offline, module):
    variables, told = offline
    loaded_by(f"import {module}", **variables)
    assert told() == ""


def test_the_watch_sees_a_connection(offline):
    """The control of the watch itself, in a process of its own."""
    variables, told = offline
    program = "import socket\ntry: socket.create_connection(('192.0.2.1', 9))\nexcept OSError: pass"
    loaded_by(program, **variables)
    assert "192.0.2.1" in told()


def resident(process):
    """Bytes of a process and of those it started."""
    family = [process, *process.children(recursive=True)]
    return sum(member.memory_info().rss for member in family)


def test_a_gateway_at_rest_holds_less_than_80_mb(tmp_path):
    """After a request of each kind, and with all estimates in it."""
    with Upstream(lambda peer: peer.answer(200, whole())) as upstream:
        text = f'[provider.lab]\nbase_url = "{upstream.url}"\n'
        with gateway(tmp_path, text, **PROVIDERS) as running:
            until(lambda: b"estimates" in running.said() or not estimates_here())
            assert post(running.url, ask("lab/x")).status == 200
            assert get(running.url, "/v1/models").status == 200
            process = psutil.Process(running.process.pid)
            until(lambda: not process.children())
            assert 10 * MIB < resident(process) < MOST_RESIDENT


def test_memory_that_is_held_would_be_seen(tmp_path):
    """The control: 80 MB more are noticed."""
    with gateway(tmp_path, "", hook="held = bytearray(b'x') * (80 << 20)") as running:
        assert resident(psutil.Process(running.process.pid)) > MOST_RESIDENT
