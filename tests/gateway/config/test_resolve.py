"""Settings, deadlines, limits, trust, recordings: what is said holds, the rest by default."""

import shutil
import ssl
from typing import get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.cassette.recordings import BUILT_IN, built_in_cassette
from arno.exchange.driver import Deadlines
from arno.exchange.machine import Limits
from arno.gateway.config.load import Loaded
from arno.gateway.config.problems import ConfigError, Problems, Source
from arno.gateway.config.read import _hints, _is_table, _read, read_document
from arno.gateway.config.resolve import resolve
from arno.gateway.config.schema import Document, Table
from arno.gateway.settings import GatewaySettings
from arno.transport.host_pool import LiveLimits
from arno.transport.url import parse_url
from tests.gateway.config.building import CLIENT, SHIPPED, configured, problems
from tests.gateway.config.test_toml_lines import paths
from tests.transport.worlds import certificate

LABS = """\
[provider.lab]
base_url = "http://127.0.0.1:9/v1"
deadlines = { first = 20, idle = 2 }
[provider.annex]
base_url = "http://127.0.0.1:8/v1"
[model.m]
candidates = ["lab/x", "annex/x"]
[model.m.deadlines]
first = 3
[model.n]
candidates = ["lab/y"]
[deadlines]
first = 40
total = 600
idle = inf
"""
HTTPS = parse_url("https://api.example/v1").origin


def test_what_nobody_says_is_the_default(tmp_path):
    config = configured(tmp_path, "")
    assert config.settings == GatewaySettings()
    assert config.engine.deadlines == Deadlines()
    assert config.engine.limits == Limits()
    assert config.connections == LiveLimits()
    assert (config.data, config.ssl_context, config.scale) == (None, None, 1.0)


def test_every_key_of_the_server_is_a_setting(tmp_path):
    text = """
    [server]
    host = "::1"
    port = 8080
    cors = true
    grace = 1.5
    keep_alive = 5
    head_deadline = 2
    body_deadline = 3
    max_head = 4096
    max_body = 8192
    """
    found = configured(tmp_path, text, {"ARNO_KEYS": CLIENT}).settings
    assert found == GatewaySettings(
        host="::1",
        port=8080,
        cors=True,
        grace_s=1.5,
        keep_alive_s=5,
        head_deadline_s=2,
        body_deadline_s=3,
        max_head=4096,
        max_body=8192,
    )


EXPOSED = {
    "an address that others reach": ('host = "0.0.0.0"', "server.host: refusing to listen on"),
    "web pages": ("cors = true", "server.cors: cors needs client keys"),
}


@pytest.mark.parametrize("case", EXPOSED)
def test_without_client_keys_the_gateway_serves_this_machine_alone(case, tmp_path):
    text, expected = EXPOSED[case]
    [line] = problems(tmp_path, f"[server]\n{text}")
    assert line.startswith(f"arno.toml:2: {expected}")
    assert problems(tmp_path, f"[server]\n{text}", {"ARNO_KEYS": CLIENT}) == []


def test_the_particular_deadline_goes_before_the_common_one(tmp_path):
    """Model, then provider, then all, each value by itself; inf is no limit."""
    config = configured(tmp_path, LABS)
    found = {
        (model, candidate.endpoint.slug): config.deadlines_for(candidate)
        for model in ("m", "n", "annex/z")
        for candidate in config.catalogue.candidates_for(model)
    }
    times = {key: (d.first, d.idle, d.total) for key, d in found.items()}
    assert times == {
        ("m", "lab"): (3, 2, 600),
        ("m", "annex"): (3, None, 600),
        ("n", "lab"): (20, 2, 600),
        ("annex/z", "annex"): (40, None, 600),
    }


def test_limits_are_those_of_the_engine_and_the_pool(tmp_path):
    text = """
    [limits]
    attempts = 3
    frame = 2048
    answer = 4096
    connections = 5
    waiting = 0
    waiting_time = 1.5
    [deadlines]
    connect = 2.5
    """
    config = configured(tmp_path, text)
    assert config.engine.max_attempts == 3
    assert config.engine.limits == Limits(frame=2048, whole=4096)
    pool = config.connections
    assert (pool.max_connections_per_host, pool.max_waiting) == (5, 0)
    assert (pool.slot_timeout, pool.connect_timeout) == (1.5, 2.5)


def test_proxies_come_from_the_environment_unless_the_file_says_no(tmp_path):
    environ = {"HTTPS_PROXY": "http://user:pass@proxy.example:3128"}
    found = configured(tmp_path, "", environ).proxies.find(HTTPS)
    assert found is not None
    assert found.label == "proxy.example:3128"
    off = "[proxy]\nfrom_environment = false"
    assert configured(tmp_path, off, environ).proxies.find(HTTPS) is None


def test_a_wrong_proxy_is_told_without_its_password(tmp_path):
    [line] = problems(tmp_path, "", {"HTTPS_PROXY": "ftp://user:canary@proxy.example"})
    assert "HTTPS_PROXY" in line
    assert "canary" not in line
    off = "[proxy]\nfrom_environment = false"
    assert problems(tmp_path, off, {"HTTPS_PROXY": "ftp://x"}) == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
def test_authorities_of_a_file_are_trusted_beside_the_systems(tmp_path):
    certificate(tmp_path)
    context = configured(tmp_path, '[tls]\nca_file = "cert.pem"').ssl_context
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == len(ssl.create_default_context().get_ca_certs()) + 1


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_without_authorities_is_told(text, tmp_path):
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    [line] = problems(tmp_path, '[tls]\nca_file = "ca.pem"')
    assert line.startswith("arno.toml:2: tls.ca_file: CA file")


def test_recordings_of_the_file_take_the_place_of_the_built_in_one(tmp_path):
    folder = tmp_path / "tapes"
    folder.mkdir()
    data = built_in_cassette().replace(b"arno/harbour-1", b"other/model-no1")
    (folder / BUILT_IN).write_bytes(data)
    config = configured(tmp_path, '[replay]\nscale = 0\ncassettes = ["tapes"]')
    assert list(config.catalogue.models) == ["other/model-no1"]
    assert config.scale == 0
    [recording] = config.recordings
    assert recording.models == ("other/model-no1",)
    assert recording.origin.endswith("arno.toml:3")


def test_a_recording_that_cannot_be_read_is_told_with_its_line(tmp_path):
    found = problems(tmp_path, '[replay]\ncassettes = [\n  "a.yaml",\n  "b.yaml",\n]')
    assert [line.split(": ")[0] for line in found] == ["arno.toml:3", "arno.toml:4"]


NAMES = ["lab", "annex", "groq", "replay", "vllm", "m", "lab/x", "annex/y", "replay/arno/harbour-1"]
LEAVES = [
    *NAMES,
    "http://127.0.0.1:9/v1",
    "http://127.0.0.1:9/v2",
    "MINE",
    "openrouter",
    "chat",
    "1.5",
    "2026-01-01",
    "::1",
    "0.0.0.0",
    True,
    False,
    0,
    1,
    2000,
    0.5,
    float("inf"),
]


def values(hint):
    """Values for a member of the schema: of the right shape, often right, often not."""
    origin, inner = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, Table):
        return st.fixed_dictionaries({}, optional={k: values(h) for k, h in _hints(hint).items()})
    if origin is dict:
        keys = NAMES if _is_table(inner[1]) else NAMES[-3:]
        return st.dictionaries(st.sampled_from(keys), values(inner[1]), max_size=3)
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=3)
    if not hasattr(hint, "__metadata__"):
        return values(inner[0])
    good = [leaf for leaf in LEAVES if fits(hint, leaf)]
    return st.sampled_from([*good * 40, *LEAVES[:1]]) if good else st.sampled_from(LEAVES)


def fits(hint, leaf):
    """Whether a value holds by its rule."""
    found = Problems(Source())
    _read(hint, leaf, (), found)
    return not found.found


@settings(deadline=None)
@given(values(Document), st.booleans())
def test_any_document_is_a_configuration_or_a_list_of_problems(raw, offline):
    """Nothing but ConfigError, and a configuration is one whose every candidate can be asked."""
    for slug in ("lab", "annex"):
        raw.setdefault("provider", {})[slug] = {"base_url": f"http://127.0.0.1:9/{slug}"}
    for table in raw.get("model", {}).values():
        table.pop("weights" if table.get("candidates") else "candidates", None)
    found = Problems(Source(name="arno.toml", lines=dict.fromkeys(paths(raw), 1)))
    loaded = Loaded(read_document(raw, found), found)
    environ = {"MINE": CLIENT, "GROQ_API_KEY": "k", "VLLM_BASE_URL": "http://127.0.0.1:7/v1"}
    try:
        config = resolve(loaded, environ, SHIPPED, created=0, offline=offline)
    except ConfigError:
        return
    on = {upstream.endpoint.slug for upstream in config.live} | {"replay"}
    for name in (*config.catalogue.models, *config.catalogue.aliases):
        chosen = config.catalogue.candidates_for(name)
        assert chosen
        assert {candidate.endpoint.slug for candidate in chosen} <= on
        for candidate in chosen:
            config.deadlines_for(candidate)
