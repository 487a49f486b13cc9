"""Where the gateway's CPU time goes: shares by kind, by folder and library, by function.

The gateway under a load, ticked by `sampler`. Shares are also told in microseconds per request or
event, from the CPU time and the work of the same seconds. The whole stacks are written to
`build/bench/profile-*.folded`, one line each, as flame graph programs read them.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks import compare, machine, native
from benchmarks.children import ROOT, BenchmarkError, Server, counts, loading
from benchmarks.load import Plan
from benchmarks.sampler import Count, Tick
from benchmarks.subjects import Running, gateway
from benchmarks.table import Effort, Text

WRITE_S = 10.0
"""How long the gateway may take to write its profile down."""

FUNCTIONS = 25
"""How many functions are told."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One load that is profiled. name: of the file with the stacks."""

    name: str
    what: str
    kind: str
    script: str
    work: Literal["requests", "events"]
    clients: int
    streamed: bool


def _targets(kind: str) -> tuple[Target, ...]:
    request = "request, not streamed, 32 connections"
    event = "event, one each 5 ms, 100 streams"
    return (
        Target(
            name=f"{kind}-request",
            what=f"{request}: {kind}",
            kind=kind,
            script="whole",
            work="requests",
            clients=32,
            streamed=False,
        ),
        Target(
            name=f"{kind}-event",
            what=f"{event}: {kind}",
            kind=kind,
            script="paced",
            work="events",
            clients=100,
            streamed=True,
        ),
    )


TARGETS = (*_targets("verbatim"), *_targets("restamped"))


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. cost_us: CPU time of one piece of work."""

    counts: list[Count]
    cost_us: float

    def rows(self, name: Callable[[Tick], str], most: int | None = None) -> list[tuple[str, ...]]:
        """Shares by a name: what, percent, microseconds; the largest first."""
        found: Counter[str] = Counter()
        for count in self.counts:
            found[name(count.tick)] += count.times
        total = found.total() or 1
        return [
            (f"`{what}`", f"{times / total:.1%}", f"{times / total * self.cost_us:.1f}")
            for what, times in found.most_common(most)
        ]


def _where(tick: Tick) -> str:
    """Thread and kind of work."""
    held = f"{tick.kind} {tick.call}".strip()
    if tick.thread != "main":
        return f"thread {tick.thread}: {'kernel' if tick.kind == 'kernel' else 'user'}"
    if not tick.frames:
        return f"event loop: {held}"
    return f"called from Python: {held}"


def _own(tick: Tick) -> str:
    """The innermost file of ours, to its folder; whose it is where no code of ours ran."""
    if tick.thread != "main":
        return f"thread {tick.thread}"
    if not tick.frames:
        return f"event loop: {tick.kind}"
    for frame in tick.frames:
        if frame.startswith("arno/"):
            return _folder(frame)
    return _folder(tick.frames[0])


def _folder(frame: str) -> str:
    parts = frame.partition(":")[0].split("/")
    return "/".join(parts[:2]) if parts[0] == "arno" else parts[0]


def _leaf(tick: Tick) -> str:
    """The innermost Python function."""
    return tick.frames[0] if tick.frames else _own(tick)


def _innermost_of_ours(tick: Tick) -> str:
    """The innermost function of ours, with all that it calls elsewhere."""
    return next((frame for frame in tick.frames if frame.startswith("arno/")), _leaf(tick))


def inclusive(profile: Profile, most: int) -> list[tuple[str, ...]]:
    """Shares of our functions with all that they call, the largest first."""
    found: Counter[str] = Counter()
    total = 0
    for count in profile.counts:
        total += count.times
        for frame in dict.fromkeys(f for f in count.tick.frames if f.startswith("arno/")):
            found[frame] += count.times
    return [
        (f"`{what}`", f"{times / total:.1%}", f"{times / total * profile.cost_us:.1f}")
        for what, times in found.most_common(most)
    ]


def fold(profile: Profile) -> str:
    """All stacks, outermost first, one line each with its count."""
    found: Counter[str] = Counter()
    for count in profile.counts:
        tick = count.tick
        last = f"[{tick.kind} {tick.call}]".replace(" ]", "]")
        found[";".join((tick.thread, *reversed(tick.frames), last))] += count.times
    return "".join(f"{stack} {times}\n" for stack, times in found.most_common())


@contextmanager
def _ticking(gateway: Server, target: Path) -> Iterator[list[Count]]:
    """Profile the gateway for as long as the context lasts; the counts are there after it."""
    counted: list[Count] = []
    target.unlink(missing_ok=True)
    os.kill(gateway.pid, signal.SIGUSR1)
    yield counted
    os.kill(gateway.pid, signal.SIGUSR1)
    until = time.monotonic() + WRITE_S
    while not target.exists():
        if time.monotonic() > until:
            raise BenchmarkError("the gateway wrote no profile")
        time.sleep(0.01)
    counted += msgspec.json.decode(target.read_bytes(), type=list[Count])


def take(upstream: Server, running: Running, target: Target, file: Path, effort: Effort) -> Profile:
    """Profile one load."""
    plan = Plan(
        url=running.server.url,
        model=running.prefix + target.script,
        streamed=target.streamed,
        clients=target.clients,
    )
    with loading(plan):
        time.sleep(effort.warmup_s)
        done, used = _state(upstream, running, target.work)
        with _ticking(running.server, file) as counted:
            time.sleep(effort.profile_s)
            later, after = _state(upstream, running, target.work)
    if later == done:
        raise BenchmarkError(f"no {target.work} came to the upstream")
    return Profile(counts=counted, cost_us=(after - used) / 1e3 / (later - done))


def _state(upstream: Server, running: Running, work: str) -> tuple[int, int]:
    done: int = getattr(counts(upstream), work)
    return done, machine.cpu_ns(running.server.pid)


HOW = {
    True: "Ticks of the CPU timer, told by instruction pointer and Python frame.",
    False: "There is no C compiler: ticks are told by the Python frame of the main thread alone.",
}


def sections(effort: Effort, targets: tuple[Target, ...] = TARGETS) -> Iterator[Text]:
    """A profile of each load."""
    native.BUILD.mkdir(parents=True, exist_ok=True)
    with compare.ground(None) as base:
        for target in targets:
            file = native.BUILD / f"profile-{os.getpid()}.json"
            # A gateway of its own for each: a ledger that has grown would be profiled too.
            options = ["--profile", str(file)]
            with gateway(base, target.kind, "asgi", options=options) as running:
                profile = take(base.upstream, running, target, file, effort)
            file.unlink()
            stacks = native.BUILD / f"profile-{target.name}.folded"
            stacks.write_text(fold(profile), encoding="utf-8")
            yield _section(target, profile, stacks)


def _section(target: Target, profile: Profile, stacks: Path) -> Text:
    ticks = sum(count.times for count in profile.counts)
    under = (
        f"{profile.cost_us:.0f} us CPU each with the profiler on, {ticks} ticks. "
        f"{HOW[native.compiler() is not None]} Stacks: {stacks.relative_to(ROOT)}."
    )
    tables = (
        (("where", "share", "us"), profile.rows(_where)),
        (("folder or library, by the innermost code of ours", "share", "us"), profile.rows(_own)),
        (
            ("innermost function of ours, with what it calls elsewhere", "share", "us"),
            profile.rows(_innermost_of_ours, FUNCTIONS),
        ),
        (("innermost Python function", "share", "us"), profile.rows(_leaf, FUNCTIONS)),
        (("function of ours, with all that it calls", "share", "us"), inclusive(profile, 40)),
    )
    return Text(title=f"Profile: {target.what}", under=under, tables=tables)
