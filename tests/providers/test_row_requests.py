"""What each row sends for one and the same question: `tests/golden/rows/<slug>.json`.

Made by this test (ARNO_WRITE_GOLDEN=1) and read against the vendors' references, and against
recorded requests where there are some (test_roads_recorded.py). Each file holds the whole and the
streamed request: address, headers (a key is `THE-KEY`, what a signer adds is named), body.
"""

import os
from pathlib import Path

import pytest

from arno.providers import quirks
from arno.providers.auth import key_headers
from arno.providers.roads import carry
from arno.providers.rows import SIGNED
from arno.wire import json
from tests.providers.asking import CATALOGUE, MODELS, body, dialect, ready

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "rows"
WRITE = bool(os.environ.get("ARNO_WRITE_GOLDEN"))
ROWS = [row for row in CATALOGUE.known.values() if row.transport == "live"]


def asked(row, *, stream):
    """One request as a document."""
    row = ready(row)
    model = MODELS.get(row.slug, MODELS.get(row.family, "some-model"))
    sent = quirks.apply(row.quirks, body(row.dialect, model, stream=stream))
    found = carry(row, dialect(row.dialect), sent, model=model, stream=stream)
    headers = dict((*found.headers, *key_headers(row.auth, "THE-KEY")))
    if row.auth in SIGNED:
        headers["authorization"] = f"by the signer {row.auth.value}"
    return {
        "url": found.url,
        "headers": headers,
        "framing": found.framing.value if stream else None,
        "body": json.loads(found.body),
    }


@pytest.mark.parametrize("row", ROWS, ids=[row.slug for row in ROWS])
def test_what_a_row_sends(row):
    found = {"whole": asked(row, stream=False), "streamed": asked(row, stream=True)}
    place = FOLDER / f"{row.slug}.json"
    if WRITE:
        import json as pretty  # for people to read

        place.write_text(pretty.dumps(found, indent=2) + "\n", "utf-8")
    assert json.equal(json.loads(place.read_bytes()), found)


def test_every_file_is_of_a_row():
    assert {place.stem for place in FOLDER.iterdir()} == {row.slug for row in ROWS}


def test_no_two_rows_send_the_same():
    """The control: a file tells which row it is of, but for the names of like services."""
    texts = [(FOLDER / f"{row.slug}.json").read_text("utf-8") for row in ROWS]
    assert len(set(texts)) == len(texts)
