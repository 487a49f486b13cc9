"""The table of dialects: one line each."""

from __future__ import annotations

from arno.dialects.base import Dialect
from arno.dialects.chat import ChatDialect

DIALECTS: dict[str, Dialect] = {
    "chat": ChatDialect(),
}
