"""Where secrets stand in a body: values of secret fields, and known values, as edits of its bytes.

Serves behaviour R34. A body is searched as text and not as JSON, so that fields are found wherever
JSON stands: in whole bodies, in event streams, in strings that hold JSON again (tool arguments).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from arno.cassette.rules import REPLACEMENT, Redaction, is_one_of, is_parameter
from arno.cassette.secrets import spellings

_PLAIN: Final = REPLACEMENT.encode()

# No possessive repeat of the group: Python 3.11.0 to 3.11.2 match those wrongly.
_SPACE: Final = r"(?:\s|\\++[nrt])*"
_MEMBER: Final = (
    r'"((?:[A-Za-z0-9_.-]|\\+u00[2-7][0-9A-Fa-f]){2,80}+)'
    r'(?:(?i:ENDINGS)|(?<=u00[2-7][0-9A-Fa-f]))(\\*+)"'
    + _SPACE
    + ":"
    + _SPACE
    + r'(?=\\*+"|[\[{0-9-])'
)
"""A member's name in quotes, the colon, and the first byte of the value. Before both quotes stand
as many backslashes: 2**depth - 1 for JSON in a string in a string; the search begins with the quote
itself because that is what can be found fast. ENDINGS are the words that a name may end in: most
members are passed over without a look at the rest of their name.
"""

_ESCAPED: Final = re.compile(r"\\+u00([2-7][0-9A-Fa-f])")
_QUOTE: Final = re.compile(rb'(?<!\\)(\\*+)"')
_MARK: Final = re.compile(rb'(?<!\\)(\\*+)"|[\[\]{}]')
_NUMBER: Final = re.compile(rb"[0-9.eE+-]++")
_MADE: Final = re.compile(rb"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9._~+/=-]{16,}+")
_PAIR: Final = re.compile(rb"[^&;]++")
_PART: Final = re.compile(
    rb'(?i)\bform-data;[^\r\n]{0,200}?\bname="?([^"\r\n;]{1,100})"?[^\r\n]{0,500}'
    rb"(?:\r?\n[^\r\n]{1,500}){0,10}\r?\n\r?\n(.*?)(?=\r?\n--|\Z)",
    re.DOTALL,
)


class Edit(msgspec.Struct, frozen=True, gc=False):
    """The bytes from `start` to `end` become `text`."""

    start: int
    end: int
    text: bytes


def apply(body: bytes, edits: list[Edit]) -> bytes:
    """The body after edits that are in order and do not overlap."""
    parts: list[bytes] = []
    position = 0
    for edit in edits:
        parts += body[position : edit.start], edit.text
        position = edit.end
    return b"".join((*parts, body[position:]))


def find_edits(body: bytes, content_type: str, rules: Redaction) -> list[Edit]:
    """What has to change in a body, in order. Of a binary body only known values change."""
    edits = list(_known(body, rules))
    if _is_text(body):
        kind = content_type.lower()
        if kind.startswith("application/x-www-form-urlencoded"):
            edits += _form(body, rules)
        else:
            edits += _members(body, rules)
        if b"form-data" in body:
            edits += _multipart(body, rules)
    return _apart(edits)


def _apart(edits: list[Edit]) -> list[Edit]:
    """The edits in order, without those that begin inside an earlier one."""
    kept: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if not kept or edit.start >= kept[-1].end:
            kept.append(edit)
    return kept


def _known(body: bytes, rules: Redaction) -> Iterator[Edit]:
    if rules.known and (pattern := known_pattern(rules.known)):
        for found in pattern.finditer(body):
            yield Edit(*found.span(), _PLAIN)


@lru_cache(maxsize=64)
def known_pattern(known: tuple[str, ...]) -> re.Pattern[bytes] | None:
    """Finds known secrets however they are spelled, None if there are none."""
    texts = spellings(known)
    return re.compile(b"|".join(map(re.escape, texts))) if texts else None


def _form(body: bytes, rules: Redaction) -> Iterator[Edit]:
    for pair in _PAIR.finditer(body):
        name, mark, _ = pair[0].partition(b"=")
        if mark and is_parameter(unquote_plus(name.decode(errors="replace")), rules):
            yield Edit(pair.start() + len(name) + 1, pair.end(), _PLAIN)


def _multipart(body: bytes, rules: Redaction) -> Iterator[Edit]:
    for part in _PART.finditer(body):
        if is_parameter(part[1].decode(errors="replace"), rules):
            yield Edit(*part.span(2), _PLAIN)


def _members(body: bytes, rules: Redaction) -> Iterator[Edit]:
    position = walked = 0
    pattern = _member_pattern(rules.fields | rules.doubtful)
    while found := pattern.search(body, position):
        position, depth = found.end(), len(found[2])
        if not body.endswith(found[2], 0, found.start()):
            continue
        name = _ESCAPED.sub(lambda code: chr(int(code[1], 16)), found[1].decode())
        secret = is_one_of(name, rules.fields)
        if secret and body[position] in b"[{":
            # What stands in a value that was walked is not walked again: the work stays linear.
            if position >= walked:
                edits, walked = _nested(body, position, depth)
                yield from edits
        elif secret or is_one_of(name, rules.doubtful):
            edit = _scalar(body, position, depth)
            if edit is not None and (secret or _looks_made(body, edit)):
                yield edit


@lru_cache(maxsize=16)
def _member_pattern(fields: frozenset[str]) -> re.Pattern[bytes]:
    words = sorted({field.rpartition("_")[2] for field in fields})
    endings = "|".join(f"(?<={re.escape(word)})" for word in words) or "(?!)"
    return re.compile(_MEMBER.replace("ENDINGS", endings).encode())


def _scalar(body: bytes, start: int, depth: int) -> Edit | None:
    number = _NUMBER.match(body, start)
    return Edit(*number.span(), _quoted(depth)) if number else _string(body, start, depth)


def _nested(body: bytes, start: int, depth: int) -> tuple[list[Edit], int]:
    """The edits in an object or array that a secret field holds, and its end.

    Only strings that look made by a machine are secrets there: the schema of a tool has members
    called `password`, too.
    """
    edits: list[Edit] = []
    open_brackets, position = 0, start
    while mark := _MARK.search(body, position):
        position = mark.end()
        if mark[0] in (b"{", b"["):
            open_brackets += 1
        elif mark[0] in (b"}", b"]"):
            open_brackets -= 1
        else:
            edit = _string(body, mark.start(), depth)
            if edit is None:
                return edits, position
            position = edit.end
            if _looks_made(body, edit):
                edits.append(edit)
        if open_brackets == 0:
            return edits, position
    return edits, len(body)


def _string(body: bytes, start: int, depth: int) -> Edit | None:
    """The edit of the string that begins here behind `depth` backslashes; None if none does.

    Its end is a quote behind as many; behind more the quote belongs to the text, where twice
    `depth` and two of them are one backslash of the text.
    """
    opening = _QUOTE.match(body, start)
    if opening is None or len(opening[1]) != depth:
        return None
    for quote in _QUOTE.finditer(body, opening.end()):
        run = len(quote[1])
        if run % (2 * depth + 2) == depth:
            return Edit(start, quote.end(), _quoted(depth))
        if run < depth:
            # The string around it ends here: what was cut off has no end of its own.
            return Edit(start, quote.start(), _quoted(depth))
    return None


def _quoted(depth: int) -> bytes:
    mark = b"\\" * depth + b'"'
    return mark + _PLAIN + mark


def _looks_made(body: bytes, edit: Edit) -> bool:
    text = body[edit.start : edit.end].strip(b'\\"')
    return _MADE.fullmatch(text) is not None


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
