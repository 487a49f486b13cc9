"""The table of framings."""

import pytest

from arno.wire import FRAMERS, MEDIA_TYPES, Framing


def test_every_framing_has_a_media_type() -> None:
    assert set(MEDIA_TYPES) == set(Framing)


@pytest.mark.parametrize("framing", FRAMERS)
def test_a_framer_takes_a_limit_and_starts_empty(framing: Framing) -> None:
    framer = FRAMERS[framing](1000)
    assert framer.feed(b"") == []
    assert framer.close() == []
