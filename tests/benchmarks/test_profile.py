"""The profiler says where a process was; how long anything takes is tested nowhere."""

import sys
import threading

import msgspec
import pytest

from benchmarks import native, profile, sampler
from benchmarks.children import BenchmarkError
from benchmarks.gateway import SAMPLER_OPTIONS
from benchmarks.sampler import Count, Sampler, Tick
from benchmarks.table import TINY, render

pytestmark = pytest.mark.slow

BUSY_MS = 300

TICKS = [
    Count(Tick("main", "python", "", ("arno/wire/sse.py:f", "arno/engine/engine.py:g")), 6),
    Count(Tick("main", "kernel", "write", ("uvicorn/a.py:send", "arno/gateway/asgi.py:h")), 3),
    Count(Tick("main", "kernel", "read", ()), 2),
    Count(Tick("arno-ledger", "sqlite", "", ()), 1),
]


def spin_here(until_ms):
    import time

    end = time.process_time_ns() + until_ms * 1_000_000
    while time.process_time_ns() < end:
        pass


def ticks_of(native_half, work):
    found = Sampler(native_half)
    found.start()
    work()
    return found.stop()


@pytest.mark.parametrize("compiled", [True, False])
def test_ticks_are_told_by_the_function_that_was_running(compiled):
    half = native.built("sampler", *SAMPLER_OPTIONS) if compiled else None
    counts = ticks_of(half, lambda: spin_here(BUSY_MS))
    total = sum(count.times for count in counts)
    here = sum(
        count.times
        for count in counts
        if any(frame.endswith("spin_here") for frame in count.tick.frames)
    )
    assert total >= 5
    assert here >= total * 0.8


@pytest.mark.skipif(native.compiler() is None, reason="needs a C compiler")
def test_other_threads_are_told_by_their_names():
    def work():
        other = threading.Thread(target=spin_here, args=(BUSY_MS,), name="busy-one")
        other.start()
        while other.is_alive():
            other.join(0.005)

    counts = ticks_of(native.built("sampler", *SAMPLER_OPTIONS), work)
    assert "busy-one" in {count.tick.thread for count in counts}


def test_nothing_ticks_after_the_stop():
    found = Sampler(native.built("sampler", *SAMPLER_OPTIONS))
    found.start()
    found.stop()
    spin_here(BUSY_MS // 10)
    found.start()
    assert sum(count.times for count in found.stop()) <= 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "libc"),
        ("/x/site-packages/msgspec/_core.cpython-311-x86_64-linux-gnu.so", "msgspec"),
        ("/x/lib/libpython3.11.so.1.0", "python"),
        ("/x/lib-dynload/_sqlite3.cpython-311-x86_64-linux-gnu.so", "sqlite"),
        ("/x/site-packages/other/_thing.abi3.so", "_thing"),
        ("", "?"),
    ],
)
def test_shared_objects_have_names(path, name):
    assert sampler.library(path) == name


def test_files_are_named_from_their_package_on():
    minor = sys.version_info.minor
    assert sampler.short("/x/src/arno/wire/sse.py") == "arno/wire/sse.py"
    assert sampler.short("/v/site-packages/uvicorn/a.py") == "uvicorn/a.py"
    assert sampler.short(f"/u/lib/python3.{minor}/asyncio/locks.py") == "asyncio/locks.py"


def test_shares_add_up_and_go_to_the_innermost_code_of_ours():
    found = profile.Profile(counts=TICKS, cost_us=120.0)
    assert found.rows(profile._own) == [
        ("`arno/wire`", "50.0%", "60.0"),
        ("`arno/gateway`", "25.0%", "30.0"),
        ("`event loop: kernel`", "16.7%", "20.0"),
        ("`thread arno-ledger`", "8.3%", "10.0"),
    ]
    assert profile.inclusive(found, 2)[1] == ("`arno/engine/engine.py:g`", "50.0%", "60.0")


def test_stacks_are_folded_outermost_first():
    lines = profile.fold(profile.Profile(counts=TICKS, cost_us=1.0)).splitlines()
    assert lines[0] == "main;arno/engine/engine.py:g;arno/wire/sse.py:f;[python] 6"
    assert lines[1] == "main;arno/gateway/asgi.py:h;uvicorn/a.py:send;[kernel write] 3"


def test_a_gateway_under_load_is_profiled(tmp_path):
    effort = msgspec.structs.replace(TINY, profile_s=0.5)
    [section] = profile.sections(effort, profile.TARGETS[:1])
    text = render(section)
    assert "`arno/gateway`" in text
    assert "`called from Python: python`" in text or native.compiler() is None


def test_what_does_not_compile_is_told(tmp_path, monkeypatch):
    (tmp_path / "broken.c").write_text("int main(void) { return }")
    monkeypatch.setattr(native, "SOURCES", tmp_path)
    monkeypatch.setattr(native, "BUILD", tmp_path / "build")
    if native.compiler() is None:
        assert native.built("broken") is None
    else:
        with pytest.raises(BenchmarkError, match=r"broken\.c does not compile"):
            native.built("broken")
