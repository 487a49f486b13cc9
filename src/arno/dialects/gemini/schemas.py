"""The vendor's own schema language as JSON Schema.

`parameters` and `responseSchema` hold a subset of OpenAPI 3.0: types in capitals, `nullable`,
64-bit numbers as text. The members with `JsonSchema` in their name hold JSON Schema as it is, and
everything is written there. Source: Gemini API reference, "Schema".
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.dialects.gemini.residue import spell
from arno.dialects.residue import Document

NUMBERS = frozenset(
    {
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
    }
)
"""Members that are 64-bit numbers, which the JSON of protocol buffers may write as text."""

BELOW = ("items", "additionalProperties", "not")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
MAPS = ("properties", "$defs", "defs", "definitions")
SPELLED = (*NUMBERS, *LISTS, "additionalProperties", "propertyOrdering")


def json_schema(schema: Json) -> Json:
    """`schema` in the words of JSON Schema; what is no object stays as it is."""
    if not isinstance(schema, Mapping):
        return schema
    members = {k: v for k, v in spell(schema, SPELLED).items() if not k.startswith("@")}
    told = {key: _member(key, value) for key, value in members.items()}
    return _with_null(told) if told.pop("nullable", None) is True else told


def _member(key: str, value: Json) -> Json:
    if key == "type" and isinstance(value, str):
        return value.lower()
    if key in NUMBERS and isinstance(value, str) and value.isdigit() and len(value) < 20:
        return int(value)
    if key in BELOW:
        return json_schema(value)
    if key in LISTS and isinstance(value, list):
        return [json_schema(item) for item in value]
    if key in MAPS and isinstance(value, Mapping):
        return {name: json_schema(item) for name, item in value.items()}
    return value


def _with_null(schema: Document) -> Document:
    """A schema that null fits as well."""
    type_ = schema.get("type")
    if not isinstance(type_, str):
        return {"anyOf": [schema, {"type": "null"}]}
    told = {**schema, "type": [type_, "null"]}
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        told["enum"] = [*schema["enum"], None]
    return told
