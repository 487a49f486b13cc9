"""Where the shared recordings are.

They are other projects' public test data and stay outside this repository. The setting is the
environment variable `ARNO_SHARED`; without it the folder `shared` beside the checkout is used.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _locate() -> Path | None:
    setting = os.environ.get("ARNO_SHARED", "")
    folder = Path(setting) if setting else ROOT.parent / "shared"
    if setting and not folder.is_dir():
        raise FileNotFoundError(f"ARNO_SHARED names no folder: {setting}")
    return folder if folder.is_dir() else None


SHARED: Path | None = _locate()
"""The folder of recordings, or None where it does not exist."""

needs_shared = pytest.mark.skipif(SHARED is None, reason="the recordings folder is not here")
