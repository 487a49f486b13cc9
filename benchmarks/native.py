"""Small C programs of the benchmarks: compiled with `cc` into `build/bench` when first needed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from benchmarks.children import ROOT, BenchmarkError

SOURCES = ROOT / "benchmarks"
BUILD = ROOT / "build" / "bench"


def compiler() -> str | None:
    """The C compiler of this machine, None where there is none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def built(name: str, *options: str) -> Path | None:
    """The program or library made of `benchmarks/<name>.c`; None where there is no compiler.

    Raises BenchmarkError if it does not compile.
    """
    command = compiler()
    if command is None:
        return None
    source = SOURCES / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes() + repr(options).encode()).hexdigest()[:12]
    target = BUILD / f"{name}-{digest}"
    if not target.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(f".{id(target)}")
        words = [command, "-O2", "-Wall", "-Wextra", *options, "-o", str(fresh), str(source)]
        run = subprocess.run(words, capture_output=True, text=True)
        if run.returncode != 0:
            raise BenchmarkError(f"{source.name} does not compile: {run.stderr.strip()}")
        fresh.replace(target)
    return target
