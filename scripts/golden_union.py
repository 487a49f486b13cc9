"""Writes `tests/golden/union/<client>.<upstream>.json`: read each difference before it is kept.

    python scripts/golden_union.py

Run it from the root of the tree, after a table of dispositions or an encoder has changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]


def main() -> None:
    """Write one file for each pair of different dialects."""
    from arno.dialects import DIALECTS
    from arno.wire import json
    from tests.laws.parameters import FOLDER, golden

    for client in DIALECTS:
        for target in DIALECTS:
            if client != target:
                text = msgspec.json.format(json.dumps(golden(client, target)), indent=2)
                (FOLDER / f"{client}.{target}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    main()
