"""Usage: one meaning for token counts, whatever the wire's convention.

input and output are inclusive totals; every other count is a part of one of them. Unknown is
None, never 0. Source of the conventions: the measured table of usage conventions per provider
(decision 0001).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.canon.ext import NO_EXT, Ext


class Usage(msgspec.Struct, frozen=True):
    """Token counts of one answer, complete and cumulative.

    input: everything sent, cache reads and writes included; output: everything generated,
    reasoning included. cost: what the upstream says it charged, in USD, its digits kept.
    A cache write whose lifetime the wire does not tell counts as cache_write_5m. tier: the
    service tier that was billed; server_tools: runs of provider-run tools by name, billed apart.
    raw: the wire's own usage object by dialect.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_output: int | None = None
    tool_input: int | None = None
    tier: str | None = None
    server_tools: Mapping[str, int] | None = None
    cost: str | None = None
    raw: Ext = NO_EXT
