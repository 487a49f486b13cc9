"""One string to YAML text, by the rules of the file's profile (spec/cassettes.md 2.4 and 2.5).

`v4rc2` (go.yaml.in/yaml/v4, as rc.3 has it; our default) first wants a style from what the word
would read as, then lets an analysis of all characters overrule it. `goccy` asks one question and
else writes Go's quoted form. Both yield to one safety rule: what readers are known to damage or
refuse (some literals, a lone `=`) is written in double quotes. So a file by another tool that holds
such a text changes when it is re-saved, and so does one of rc.2 with a text of breaks alone.
"""

import base64
import re
from enum import Enum
from typing import Final

from arno.cassette.errors import CassetteError
from arno.cassette.model import Profile, Style
from arno.cassette.yaml_resolve import reads_as_other

_BREAK: Final = "\n\u2028\u2029"
# Not printable for Go's emitter. Everything beyond U+FFFF counts: that is why one emoji turns a
# body into a single escaped line. The breaks CR and U+0085 are among them.
_SPECIAL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff\U00010000-\U0010ffff]"
)
_BLANK_AT_BREAK: Final = re.compile(f" [{_BREAK}]")
_BREAK_THEN_BLANK: Final = re.compile(f"[{_BREAK}] ")
_ANY_BREAK: Final = re.compile(f"[{_BREAK}]")
_INDICATOR_START: Final = re.compile(
    r"""[#,\[\]{}&*!|>'"%@`]|-(?:[ \t]|\Z)|[?:](?:[ \t]|\Z)|---|\.\.\."""
)
_INDICATOR_INSIDE: Final = re.compile(rf":(?:[ \t]|\Z)|(?<=[ \t\r{_BREAK}])#")
_RISKY_LITERAL: Final = re.compile(f"[{_BREAK}]*[ \t]")
_AFTER_BREAK: Final = re.compile(f"([{_BREAK}])(?=[^{_BREAK}])")

_SHORT_ESCAPES: Final = {
    "\0": "\\0",
    "\a": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    "\x1b": "\\e",
    '"': '\\"',
    "\\": "\\\\",
    "\x85": "\\N",
    "\xa0": "\\_",
    "\u2028": "\\L",
    "\u2029": "\\P",
}
_ESCAPED: Final = re.compile(
    '["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff\U00010000-\U0010ffff]'
)
_BINARY_LINE: Final = 70
# Plain for Go, but YAML 1.1 gives it a type of its own that readers cannot construct.
_VALUE_KEY: Final = "="

_GO_ESCAPES: Final = {key: _SHORT_ESCAPES[key] for key in '\a\b\t\n\v\f\r"\\'}
_GOCCY_QUOTED: Final = re.compile(r"""[*&\[{}\],!|>%'"@ `]|.*(?:[#\\]|[:-] |[: ]\Z)""", re.DOTALL)


class Scalar(Enum):
    """The ways to write a string."""

    PLAIN = "plain"
    SINGLE = "single"
    DOUBLE = "double"
    LITERAL = "literal"


def write_scalar(value: str | bytes, style: Style, column: int, parent: int) -> str:
    """The text of a value whose continuation lines stand at `column`, `parent` being the column of
    the collection around it. Bytes that are no UTF-8 become `!!binary`; so does text that carries
    such bytes as surrogate escapes. Raises CassetteError for text that is not Unicode.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return _write_binary(_escaped_bytes(value), column)
        text = value
    else:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return _write_binary(value, column)
    return _write_text(text, style, column, parent)


def write_key(key: str, style: Style, column: int) -> str:
    """The text of a mapping key: one line always, never a literal."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return f"!!binary {base64.b64encode(_escaped_bytes(key)).decode()}"
    if _ANY_BREAK.search(key):
        return _quote_double(key)
    return _write_text(key, style, column, column)


def write_plain(text: str, style: Style, column: int) -> str:
    """Text that stood plain in the file and keeps its unknown type, if it may still stand plain."""
    if not text or choose_v4(text, resolve=False) is Scalar.PLAIN:
        return text
    return write_scalar(text, style, column, column)


def choose(text: str, profile: Profile) -> Scalar:
    """The style that the profile gives a value, before the safety rule."""
    return choose_goccy(text) if profile is Profile.GOCCY else choose_v4(text)


def choose_v4(text: str, *, resolve: bool = True) -> Scalar:
    """The style by `v4rc2`; breaks and blanks alone are no literal (rc.3). Without
    `resolve`, as if every word read as a string.
    """
    if "\n" in text:
        return Scalar.DOUBLE if text.isspace() or _literal_refused(text) else Scalar.LITERAL
    if resolve and reads_as_other(text):
        return Scalar.DOUBLE
    if not _plain_refused(text):
        return Scalar.PLAIN
    return Scalar.DOUBLE if _single_refused(text) else Scalar.SINGLE


def choose_goccy(text: str) -> Scalar:
    """The style by goccy/go-yaml, which knows no single quotes."""
    if text == "-" or reads_as_other(text) or _GOCCY_QUOTED.match(text):
        return Scalar.DOUBLE
    if "\n" in text:
        return Scalar.DOUBLE if _literal_refused(text) else Scalar.LITERAL
    return Scalar.DOUBLE if _plain_refused(text) else Scalar.PLAIN


def _write_text(text: str, style: Style, column: int, parent: int) -> str:
    chosen = choose(text, style.profile)
    if chosen is Scalar.PLAIN and text != _VALUE_KEY:
        return text
    if chosen is Scalar.SINGLE:
        quoted = text.replace("'", "''")
        return f"'{_AFTER_BREAK.sub(lambda found: found[1] + ' ' * column, quoted)}'"
    if chosen is Scalar.LITERAL and not _damaged_by_readers(text, column - parent, style.indent):
        return _write_literal(text, style.indent, column)
    return _quote_go(text) if style.profile is Profile.GOCCY else _quote_double(text)


def _damaged_by_readers(text: str, depth: int, indent: int) -> bool:
    """The safety rule: a literal that some reader, Go's own among them, gives back changed."""
    if _RISKY_LITERAL.match(text) or text[-1] in "\u2028\u2029":
        return True
    # The digit in the header says the encoder's indent, which is wrong at an odd depth.
    return _needs_digit(text) and depth != indent


def _needs_digit(text: str) -> bool:
    return text[0] == " " or text[0] in _BREAK


def _write_literal(text: str, indent: int, column: int) -> str:
    digit = str(indent) if _needs_digit(text) else ""
    if text[-1] not in _BREAK:
        chomp = "-"
    elif len(text) == 1 or text[-2] in _BREAK:
        chomp = "+"
    else:
        chomp = ""
    pad = " " * column
    first = "" if text[0] in _BREAK else pad
    body = _AFTER_BREAK.sub(lambda found: found[1] + pad, text)
    # The caller ends the line, so the text's own last break is left to it.
    return f"|{digit}{chomp}\n{first}{body.removesuffix(chr(10))}"


def _write_binary(data: bytes, column: int) -> str:
    text = base64.b64encode(data).decode()
    if len(text) < _BINARY_LINE:
        return f"!!binary {text}"
    pad = " " * column
    starts = range(0, len(text), _BINARY_LINE)
    lines = "\n".join(pad + text[start : start + _BINARY_LINE] for start in starts)
    return f"!!binary |\n{lines}"


def _escaped_bytes(value: str) -> bytes:
    try:
        return value.encode(errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise CassetteError("expected text without lone surrogates") from error


def _quote_double(text: str) -> str:
    if text.startswith("\ufeff"):
        # Go's emitter looks for the mark at the start of the text, whichever character it is at.
        return f'"{"".join(map(_escape, text))}"'
    return f'"{_ESCAPED.sub(lambda found: _escape(found[0]), text)}"'


def _escape(char: str) -> str:
    short = _SHORT_ESCAPES.get(char)
    if short is not None:
        return short
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _quote_go(text: str) -> str:
    return f'"{"".join(map(_escape_go, text))}"'


def _escape_go(char: str) -> str:
    short = _GO_ESCAPES.get(char)
    if short is not None:
        return short
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _plain_refused(text: str) -> bool:
    return (
        not text
        or text[0] == " "
        or text[-1] == " "
        or "\t" in text
        or _INDICATOR_START.match(text) is not None
        or _INDICATOR_INSIDE.search(text) is not None
        or _ANY_BREAK.search(text) is not None
        or _SPECIAL.search(text) is not None
    )


def _single_refused(text: str) -> bool:
    return (
        "\t" in text
        or _SPECIAL.search(text) is not None
        or _BLANK_AT_BREAK.search(text) is not None
        or _BREAK_THEN_BLANK.search(text) is not None
    )


def _literal_refused(text: str) -> bool:
    return (
        text[-1] == " "
        or _SPECIAL.search(text) is not None
        or _BLANK_AT_BREAK.search(text) is not None
    )
