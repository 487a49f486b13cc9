"""Other gateways, in the versions of `peers/pins.toml`, installed into `build/bench`.

Each is run as its documents say for production, on one core, with one worker, and told to send
every request to the scripted upstream. A peer that cannot be had is a row that says why.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from arno.wire import json
from benchmarks import machine, native
from benchmarks.children import ROOT, BenchmarkError, Server, free_port, launch, stop, wait_for_port
from benchmarks.nginx import Nginx
from benchmarks.subjects import Ground, Running, Subject, nginx_subject
from benchmarks.traffic import KEY

PEERS = ROOT / "benchmarks" / "peers"
LITELLM_LOCK = PEERS / "litellm.txt"
INSTALL_S = 600.0
_TOLD = 300


class Pins(msgspec.Struct, frozen=True):
    """The versions."""

    litellm: str
    portkey: str
    bifrost: str


def pins() -> Pins:
    """What `peers/pins.toml` says."""
    return msgspec.convert(
        tomllib.loads((PEERS / "pins.toml").read_text(encoding="utf-8")), type=Pins
    )


def _run(command: list[str], folder: Path, **settings: str) -> None:
    """Run a step of an install. Raises BenchmarkError with the end of what it said."""
    try:
        run = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"{command[0]} did not work: {error}") from error
    if run.returncode != 0:
        said = re.sub(r"https?://\S+", "...", run.stderr.strip() or run.stdout.strip())
        words = " ".join(said.split())
        raise BenchmarkError(f"{Path(command[0]).name}: {words[-_TOLD:]}")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BenchmarkError(f"{name} is not here")
    return found


@contextmanager
def _installing(folder: Path, *inputs: bytes) -> Iterator[bool]:
    """Whether a folder must be filled; it counts as filled when the context ends well."""
    mark = folder / ".installed"
    digest = hashlib.sha256(b"\0".join(inputs)).hexdigest()
    if mark.exists() and mark.read_text(encoding="ascii") == digest:
        yield False
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield True
    mark.write_text(digest, encoding="ascii")


@contextmanager
def _serving(command: list[str], port: int, **settings: str) -> Iterator[Server]:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        child = launch(command, machine.SERVER_CORE, errors=nowhere, out=nowhere, settings=settings)
        try:
            wait_for_port(port, child)
            yield Server(child.pid, f"http://127.0.0.1:{port}")
        finally:
            stop(child)


# --- LiteLLM: a Python package in an environment of its own -------------------------------------

_LITELLM = """
model_list:
  - model_name: "*"
    litellm_params:
      model: "openai/*"
      api_base: "{url}/v1"
      api_key: "none"
general_settings:
  master_key: "{key}"
litellm_settings:
  telemetry: false
  num_retries: 0
"""


def _litellm(version: str) -> Subject:
    folder = native.BUILD / "litellm"
    lock = LITELLM_LOCK.read_bytes()
    with _installing(folder, lock, sys.version.encode()) as fresh:
        if fresh:
            _run([sys.executable, "-m", "venv", str(folder)], ROOT)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
            _run([*pip, "--require-hashes", "-r", str(LITELLM_LOCK)], ROOT)

    @contextmanager
    def start(ground: Ground) -> Iterator[Running]:
        with tempfile.TemporaryDirectory() as place:
            port = free_port()
            file = Path(place) / "config.yaml"
            file.write_text(_LITELLM.format(url=ground.upstream.url, key=KEY), encoding="utf-8")
            command = [str(folder / "bin" / "litellm"), "--config", str(file)]
            options = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
            with _serving(
                [*command, *options],
                port,
                PYTHONPATH="",
                LITELLM_LOCAL_MODEL_COST_MAP="True",
                LITELLM_MODE="PRODUCTION",
                LITELLM_LOG="ERROR",
            ) as server:
                yield Running(server=server)

    return Subject(
        name="LiteLLM",
        on="master key, routing by wildcard, prices and cost headers; no database, so no ledger; "
        "no retries; log at ERROR",
        start=start,
        version=version,
    )


# --- Portkey: an npm package --------------------------------------------------------------------


def _portkey(version: str) -> Subject:
    folder = native.BUILD / "portkey"
    files = [PEERS / "package.json", PEERS / "package-lock.json"]
    node = _program("node")
    with _installing(folder, *(file.read_bytes() for file in files)) as fresh:
        if fresh:
            for file in files:
                shutil.copy(file, folder)
            quiet = ["--ignore-scripts", "--no-audit", "--no-fund"]
            _run([_program("npm"), "ci", *quiet], folder)
    script = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"

    @contextmanager
    def start(ground: Ground) -> Iterator[Running]:
        port = free_port()
        command = [node, str(script), "--headless", f"--port={port}"]
        with _serving(command, port, NODE_ENV="production") as server:
            fields = (
                ("x-portkey-provider", "openai"),
                ("x-portkey-custom-host", f"{ground.upstream.url}/v1"),
            )
            yield Running(server=server, prefix="up/", fields=fields)

    return Subject(
        name="Portkey",
        on="routing by header, the client's key is handed on; no keys of its own, no ledger, no "
        "prices, no log; its web server held at an older version, since with the newest every "
        "stream is answered with 500",
        start=start,
        version=version,
    )


# --- Bifrost: a Go module -----------------------------------------------------------------------

_BIFROST = "github.com/maximhq/bifrost/transports/bifrost-http"


def _bifrost(version: str) -> Subject:
    folder = native.BUILD / "bifrost"
    with _installing(folder, version.encode()) as fresh:
        if fresh:
            _run([_program("go"), "install", f"{_BIFROST}@{version}"], ROOT, GOBIN=str(folder))

    @contextmanager
    def start(ground: Ground) -> Iterator[Running]:
        with tempfile.TemporaryDirectory() as place:
            port = free_port()
            provider = {
                "keys": [{"value": "none", "models": [], "weight": 1.0}],
                "network_config": {"base_url": ground.upstream.url},
            }
            file = Path(place) / "config.json"
            file.write_bytes(json.dumps({"providers": {"openai": provider}}))
            command = [str(folder / "bifrost-http"), "-app-dir", place]
            options = ["-host", "127.0.0.1", "-port", str(port)]
            with _serving([*command, *options], port) as server:
                yield Running(server=server, prefix="openai/")

    return Subject(
        name="Bifrost",
        on="routing by provider prefix; no client keys, no plugins, no log store",
        start=start,
        version=version,
    )


def subjects(nginx: Nginx | str, *, tls: bool) -> Iterator[Subject]:
    """All peers. nginx: one that can be run, or why there is none; tls: it is measured with, too.

    They are installed where they are not yet; that takes minutes the first time.
    """
    if isinstance(nginx, str):
        yield Subject(name="nginx", on="", missing=nginx)
    else:
        yield nginx_subject(nginx, tls=False)
        if tls:
            yield nginx_subject(nginx, tls=True)
    pinned = pins()
    yield _subject("LiteLLM", _litellm, pinned.litellm)
    yield _subject("Portkey", _portkey, pinned.portkey)
    yield _subject("Bifrost", _bifrost, pinned.bifrost)


def _subject(name: str, make: Callable[[str], Subject], version: str) -> Subject:
    try:
        return make(version)
    except BenchmarkError as error:
        return Subject(name=name, on="", version=version, missing=f"cannot be had here: {error}")
