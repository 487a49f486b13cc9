"""Errors of the wire layer: bytes that no decoder can turn into frames or documents.

    WireError
    ├── FrameTooLarge     one frame outgrew the decoder's limit (behaviour R12)
    ├── MalformedMessage  a binary message with a wrong checksum, length or header
    └── MalformedJSON     a document is not JSON that we accept

These are the upstream's (or a client's) faults, found while reading. Mistakes of our own callers,
such as an event name with a line break in it, are plain `ValueError`s.
"""


class WireError(Exception):
    """Raised by decoders for bytes they cannot accept; the exchange turns it into a Failure."""


class FrameTooLarge(WireError):
    """One frame holds more bytes than the decoder may keep.

    `limit` and `seen` are bytes; `seen` is what had arrived of the frame when it was refused.
    """

    def __init__(self, limit: int, seen: int) -> None:
        """Keep both sizes for the failure's message."""
        super().__init__(f"frame of at least {seen} bytes is over the limit of {limit} bytes")
        self.limit = limit
        self.seen = seen


class MalformedMessage(WireError):
    """A message of a binary event stream is not what it declares to be."""


class MalformedJSON(WireError):
    """The text is not JSON, or JSON beyond the bounds that `arno.wire.json` documents."""
