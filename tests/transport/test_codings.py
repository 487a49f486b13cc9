"""Fault row 23: how encoded bodies end, and every lie about them is a fault."""

import base64
import random
import subprocess
import sys

import pytest

from arno.transport import codings
from arno.transport.base import ErrorKind
from arno.transport.codings import MAX_EMPTY
from arno.transport.decoding import DecodingChain
from tests.transport.encoding import (
    BODY,
    ENCODERS,
    EVENTS,
    encoded,
    encoded_pieces,
    every_coding,
    every_single_coding,
    first_fault,
    outcome,
    zstd,
)


@every_coding
def test_encoded_data_that_stop_early_are_a_cut(name):
    whole = encoded(name, BODY)
    for length in range(1, len(whole)):
        out, kind = outcome(name, [whole[:length]])
        assert (kind, BODY.startswith(out)) == (ErrorKind.CUT, True), length


@every_coding
def test_a_fault_of_the_inner_response_comes_after_what_could_be_decoded(name):
    pieces = encoded_pieces(name, EVENTS)
    assert outcome(name, pieces[:2], ErrorKind.CUT) == (b"".join(EVENTS[:2]), ErrorKind.CUT)
    assert outcome(name, pieces, ErrorKind.CUT) == (BODY, ErrorKind.CUT)


def test_mutant_that_takes_any_end_for_the_end_is_caught(monkeypatch):
    monkeypatch.setattr(DecodingChain, "ended", True)
    assert outcome("gzip", encoded_pieces("gzip", EVENTS)[:2])[1] is not ErrorKind.CUT


@every_coding
@pytest.mark.parametrize("after", ["with it", "in the next piece"])
def test_bytes_after_the_end_are_a_fault(name, after):
    whole = encoded(name, BODY)
    garbage = b"\xffgarbage"
    pieces = [whole + garbage] if after == "with it" else [whole, garbage]
    out, kind = outcome(name, pieces)
    assert kind is ErrorKind.PROTOCOL
    if after == "in the next piece" or name in {"gzip", "deflate", "raw deflate", "zstd"}:
        assert out == BODY


@every_coding
def test_plain_text_that_claims_to_be_encoded_is_a_fault(name):
    error = first_fault(name, EVENTS)
    assert error.kind is ErrorKind.PROTOCOL
    assert f"content-encoding {ENCODERS[name][0]!r}" in error.message


@every_single_coding
def test_most_of_what_stands_before_garbage_is_read(name):
    """Even where all of it arrives at once."""
    body = base64.b64encode(random.Random(0).randbytes(400_000))
    whole = encoded(name, body)
    half = len(body) // 2
    out, kind = outcome(name, [whole[:-50_000] + random.Random(1).randbytes(50_000)])
    assert (out[:half], kind) == (body[:half], ErrorKind.PROTOCOL)


def test_a_checksum_that_does_not_fit_is_a_fault():
    whole = bytearray(encoded("gzip", BODY))
    whole[-6] ^= 1
    assert outcome("gzip", [bytes(whole)])[1] is ErrorKind.PROTOCOL


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_members_one_after_the_other_are_one_body(name):
    members = [encoded(name, event) for event in EVENTS]
    assert outcome(name, members) == (BODY, None)
    assert outcome(name, [b"".join(members)]) == (BODY, None)
    whole = b"".join(members)
    assert outcome(name, [whole[at : at + 1] for at in range(len(whole))]) == (BODY, None)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_empty_members_are_counted(name):
    empty = encoded(name, b"")
    body = encoded(name, b"x")
    allowed = [empty * MAX_EMPTY + body]
    assert outcome(name, allowed * 3) == (b"xxx", None)
    error = first_fault(name, [empty * (MAX_EMPTY + 2)])
    assert f"more than {MAX_EMPTY} empty members" in error.message


def test_a_zstd_window_above_the_bound_is_refused():
    wide = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 24})
    assert first_fault("zstd", [wide.compress(bytes(100)), wide.flush()]).kind is ErrorKind.PROTOCOL
    allowed = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 23})
    pieces = [allowed.compress(bytes(100)), allowed.flush()]
    assert outcome("zstd", pieces) == (bytes(100), None)


@pytest.mark.parametrize(
    ("coding", "why"),
    [
        ("compress", "content-encoding 'compress': unknown coding"),
        ("gzip, sdch", "content-encoding 'gzip, sdch': unknown coding"),
        ("gzip, gzip, gzip", "more than 2 codings"),
        ("x" * 500, "content-encoding '" + "x" * 40 + "...': unknown coding"),
    ],
)
def test_a_coding_that_nobody_can_undo_is_named(coding, why):
    error = first_fault(coding, [b"x"])
    assert error.kind is ErrorKind.PROTOCOL
    assert error.message.endswith(why)


def test_an_unknown_coding_of_nothing_is_no_fault():
    assert outcome("compress", []) == (b"", None)


@pytest.mark.parametrize(("name", "package"), [("br", "brotli"), ("zstd", "zstd")])
def test_a_missing_package_is_named_and_with_it_what_to_install(monkeypatch, name, package):
    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(codings, "import_module", missing)
    error = first_fault(name, [encoded(name, BODY)])
    assert error.kind is ErrorKind.PROTOCOL
    assert package in error.message
    assert "extra 'gateway'" in error.message
    assert outcome("gzip", [encoded("gzip", BODY)]) == (BODY, None)  # needs no package


def test_an_old_brotli_is_named(monkeypatch):
    class Old:
        Decompressor = object

    monkeypatch.setattr(codings, "import_module", lambda name: Old)
    assert "older than 1.2" in first_fault("br", [encoded("br", BODY)]).message


def test_packages_are_imported_when_they_are_needed_and_not_before():
    code = (
        "import sys, arno.transport.live\n"
        "assert not {'brotli', 'backports.zstd', 'compression.zstd'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
