"""Recordings as data, sans-IO: bytes of a cassette to values and back, and requests to answers.

model       the values: cassette, interaction, request, response, wire timing
govcr       `load` and `dump` of go-vcr v2 files, byte for byte
timing      the `x_wire` key, and a body as the timed chunks it arrived in
duration    Go's durations as nanoseconds
match       which recording answers a request, or what the nearest ones differ in
canonical   what two requests must share to be the same
difference  where two JSON values differ
redact      what may be written at all
rules       what is a secret by its name: the lists
secrets     what looks like a secret by its value
faults      scripted faults as values, and their text form
fault_body  what faults make of a body
secret_fields  where secrets stand in a body
yaml_*      reading, scalar styles and layout, exactly as go-yaml has them
errors      what is raised
"""

from arno.cassette.canonical import Base, Ignore
from arno.cassette.difference import Difference
from arno.cassette.duration import format_duration, parse_duration
from arno.cassette.errors import CassetteError, SecretFound
from arno.cassette.faults import Fault, FaultSyntaxError, parse_faults
from arno.cassette.govcr import dump, load
from arno.cassette.match import Matcher, Miss, Near, Policy
from arno.cassette.model import (
    Cassette,
    End,
    Interaction,
    Plain,
    Profile,
    RecordedRequest,
    RecordedResponse,
    Style,
    WireTiming,
)
from arno.cassette.redact import dump_redacted, redact, redact_interaction
from arno.cassette.rules import Redaction
from arno.cassette.secrets import find_secret
from arno.cassette.timing import Chunk, chunks_of

__all__ = [
    "Base",
    "Cassette",
    "CassetteError",
    "Chunk",
    "Difference",
    "End",
    "Fault",
    "FaultSyntaxError",
    "Ignore",
    "Interaction",
    "Matcher",
    "Miss",
    "Near",
    "Plain",
    "Policy",
    "Profile",
    "RecordedRequest",
    "RecordedResponse",
    "Redaction",
    "SecretFound",
    "Style",
    "WireTiming",
    "chunks_of",
    "dump",
    "dump_redacted",
    "find_secret",
    "format_duration",
    "load",
    "parse_duration",
    "parse_faults",
    "redact",
    "redact_interaction",
]
