"""What `arno.toml` may say: one struct a table, one annotated member a key.

A member's annotation is its type and a `Rule`: the words of the message when it does not hold. A
member that is None was not said; what holds then stands in `resolve`. Documented key by key in
docs/configuration.md (a test compares the two).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import msgspec

from arno.dialects import DIALECTS
from arno.gateway.config.toml_lines import Path
from arno.providers import templates
from arno.providers.roads import ROADS
from arno.providers.rows import MOST_WEIGHT, RATE_TEXT, SLUG, Auth, is_query
from arno.transport.url import parse_url

DAY_SECONDS = 86_400
GIB = 1 << 30


class Rule(msgspec.Struct, frozen=True):
    """What a value must be. quiet: a wrong value may be a secret and is not shown."""

    expects: str
    holds: Callable[[Any], bool]
    quiet: bool = False


def _between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: low <= value <= high


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: pattern.fullmatch(value) is not None


def is_base_url(text: str) -> bool:
    """Whether requests can be sent below `text`, and nothing in it is secret by its place.

    It may have the variables of `arno.providers.templates`.
    """
    try:
        parse_url(templates.sample(text))
    except ValueError:
        return False
    return "?" not in text and not text.endswith("/")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_path(text: str) -> bool:
    return bool(text) and not text.startswith("~") and "\0" not in text


def _is_duration(value: float) -> bool:
    return 0 < value <= DAY_SECONDS or value == float("inf")


_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?")
_KEY_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Flag = Annotated[bool, Rule("true or false", lambda value: True)]
Port = Annotated[int, Rule("a port from 0 to 65535 (0: a free one)", _between(0, 65535))]
Deadline = Annotated[
    float, Rule(f"seconds, above 0 and at most {DAY_SECONDS}, or inf for no limit", _is_duration)
]
Connect = Annotated[
    float,
    Rule(f"seconds, above 0 and at most {DAY_SECONDS}", lambda value: 0 < value <= DAY_SECONDS),
]
Seconds = Annotated[float, Rule(f"seconds from 0 to {DAY_SECONDS}", _between(0, DAY_SECONDS))]
WholeSeconds = Annotated[
    int, Rule(f"whole seconds from 1 to {DAY_SECONDS}", _between(1, DAY_SECONDS))
]
Bytes = Annotated[int, Rule(f"a number of bytes from 1024 to {GIB}", _between(1024, GIB))]
Attempts = Annotated[int, Rule("a whole number from 1 to 100", _between(1, 100))]
Rounds = Annotated[int, Rule("a whole number from 0 to 10", _between(0, 10))]
Connections = Annotated[int, Rule("a whole number from 1 to 10000", _between(1, 10_000))]
Waiting = Annotated[int, Rule("a whole number from 0 to 100000", _between(0, 100_000))]
Tokens = Annotated[int, Rule("a number of tokens above 0", _between(1, 1 << 40))]
OverInput = Annotated[int, Rule("a number of tokens, 0 or more", _between(0, 1 << 40))]
Weight = Annotated[
    float, Rule(f"a number above 0 and below {MOST_WEIGHT}", lambda value: 0 < value < MOST_WEIGHT)
]
Scale = Annotated[
    float, Rule("a factor of 0 or more (1: as recorded, 0: no waiting)", _between(0, 1e6))
]
Text = Annotated[str, Rule("one line of text, not empty", _matching(_LINE))]
Host = Annotated[str, Rule("an address or a name to listen on", _matching(re.compile(r"[^\s]+")))]
File = Annotated[str, Rule("a path (~ is not expanded)", _is_path)]
KeyFile = Annotated[str, Rule("the path of a file that holds the key", _is_path, quiet=True)]
KeyEnv = Annotated[
    str,
    Rule(
        "the name of an environment variable that holds the key, in capitals",
        _matching(_VARIABLE),
        quiet=True,
    ),
]
KeyName = Annotated[
    str, Rule("a name of 1 to 64 letters, digits, '_', '.' or '-'", _matching(_KEY_NAME))
]
BASE_URL_WORDS = "an http(s) URL without a slash at its end, and without user, query and fragment"
BaseUrl = Annotated[str, Rule(BASE_URL_WORDS, is_base_url)]
DialectName = Annotated[
    str, Rule(f"one of {', '.join(map(repr, DIALECTS))}", lambda value: value in DIALECTS)
]
AuthName = Annotated[
    str, Rule(f"one of {', '.join(map(repr, map(str, Auth)))}", lambda value: value in set(Auth))
]
RoadName = Annotated[
    str, Rule(f"one of {', '.join(map(repr, ROADS))}", lambda value: value in ROADS)
]
HeaderValue = Annotated[
    str,
    Rule("printable ASCII without a blank at its ends", _matching(_HEADER_VALUE), quiet=True),
]
Query = Annotated[str, Rule('plain "name=value" pairs, joined with "&"', is_query, quiet=True)]
_FIELDS = {n: Rule(field.expects, field.holds) for n, field in templates.FIELDS.items()}
Region = Annotated[str, _FIELDS["region"]]
Project = Annotated[str, _FIELDS["project"]]
Resource = Annotated[str, _FIELDS["resource"]]
Slug = Annotated[str, Rule("a provider's slug: small letters and digits", _matching(SLUG))]
Reference = Annotated[
    str,
    Rule(
        '"provider/id of the model there"',
        _matching(re.compile(r"[^\s/]+/[^\s]+")),
    ),
]
Rate = Annotated[
    str,
    Rule('USD per million tokens as decimal text in quotes, like "0.15"', _matching(RATE_TEXT)),
]
PerRequest = Annotated[
    str, Rule('USD per request as decimal text in quotes, like "0.01"', _matching(RATE_TEXT))
]
Day = Annotated[str, Rule('a day in quotes, like "2026-03-12"', _is_day)]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the file. at: its place there (this member is no key)."""

    at: Path = ()


class ServerTable(Table, frozen=True, kw_only=True):
    """Where and how the gateway listens. Times in seconds, sizes in bytes."""

    host: Host | None = None
    port: Port | None = None
    data: File | None = None
    cors: Flag | None = None
    grace: Seconds | None = None
    keep_alive: WholeSeconds | None = None
    head_deadline: Seconds | None = None
    body_deadline: Seconds | None = None
    max_head: Bytes | None = None
    max_body: Bytes | None = None
    strict: Flag | None = None
    keep_answers: Flag | None = None


class KeyTable(Table, frozen=True, kw_only=True):
    """A client key, by reference: exactly one of key_env and key_file."""

    name: KeyName
    key_env: KeyEnv | None = None
    key_file: KeyFile | None = None


class DeadlinesTable(Table, frozen=True, kw_only=True):
    """What an upstream may take; see `arno.exchange.driver.Deadlines`."""

    connect: Connect | None = None
    first: Deadline | None = None
    idle: Deadline | None = None
    total: Deadline | None = None


class ProviderTable(Table, frozen=True, kw_only=True):
    """A shipped provider that is changed, or one of the operator's own (which needs base_url)."""

    enabled: Flag | None = None
    base_url: BaseUrl | None = None
    key_env: KeyEnv | None = None
    key_file: KeyFile | None = None
    name: Text | None = None
    dialect: DialectName | None = None
    contract: Flag | None = None
    unlisted_models: Flag | None = None
    finish_optional: Flag | None = None
    stream_usage: Flag | None = None
    price_as: Slug | None = None
    supported_parameters: tuple[Text, ...] | None = None
    auth: AuthName | None = None
    credentials_file: File | None = None
    road: RoadName | None = None
    headers: dict[str, HeaderValue] | None = None
    query: Query | None = None
    region: Region | None = None
    project: Project | None = None
    resource: Resource | None = None
    multiple_choices: Flag | None = None
    variant_of: Slug | None = None
    connections: Connections | None = None
    deadlines: DeadlinesTable | None = None


class ModelTable(Table, frozen=True, kw_only=True):
    """A model and who serves it: candidates (in order) or weights, not both."""

    candidates: tuple[Reference, ...] | None = None
    weights: dict[str, Weight] | None = None
    name: Text | None = None
    description: Text | None = None
    context_length: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    deadlines: DeadlinesTable | None = None


class PriceTable(Table, frozen=True, kw_only=True):
    """What a model costs at a provider; see `arno.providers.rows.Price`."""

    provider: Slug
    model: Text
    served_by: Text | None = None
    valid_from: Day | None = None
    source: Text | None = None
    input: Rate | None = None
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write_5m: Rate | None = None
    cache_write_1h: Rate | None = None
    reasoning: Rate | None = None
    request: PerRequest | None = None
    over_input: OverInput | None = None
    estimate: Flag | None = None


class LimitsTable(Table, frozen=True, kw_only=True):
    """Bounds: attempts of one request, bytes of an upstream's answer, connections to one host."""

    attempts: Attempts | None = None
    frame: Bytes | None = None
    answer: Bytes | None = None
    connections: Connections | None = None
    waiting: Waiting | None = None
    waiting_time: Connect | None = None


class TlsTable(Table, frozen=True, kw_only=True):
    """Whom to trust: the system's authorities, or those of a file."""

    ca_file: File | None = None


class ProxyTable(Table, frozen=True, kw_only=True):
    """Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY are heeded."""

    from_environment: Flag | None = None


class RetryTable(Table, frozen=True, kw_only=True):
    """How often all candidates are tried again, and after how many seconds."""

    rounds: Rounds | None = None
    backoff: Seconds | None = None


class EstimatesTable(Table, frozen=True, kw_only=True):
    """Whether prices and models come from the package genai-prices where no row has them."""

    enabled: Flag | None = None


class ReplayTable(Table, frozen=True, kw_only=True):
    """Recordings that are served as models."""

    cassettes: tuple[File, ...] | None = None
    scale: Scale | None = None


class Document(Table, frozen=True, kw_only=True):
    """The whole file."""

    server: ServerTable = ServerTable()
    key: tuple[KeyTable, ...] = ()
    provider: dict[str, ProviderTable] = {}
    model: dict[str, ModelTable] = {}
    alias: dict[str, Text] = {}
    price: tuple[PriceTable, ...] = ()
    deadlines: DeadlinesTable = DeadlinesTable()
    limits: LimitsTable = LimitsTable()
    tls: TlsTable = TlsTable()
    proxy: ProxyTable = ProxyTable()
    retry: RetryTable = RetryTable()
    estimates: EstimatesTable = EstimatesTable()
    replay: ReplayTable = ReplayTable()
