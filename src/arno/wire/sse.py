"""Server-sent events, sans-IO: bytes to frames and back (law Framing, behaviour R2 and R12).

The parsing rules are those of WHATWG HTML, section 9.2.6. Two promises go beyond them:

- *Nothing is lost.* `b"".join(frame.raw for frame in frames)` is the body, byte for byte, so that
  a gateway can pass frames on verbatim and a cassette can keep them.
- *Splits do not show.* However the body is cut into chunks, the frames are the same, their `raw`
  included.

Both together force a decision about CR, which may be a whole line end or half of CRLF. When a
blank line ends in CR and nothing follows yet, the frame's last byte is not known. To wait for the
next byte is always exact, but a stream that uses bare CR would then see each event only when the
next one begins. So the line before the blank one decides:

- it ended in bare CR: this stream does not write CRLF, so the blank line's CR ends the frame at
  once. Should an LF follow after all, it is the first byte of the next frame's `raw` and means
  nothing there (the same bytes split otherwise take the same path, hence no split shows);
- it ended in LF or CRLF, or there is none: the frame waits for one more byte, which a CRLF stream
  sends in the same breath.
"""

import re
from typing import Final

from arno.wire.errors import FrameTooLarge
from arno.wire.frame import Frame

DEFAULT_LIMIT: Final = 8 * 1024 * 1024
"""Bytes that one frame may have, unless the decoder is told otherwise (fault row 18)."""

_BOM: Final = b"\xef\xbb\xbf"
_CR: Final = 0x0D
_LF: Final = 0x0A
_LINE_END: Final = re.compile(rb"\r\n?|\n")
_ANY_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
# A chunk that begins with one of these may begin with a lone blank line, the LF of a CRLF that was
# cut in two, or a BOM: the line scanner knows those, the fast path does not.
_UNUSUAL_START: Final = b"\n\r\xef"
# A longer `retry` is no delay that anybody could mean, and int() of unbounded text is quadratic.
_RETRY_DIGITS: Final = 15


class SSEDecoder:
    """Turns chunks of one response body into frames.

    Keeps at most `limit` bytes of an unfinished frame. The work is linear in the bytes fed, however
    small the chunks are, because no byte is searched for a line end twice.
    """

    __slots__ = (
        "_after_bare_cr",
        "_buffer",
        "_lead",
        "_limit",
        "_line",
        "_open",
        "_refused",
        "_scanned",
        "_skip",
    )

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """Start at the beginning of a body; `limit` is the largest frame accepted, in bytes."""
        if limit < 1:
            raise ValueError("limit must be at least one byte")
        self._limit = limit
        self._buffer = bytearray()  # the unfinished frame, nothing before it
        self._line = 0  # where the current line begins in the buffer
        self._scanned = 0  # up to here the buffer was searched for line ends
        self._skip = 0  # leading bytes of the buffer that are not content
        self._lead = _BOM  # what the next frame may begin with that is not content
        self._after_bare_cr = False  # how the previous line of the stream ended
        self._refused = 0  # size of the frame that was over the limit, 0 if none was
        self._open = True  # False after close and after a refusal

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next chunk and return the frames that it completes.

        Raises FrameTooLarge once one frame, finished or not, is over the limit. Frames that were
        complete before it in the same chunk are returned first; then the next call raises, and so
        does every call after it. Feeding a closed decoder is a ValueError.
        """
        if not self._open:
            self._raise_ended()
        if not data:
            return []
        if self._buffer:
            data = self._take_buffer(data)
        elif self._is_one_plain_event(data):
            self._lead = b""
            self._after_bare_cr = False
            return [Frame(data, data[6:-2])]
        if not self._buffer and (blank := self._plain_blank(data)):
            return self._split_plain(data, blank)
        return self._scan(data)

    def close(self) -> list[Frame]:
        """End the body and return what is left of it, at most one frame.

        An unfinished event is void by the rules, so it has no data and `complete` is False; its
        bytes are in `raw`. A last blank line that ended in CR was waiting for an LF and is now a
        whole frame. Bytes without content (a BOM, the LF after a CR) leave nothing unfinished.
        Raises FrameTooLarge if a frame was refused. Further calls return an empty list.
        """
        if self._refused:
            raise FrameTooLarge(self._limit, self._refused)
        raw, skip = bytes(self._buffer), self._skip
        self._open = False
        self._buffer = bytearray()
        if not raw:
            return []
        if raw[-1] == _CR and self._line == len(raw) - 1:
            return [_parse(raw, skip)]
        return [Frame(raw, None, complete=len(raw) == skip)]

    def _raise_ended(self) -> None:
        if self._refused:
            raise FrameTooLarge(self._limit, self._refused)
        raise ValueError("the decoder is closed")

    def _is_one_plain_event(self, data: bytes) -> bool:
        """Tell whether the chunk is one whole `data: ` line and a blank one, ended by LF.

        Upstreams write most events in one piece, so this saves most of the work there is.
        """
        return (
            data[-1] == _LF
            and data.find(b"\n") == len(data) - 2
            and data.startswith(b"data: ")
            and data.find(b"\r") < 0
            and len(data) <= self._limit
        )

    def _take_buffer(self, data: bytes) -> bytes:
        """Return buffer and chunk as one if a frame surely ends in the chunk, so that it is plain.

        Joining only then keeps the cost linear: each byte is moved once, when its frame ends.
        """
        buffer = self._buffer
        if data.find(b"\n\n") < 0 and data.find(b"\r\n\r\n") < 0:
            return data
        joined = bytes(buffer) + data
        if not self._plain_blank(joined):
            return data
        self._buffer = bytearray()
        self._line = self._scanned = 0
        return joined

    def _plain_blank(self, data: bytes) -> bytes:
        """Return what ends every frame in `data`, or b"" if only the line scanner can tell.

        Plain data has one kind of line end, LF or CRLF, and no frame without a line in it.
        """
        if data[0] in _UNUSUAL_START or len(data) > self._limit:
            return b""
        if data.find(b"\r") < 0:
            return b"" if data.find(b"\n\n\n") >= 0 else b"\n\n"
        if not data.count(b"\r\n") == data.count(b"\r") == data.count(b"\n"):
            return b""
        return b"" if data.find(b"\r\n\r\n\r\n") >= 0 else b"\r\n\r\n"

    def _split_plain(self, data: bytes, blank: bytes) -> list[Frame]:
        """Cut plain data behind its blank lines: the path that nearly all traffic takes."""
        pieces = data.split(blank)
        if tail := pieces.pop():
            self._buffer += tail
        if not pieces:
            return []
        self._lead = b""
        self._after_bare_cr = False
        return [
            Frame(piece + blank, piece[6:])
            if piece.startswith(b"data: ") and piece.find(b"\n") < 0
            else _parse(piece + blank, 0)
            for piece in pieces
        ]

    def _scan(self, data: bytes) -> list[Frame]:
        """Append a chunk and cut off all complete frames, line by line."""
        buffer = self._buffer
        buffer += data
        whole: list[tuple[bytes, int]] = []
        begin = 0
        while (end := self._frame_end(begin)) is not None:
            if end - begin > self._limit:
                break
            whole.append((bytes(buffer[begin:end]), self._skip))
            self._skip = 0
            begin = end
        unfinished = (len(buffer) if end is None else end) - begin
        if unfinished > self._limit:
            self._refused = unfinished
            self._open = False
            begin = len(buffer)
            if not whole:
                self._buffer = bytearray()
                raise FrameTooLarge(self._limit, unfinished)
        # One deletion a chunk: one a frame would move a large chunk over and over. It comes before
        # parsing, whose copies of a large frame would else add to the buffer's.
        del buffer[:begin]
        self._line -= begin
        self._scanned -= begin
        return [_parse(raw, skip) for raw, skip in whole]

    def _frame_end(self, begin: int) -> int | None:
        """Return where the frame beginning at `begin` ends, or None until that is known."""
        buffer = self._buffer
        if self._lead:
            self._skip_lead(begin)
        while (found := _LINE_END.search(buffer, self._scanned)) is not None:
            start, end = found.span()
            blank = start == self._line
            bare_cr = buffer[start] == _CR and end - start == 1
            if blank and self._after_bare_cr and buffer[start] == _CR:
                # The rule at the top of this file: no waiting, and an LF that follows is void.
                self._line = self._scanned = start + 1
                self._lead = b"\n"
                return start + 1
            if bare_cr and end == len(buffer):
                self._scanned = start
                return None
            self._after_bare_cr = bare_cr
            self._line = self._scanned = end
            if blank:
                return end
        self._scanned = len(buffer)
        return None

    def _skip_lead(self, begin: int) -> None:
        """Step over the BOM, or over the LF of a cut CRLF, once enough bytes are there to tell."""
        lead = self._lead
        head = self._buffer[begin : begin + len(lead)]
        if len(head) < len(lead) and lead.startswith(head):
            return
        self._lead = b""
        if head != lead:
            return
        self._skip = len(lead)
        self._line = self._scanned = begin + len(lead)
        self._after_bare_cr = False


def encode_sse(data: bytes, event: str | None = None) -> bytes:
    """Return one event with LF line ends: an `event` line if a name is given, then `data` lines.

    Line breaks of any kind in `data` start another `data` line, so a reader gets each as LF.
    Raises ValueError if the event name holds CR or LF, which would forge a field.
    """
    if data.find(b"\n") >= 0 or data.find(b"\r") >= 0:
        data = b"\ndata: ".join(_ANY_LINE_END.split(data))
    if not event:
        return b"data: " + data + b"\n\n"
    if "\n" in event or "\r" in event:
        raise ValueError("an event name cannot hold a line break")
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


def encode_comment(text: str) -> bytes:
    """Return comment lines, one for each line of `text` (a heartbeat).

    No blank line follows, and none is needed: it would end an event without data, which means
    nothing by the rules but is an error to some readers (openai-go 2.7.1 parses it as JSON).
    """
    lines = _ANY_LINE_END.split(text.encode())
    return b"".join(b": " + line + b"\n" for line in lines)


def _parse(raw: bytes, skip: int) -> Frame:
    """Read the fields of one whole frame; the first `skip` bytes are not content."""
    data: list[bytes] = []
    comments: list[bytes] = []
    event = ""
    event_id: str | None = None
    retry: int | None = None
    for line in raw[skip:].splitlines():
        name, colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif colon and not name:
            comments.append(value)
        elif name == b"event":
            event = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            event_id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
            retry = int(value)
    return Frame(raw, _joined(data), event, event_id, retry, _joined(comments))


def _joined(lines: list[bytes]) -> bytes | None:
    return b"\n".join(lines) if lines else None
