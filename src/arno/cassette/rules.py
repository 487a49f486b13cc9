"""What counts as a secret by its name: the lists of headers, parameters and fields of a recording.

Serves behaviour R34 and spec/cassettes.md section 4.4. Names of parameters and fields are compared
without their case, and as words: `OPENAI_API_KEY`, `x-api-key` and `apiKey` all end in `api_key`.
"""

import re
from functools import lru_cache
from typing import Final

import msgspec

REPLACEMENT: Final = "[redacted]"
"""What stands in the place of a secret."""

REQUEST_HEADERS: Final = frozenset({"accept", "content-type", "user-agent"})
RESPONSE_HEADERS: Final = REQUEST_HEADERS | {"content-encoding", "retry-after", "x-generation-id"}
CREDENTIAL_HEADERS: Final = frozenset(
    "authorization proxy-authorization x-api-key api-key x-goog-api-key cookie".split()
)
"""Request headers whose values are secrets wherever else they turn up."""

SECRET_PARAMETERS: Final = frozenset(
    "key api_key api-key apikey access_token access-token auth auth_token authorization token"
    " client_secret password secret sig signature x-goog-api-key x-amz-credential"
    " x-amz-security-token x-amz-signature".split()
)
SECRET_FIELDS: Final = frozenset(
    "api_key apikey access_token accesstoken refresh_token refreshtoken id_token auth_token"
    " authtoken bearer_token authorization client_secret clientsecret secret_key secretkey"
    " secret_access_key session_token private_key privatekey password passwd".split()
)
DOUBTFUL_FIELDS: Final = frozenset(
    "token secret auth bearer credential credentials access_key".split()
)
"""Fields that hold other things as well (`token` of a log probability): only a value that looks
made by a machine is a secret there.
"""

_HUMP: Final = re.compile(r"([a-z0-9])([A-Z])")
_SEPARATORS: Final = str.maketrans("-. ", "___")


class Redaction(msgspec.Struct, frozen=True):
    """The rules of one recording. Header and parameter names are compared in lower case.

    `fields` and `doubtful` are names of body fields, as lower-case words with underscores; a longer
    name that ends in one counts as well. `known` are secrets of this process (configured keys):
    they are replaced wherever they stand, and what spells one otherwise refuses the write.
    """

    request_headers: frozenset[str] = REQUEST_HEADERS
    response_headers: frozenset[str] = RESPONSE_HEADERS
    parameters: frozenset[str] = SECRET_PARAMETERS
    fields: frozenset[str] = SECRET_FIELDS
    doubtful: frozenset[str] = DOUBTFUL_FIELDS
    known: tuple[str, ...] = ()


DEFAULT: Final = Redaction()
"""The rules unless somebody asks for others."""


def is_parameter(name: str, rules: Redaction) -> bool:
    """Whether a query or form parameter of this name holds a secret."""
    return name.lower() in rules.parameters or is_one_of(name, rules.fields)


@lru_cache(maxsize=4096)
def is_one_of(name: str, fields: frozenset[str]) -> bool:
    """Whether a name ends in the words of one of the fields."""
    words = "_" + _HUMP.sub(r"\1_\2", name).translate(_SEPARATORS).lower()
    return words.endswith(_endings(fields))


@lru_cache(maxsize=16)
def _endings(fields: frozenset[str]) -> tuple[str, ...]:
    return tuple(f"_{field}" for field in fields)
