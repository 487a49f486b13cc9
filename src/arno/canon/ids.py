"""Ids and names written under a wire's rules, and read back (R15).

Ids are opaque: a client's `weather:0` must reach a wire that allows letters and digits only, and
call and result must still fit together, in every process and on every turn. So the mapping has no
memory. An id that the rule allows stays as it is. Any other is escaped, `arno-` and then each byte
that is no ASCII letter or digit as `_` and two hex digits, which `from_wire` reads back; what is
too long for that, or may not hold `-` and `_`, becomes a digest, which nothing reads back.

Two ids never become the same: escapes are injective, an id that looks like an escape is escaped
itself, and digests (256 bits, cut to what the rule leaves room for) collide by chance only.
"""

from __future__ import annotations

import hashlib
import re
import string

import msgspec

MARK = "arno-"
"""What an escaped id begins with."""

DIGEST_MARK = "arno"
"""What a digest begins with, where there is room."""

_PLAIN = frozenset(string.ascii_letters + string.digits)
_DIGITS = string.digits + string.ascii_letters
_ESCAPED = re.compile(r"arno-((?:[A-Za-z0-9]|_[0-9a-f]{2})*)")
_MOST_DIGITS = 43  # 256 bits in base 62
_LEAST_DIGITS = 24  # a digest that leaves no room for this many digits has no mark


class IdRule(msgspec.Struct, frozen=True):
    """What ids a wire allows.

    most: characters; extra: characters beside ASCII letters and digits, None: any character at
    all; exact: ids have exactly `most` characters.
    """

    most: int
    extra: str | None = None
    exact: bool = False

    def allows(self, text: str) -> bool:
        """True if `text` may be written as it is."""
        if not text or len(text) > self.most or (self.exact and len(text) != self.most):
            return False
        return self.extra is None or all(c in _PLAIN or c in self.extra for c in text)


def to_wire(text: str, rule: IdRule) -> str:
    """The id to write for `text`."""
    if rule.allows(text) and from_wire(text) == text:
        return text
    escaped = MARK + "".join(map(_escape, text))
    return escaped if rule.allows(escaped) else _digest(text, rule)


def from_wire(text: str) -> str:
    """What `to_wire` was given, where the id was escaped; any other id is its own meaning."""
    found = _ESCAPED.fullmatch(text)
    if found is None:
        return text
    raw = re.sub(rb"_(..)", lambda m: bytes.fromhex(m[1].decode()), found[1].encode())
    plain = raw.decode(errors="replace")
    return plain if MARK + "".join(map(_escape, plain)) == text else text


def is_reversible(text: str, rule: IdRule) -> bool:
    """True if what is written for `text` can be read back."""
    return from_wire(to_wire(text, rule)) == text


def _escape(character: str) -> str:
    if character in _PLAIN:
        return character
    return "".join(f"_{byte:02x}" for byte in character.encode(errors="surrogatepass"))


def _digest(text: str, rule: IdRule) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest())
    room = rule.most - len(DIGEST_MARK)
    mark, size = (DIGEST_MARK, room) if room >= _LEAST_DIGITS else ("", rule.most)
    digits = []
    for _ in range(size if rule.exact else min(size, _MOST_DIGITS)):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return mark + "".join(digits)
