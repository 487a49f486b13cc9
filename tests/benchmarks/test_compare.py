"""What the table says of figures, and what peers need to be had; nothing is fetched here."""

import re
import tomllib

import pytest

from arno.wire import json
from benchmarks import compare, nginx, peers, report
from benchmarks.children import ROOT, BenchmarkError, Server
from benchmarks.compare import HEADINGS, Figures, Gate, figures, gates, line
from benchmarks.load import Spread
from benchmarks.measure import CASES, EVENTS, REQUEST, Cost, Latency, Memory
from benchmarks.nginx import Front
from benchmarks.subjects import Ground, Subject
from benchmarks.table import TINY, render

UPSTREAM = Server(0, "http://127.0.0.1:1", what="none")


def latency(first, event):
    return Latency(Spread(first, first, 2), Spread(event, event, 2))


def measured(name="ours", request=160.0, event=30.0, **more):
    costs = {REQUEST.short: Cost((request - 10, request, request + 50), 100.0, 32)}
    costs |= {case.short: Cost((event,), 100.0, case.clients) for case in EVENTS}
    values = {
        "memory": Memory(50.0, 128.125, 1000),
        "direct": latency(100.0, 40.0),
        "latency": latency(350.0, 90.0),
        "start_ms": 412.0,
        "costs": costs,
    }
    return Figures(name=name, **{**values, **more})


def test_a_row_has_medians_and_what_is_added_to_them():
    cells = dict(zip(HEADINGS, line(measured(), 160.0), strict=True))
    assert cells["us/request"] == "160"
    assert cells["us/117 KB"] == "-"
    assert cells["first byte +us"] == "250"
    assert cells["event +us"] == "50"
    assert (cells["MB at rest"], cells["MB open"], cells["KB/stream"]) == ("50", "128", "80")
    assert (cells["start ms"], cells["x ours"]) == ("412", "1.00")


def test_a_pace_that_was_not_kept_has_a_star():
    late = Cost((30.0,), 10.0, 20, late=True)
    cells = dict(zip(HEADINGS, line(measured(costs={"event, 20": late}), None), strict=True))
    assert cells["us/event, 20"] == "30*"
    joined = Cost((30.0,), 10.0, 20, joined=True)
    cells = dict(zip(HEADINGS, line(measured(costs={"event, 20": joined}), None), strict=True))
    assert cells["us/event, 20"] == "30~"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (150.0, "met"),
        (149.0, "met"),
        (150.5, "missed by 0.5 us CPU"),
        (None, "not measured"),
    ],
)
def test_a_gate_is_met_or_missed_by_something(value, verdict):
    assert Gate(what="x", value=value, budget=150.0, unit="us CPU").verdict == verdict


def test_gates_are_those_of_the_ways_that_they_are_meant_for():
    found = gates([measured(gated=True), measured("other"), Figures(name="bare", gated=True)])
    ours = [gate.verdict for gate in found[:5]]
    assert ours == ["missed by 10 us CPU", "met", "met", "met", "met"]
    assert [gate.verdict for gate in found[5:]] == ["not measured"] * 5
    assert [gate.budget for gate in found[:5]] == [150.0, 40.0, 40.0, 80.0, 80.0]


def test_the_table_has_a_line_for_each_row_and_says_what_it_is_relative_to():
    rows = [measured(gated=True), measured("peer", 1600.0), Figures(name="gone", notes=["why"])]
    text = render(report.table(rows, UPSTREAM))
    assert re.search(r"\| peer .* 10\.00 +\|", text)
    assert "why" in render(report.remarks(rows))
    assert list(report.ratios(rows)) == ["- a request takes 0.10 times the CPU time of peer"]


def test_the_json_has_every_window():
    rows = [measured(gated=True)]
    document = json.loads(report.document(rows, UPSTREAM, compare_date()))
    assert document["rows"][0]["costs"][REQUEST.short]["samples"] == [150.0, 160.0, 210.0]
    assert document["medians"]["ours"][REQUEST.short] == 160.0
    assert document["gates"][0]["verdict"] == "missed by 10 us CPU"


def compare_date():
    from datetime import UTC, datetime

    return datetime(2026, 1, 2, tzinfo=UTC)


def test_what_is_missing_is_a_row_that_says_why():
    found = figures(Ground(UPSTREAM), Subject(name="x", on="", missing="no such thing"), TINY)
    assert found.notes == ["no such thing"]
    assert found.costs == {}


def test_what_cannot_be_started_is_a_row_that_says_why():
    def start(ground):
        raise BenchmarkError("does not start")

    found = figures(Ground(UPSTREAM), Subject(name="x", on="", start=start), TINY)
    assert found.notes == ["does not start"]


def test_the_machine_is_told_by_a_piece_of_work():
    assert compare.spin_ms() > 0
    assert all(case.short in "".join(HEADINGS) for case in CASES)


# --- peers ---------------------------------------------------------------------------------------


def test_locks_hold_the_versions_that_are_pinned():
    pins = peers.pins()
    lock = peers.LITELLM_LOCK.read_text(encoding="utf-8")
    assert f"\nlitellm=={pins.litellm} " in lock
    locked = re.findall(r"^[a-z0-9][\w.\[\]-]*==", lock, re.MULTILINE)
    assert len(locked) <= lock.count(" \\\n    --hash=")
    package = json.loads((peers.PEERS / "package.json").read_bytes())
    assert package["dependencies"] == {"@portkey-ai/gateway": pins.portkey}
    tree = json.loads((peers.PEERS / "package-lock.json").read_bytes())["packages"]
    assert tree["node_modules/@portkey-ai/gateway"]["version"] == pins.portkey
    assert all(entry.get("integrity") for name, entry in tree.items() if name)
    for name, version in package["overrides"].items():
        assert tree[f"node_modules/{name}"]["version"] == version


def test_pins_are_read_from_one_file():
    document = tomllib.loads((ROOT / "benchmarks/peers/pins.toml").read_text(encoding="utf-8"))
    assert set(document) == {"litellm", "portkey", "bifrost"}


def test_a_peer_that_cannot_be_had_says_why(monkeypatch):
    def make(version):
        raise BenchmarkError(f"{version} was refused")

    found = peers._subject("Peer", make, "v1")
    assert (found.version, found.missing) == ("v1", "cannot be had here: v1 was refused")
    assert found.start is None
    names = [one.name for one in _without_programs(monkeypatch)]
    assert names == ["nginx", "LiteLLM", "Portkey", "Bifrost"]


def _without_programs(monkeypatch):
    def refuse(command, folder, **settings):
        raise BenchmarkError("nothing is run here")

    monkeypatch.setattr(peers, "_run", refuse)
    found = list(peers.subjects("nginx is not here", tls=True))
    assert found[0].missing == "nginx is not here"
    return found


def test_an_install_is_done_once_and_again_when_its_inputs_change(tmp_path):
    folder = tmp_path / "peer"
    seen = []
    for inputs in (b"1", b"1", b"2", b"2"):
        with peers._installing(folder, inputs) as fresh:
            seen.append(fresh)
    assert seen == [True, False, True, False]


def test_an_install_that_fails_is_tried_again(tmp_path):
    with pytest.raises(BenchmarkError), peers._installing(tmp_path / "peer", b"1"):
        raise BenchmarkError("no")
    with peers._installing(tmp_path / "peer", b"1") as fresh:
        assert fresh


def test_steps_of_an_install_tell_their_errors_without_addresses(tmp_path):
    with pytest.raises(BenchmarkError, match=r"^sh: see \.\.\. for more$"):
        peers._run(["sh", "-c", "echo see https://example.test/x for more >&2; exit 1"], tmp_path)
    with pytest.raises(BenchmarkError, match="did not work"):
        peers._run(["no-such-program-here"], tmp_path)


def test_the_configuration_of_nginx(tmp_path):
    plain = Front("http://127.0.0.1:1").text(tmp_path, 7)
    assert "proxy_pass http://up;" in plain
    assert "server 127.0.0.1:1;" in plain
    assert "ssl" not in plain
    secure = Front("https://127.0.0.1:1", authority=tmp_path / "ca").text(tmp_path, 7)
    assert "proxy_ssl_verify on;" in secure
    end = Front("http://127.0.0.1:1", certificate=(tmp_path / "c", tmp_path / "k"))
    assert "listen 127.0.0.1:7 ssl" in end.text(tmp_path, 7)
    for text in (plain, secure):
        assert "proxy_buffering off;" in text
        assert text.count("{") == text.count("}")


def test_nginx_is_not_fetched_unless_it_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.native.BUILD", tmp_path)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(BenchmarkError, match="not installed, and was not fetched"):
        nginx.found(fetch=False)
    with pytest.raises(BenchmarkError, match="no Debian"):
        nginx.found(fetch=True)
