"""Origins of artefacts: written behind, read by other processes."""

import asyncio

import pytest

from arno.engine.origins import MemoryOrigins, digest
from arno.ledger.ports import StoreUnavailable
from arno.store.sink import StoreSink


def opened(tmp_path, name="journal"):
    return StoreSink(tmp_path / "ledger.db", tmp_path / name)


def test_what_one_process_learned_another_one_recalls(tmp_path):
    with opened(tmp_path) as sink:
        MemoryOrigins(sink.origins).learn(["signature"], "here")
    with opened(tmp_path, "other") as sink:
        origins = MemoryOrigins(sink.origins)
        assert origins.of("signature") is None
        asyncio.run(origins.recall(["signature", "unknown"]))
        assert (origins.of("signature"), origins.of("unknown")) == ("here", None)


def test_the_artefact_itself_is_not_kept(tmp_path):
    with opened(tmp_path) as sink:
        sink.origins.write([digest("a very secret signature")], "here")
    assert b"a very secret signature" not in (tmp_path / "ledger.db").read_bytes()


def test_a_store_that_is_gone_leaves_origins_unknown(tmp_path):
    class Gone:
        def write(self, digests, endpoint):
            raise AssertionError("nothing is learned here")

        def read(self, digests):
            raise StoreUnavailable("gone")

    origins = MemoryOrigins(Gone())
    asyncio.run(origins.recall(["signature"]))
    assert origins.of("signature") is None


@pytest.mark.parametrize("known", [2, 3])
def test_memory_forgets_the_oldest_first(known):
    origins = MemoryOrigins(most=2)
    names = [f"artefact {number}" for number in range(known)]
    for name in names:
        origins.learn([name], "here")
    assert [origins.of(name) for name in names[-2:]] == ["here", "here"]
    assert origins.of(names[0]) == (None if known == 3 else "here")
