"""R34 beside the conversation: bugs of our own, wrong configurations, `arno check`, `arno record`.

The same canaries and the same search as in `test_r34_secrets`, with PLANTED as control.
"""

import json
import subprocess
import sys

import pytest

from tests.cli.commands import arno, environment, server
from tests.faults import echoes
from tests.faults.canaries import CLIENT, FILED, PLANTED, PROXY, UPSTREAM, hits
from tests.faults.processes import ask, gateway, path_of
from tests.gateway.harness import get, post
from tests.gateway.upstream import Upstream

pytestmark = pytest.mark.slow

CLIENTS = {"ARNO_KEYS": f"env:{CLIENT}"}
BEARER = {"Authorization": f"Bearer {CLIENT}"}

# An error of ours whose text holds all that there is: the request for the upstream, the client's.
BUG = """
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

class Finder(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "{module}":
            return None
        spec = PathFinder.find_spec(name, path)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            {patch}
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Finder())
"""

IN_THE_ENGINE = BUG.format(
    module="arno.engine.plan",
    patch="""
            plain = module.Plan.request
            def request(self, *args):
                raise RuntimeError(f"{args!r} PLANTED {plain(self, *args)!r}")
            module.Plan.request = request""",
).replace("PLANTED", PLANTED)

IN_THE_GATEWAY = BUG.format(
    module="arno.gateway.account_api",
    patch="""
            async def key(gateway, request):
                raise RuntimeError(f"PLANTED {request.headers!r}")
            module.key = key""",
).replace("PLANTED", PLANTED)


@pytest.mark.parametrize("hook", [IN_THE_ENGINE, IN_THE_GATEWAY])
def test_a_bug_of_ours_tells_no_key(tmp_path, hook):
    with Upstream(echoes.script) as upstream:
        text = f'[provider.lab]\nbase_url = "{upstream.url}"\nkey_env = "LAB_KEY"\n'
        text += "[replay]\ncassettes = []\n"
        with gateway(tmp_path, text, hook=hook, LAB_KEY=UPSTREAM, **CLIENTS) as running:
            replies = [
                post(running.url, ask("lab/x"), BEARER),
                post(running.url, ask("lab/x", stream=True), BEARER),
                get(running.url, "/v1/key", BEARER),
            ]
            running.stop()
        assert 500 in {reply.status for reply in replies}
        told = "".join(f"{reply.headers}{reply.body}" for reply in replies)
        assert hits(told, [PLANTED]) == set(), "a bug's text is for the log alone"
        assert hits(running.said(), [PLANTED]) == {PLANTED}, "the control"
        assert b"[redacted]" in running.said()
        assert hits(told + running.said().decode() + running.left().decode("latin-1")) == set()


WRONG = f"""
[provider.{{table}}]
{{line}}
[alias]
a = "{PLANTED}"
"""

WRONG_LINES = [
    f'api_key = "{UPSTREAM}"',
    f'key = "{UPSTREAM}"',
    f'key_env = "{UPSTREAM}"',
    f'key_env = ["{UPSTREAM}"]',
    f'key_file = "{UPSTREAM}"',
    f'key_file = {{ path = "{UPSTREAM}" }}',
    f'key_env = "NOT_SET"\nkey_file = "{UPSTREAM}"',
    f'headers = {{ Authorization = "Bearer {UPSTREAM}" }}',
    f'base_url = "https://user:{UPSTREAM}@host.example/v1"',
    f'base_url = "https://host.example/v1?api_key={UPSTREAM}"',
    f'base_url = "https://host.example/v1#{UPSTREAM}"',
    f'base_url = ["https://{UPSTREAM}@host.example/v1"]',
    f'bearer = "{UPSTREAM}',
    f"bearer = {UPSTREAM}",
    f'bearer = "{UPSTREAM}\\q"',
]


@pytest.mark.parametrize("line", WRONG_LINES)
@pytest.mark.parametrize("verb", ["check", "serve"])
def test_a_secret_in_the_file_is_not_repeated(tmp_path, verb, line):
    (tmp_path / "arno.toml").write_text(WRONG.format(table="lab", line=line))
    done = arno(verb, cwd=tmp_path, ARNO_DATA=str(tmp_path / "d"))
    assert done.returncode == 2
    assert "arno.toml:" in done.stderr
    # The control: what is no secret is shown (where the file could be read that far).
    assert PLANTED in done.stderr or "no TOML" in done.stderr
    assert hits(done.stdout + done.stderr) == set()


ENVIRONMENT = {
    "user in an address": {"VLLM_BASE_URL": f"http://user:{UPSTREAM}@127.0.0.1:9/v1"},
    "query in an address": {"VLLM_BASE_URL": f"http://127.0.0.1:9/v1?key={UPSTREAM}"},
    "no address at all": {"OLLAMA_BASE_URL": UPSTREAM},
    "a key with a blank": {"ARNO_KEYS": f"{CLIENT} x"},
    "a key twice": {"ARNO_KEYS": f"a:{CLIENT},b:{CLIENT}"},
    "a proxy with a path": {"HTTPS_PROXY": f"http://user:{PROXY}@127.0.0.1:9/x"},
    "a proxy of another kind": {"HTTPS_PROXY": f"socks5://user:{PROXY}@127.0.0.1:9"},
    "a key with a line end": {"GROQ_API_KEY": f"{UPSTREAM}\n"},
    "a key that is not ASCII": {"GROQ_API_KEY": f"{UPSTREAM}é"},
}


@pytest.mark.parametrize("case", ENVIRONMENT)
@pytest.mark.parametrize("verb", ["check", "serve"])
def test_a_secret_in_the_environment_is_not_repeated(tmp_path, verb, case):
    (tmp_path / "arno.toml").write_text("")
    done = arno(verb, cwd=tmp_path, ARNO_DATA=str(tmp_path / "d"), **ENVIRONMENT[case])
    assert done.returncode == 2, "such a value is refused at the start"
    [name] = ENVIRONMENT[case]
    assert name in done.stderr, "the control: the variable is named"
    assert hits(done.stdout + done.stderr) == set()


def test_key_files_that_cannot_be_used(tmp_path):
    path_of(tmp_path, "two.key", f"{FILED}\n{UPSTREAM}\n")
    path_of(tmp_path, "short.key", FILED[:15])
    text = f'[provider.{PLANTED.lower()[:6]}]\nbase_url = "http://h/v1"\nkey_file = "two.key"\n'
    text += '[[key]]\nname = "a"\nkey_file = "short.key"\n[[key]]\nname = "b"\nkey_file = "none"\n'
    (tmp_path / "arno.toml").write_text(text)
    done = arno("check", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("key_file") >= 2
    assert hits(done.stdout + done.stderr) == set()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_check_prints_holds_no_secret(tmp_path, form):
    key, client = path_of(tmp_path, "up.key", FILED), path_of(tmp_path, "me.key", CLIENT)
    client.chmod(0o644)
    text = f'[provider.planted]\nname = "{PLANTED}"\nbase_url = "http://h/{PLANTED}"\n'
    text += f'key_file = "{key}"\n[[key]]\nname = "me"\nkey_file = "{client}"\n'
    (tmp_path / "arno.toml").write_text(text)
    proxy = f"http://user:{PROXY}@127.0.0.1:9"
    variables = {"OPENAI_API_KEY": UPSTREAM, "HTTPS_PROXY": proxy, "ARNO_KEYS": f"{CLIENT}x"}
    done = arno("check", *form, cwd=tmp_path, **variables)
    assert done.returncode == 0
    assert "can be read by other users" in done.stderr
    assert hits(done.stdout, [PLANTED]) == {PLANTED}, "the control"
    assert "OPENAI_API_KEY" in done.stdout
    assert hits(done.stdout + done.stderr) == set()


def test_recorders_on_both_sides_of_a_gateway_keep_no_key(tmp_path):
    """client -> recorder -> gateway -> recorder -> upstream, which repeats the key it was sent."""
    inner, outer = tmp_path / "inner.yaml", tmp_path / "outer.yaml"
    with Upstream(echoes.script) as upstream:
        behind = ("record", "-o", inner, "--upstream", upstream.url)
        with (
            (tmp_path / "inner.log").open("wb") as inside,
            (tmp_path / "outer.log").open("wb") as outside,
            server(*behind, stderr=inside) as (one, there),
        ):
            text = f'[provider.lab]\nbase_url = "{there}/v1"\nkey_env = "LAB_KEY"\n'
            text += "[replay]\ncassettes = []\n"
            with gateway(tmp_path, text, LAB_KEY=UPSTREAM, **CLIENTS) as running:
                before = ("record", "-o", outer, "--upstream", running.url)
                with server(*before, stderr=outside) as (two, here):
                    converse(here)
                    stop(two)
            stop(one)
    said = b"".join((tmp_path / name).read_bytes() for name in ("inner.log", "outer.log"))
    for cassette in (inner, outer):
        data = cassette.read_bytes()
        assert hits(data, [PLANTED]) == {PLANTED}, "the control"
        assert hits(data) == set()
    assert hits(said + running.said()) == set()
    heads = b"".join(peer.head for peer in upstream.requests).decode("latin-1")
    assert hits(heads) == {UPSTREAM}


def converse(url):
    """One plain request, and failures of each kind."""
    for way in (PLANTED, "fine", "status-401", "in-headers", "html-401", "mid-stream", "text"):
        for stream in (False, True):
            assert post(url, ask(f"lab/{way}", stream=stream), BEARER).status != 424


def stop(process):
    """Let a server end."""
    process.terminate()
    assert process.wait(20) in (0, 1)


def test_a_command_that_is_recorded_gets_its_key_and_the_file_does_not(tmp_path):
    program = """
import json, os, urllib.request
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
body = json.dumps({"model": os.environ["MODEL"], "messages": [], "api_key": os.environ["KEY"]})
headers = {"authorization": "Bearer " + os.environ["KEY"], "x-api-key": os.environ["KEY"]}
try:
    urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers), timeout=20)
except urllib.error.HTTPError as error:
    print(error.read().decode())
"""
    with Upstream(echoes.script) as upstream:
        line = ["record", "-o", "a.yaml", "--upstream", upstream.url]
        line += ["--", sys.executable, "-c", program]
        done = subprocess.run(
            [sys.executable, "-m", "arno", *line],
            cwd=tmp_path,
            env=environment(KEY=UPSTREAM, MODEL="status-401"),
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert hits(done.stdout) == {UPSTREAM}, "the command itself is told what the upstream says"
    recorded = (tmp_path / "a.yaml").read_bytes()
    assert b"Incorrect API key provided" in recorded
    assert hits(recorded + done.stderr) == set()
    assert json.loads(upstream.requests[0].body)["api_key"] == UPSTREAM
