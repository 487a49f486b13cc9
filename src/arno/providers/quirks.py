"""Quirks: what a row's other members cannot say, one named pure function each.

A quirk of a request takes the request document that would be sent and gives the one to send. It is
applied only where the endpoint's row names it, and only if traffic or the vendor's documents show
that the upstream needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from arno.canon.ext import Json

Document = dict[str, Json]
Quirk = Callable[[Document], Document]

QUIRKS: Mapping[str, Quirk] = MappingProxyType({})
"""Every quirk by the name that rows use."""
