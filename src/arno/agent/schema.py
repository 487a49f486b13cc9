"""JSON Schema of a function's parameters, and the type that validates the arguments.

Both come from one msgspec struct per function, so what the model is told and what is accepted
cannot differ. msgspec writes the schema; here it is brought into the shape models are used to:
no titles, no `$ref` unless a type contains itself, no empty `required`, `type` beside `enum`.

Descriptions come from `Annotated[T, "text"]` or `Annotated[T, msgspec.Meta(description=...)]`,
also on the fields of dataclasses, TypedDicts and structs.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    get_args,
    get_origin,
)

import msgspec

from arno.agent.errors import ToolDefinitionError
from arno.canon.ext import Json

Schema = dict[str, Json]

Annotation: TypeAlias = Any
"""What stands behind a parameter's colon: a class, or any of typing's objects."""


class Missing:
    """The type of `MISSING`."""


MISSING: Final = Missing()
"""Stands for an argument the model left out: the function's own default applies."""

_UNIONS = (typing.Union, types.UnionType)
_LISTS = ("anyOf", "allOf", "prefixItems")
_NAMED = {"properties", "$defs"}
_SINGLES = ("items", "additionalProperties")
_ENUM_TYPES = {frozenset({str}): "string", frozenset({int}): "integer"}


class Parameter(msgspec.Struct, frozen=True):
    """One parameter; default MISSING: required; description: from the docstring, if any."""

    name: str
    annotation: Annotation
    default: Any = MISSING
    description: str | None = None


def arguments_type(parameters: Sequence[Parameter]) -> type[msgspec.Struct]:
    """The struct that accepts exactly these arguments. Raises ToolDefinitionError.

    An argument that may be left out and was, is MISSING.
    """
    return msgspec.defstruct(
        "Arguments",
        [_field(parameter) for parameter in parameters],
        forbid_unknown_fields=True,
        kw_only=True,
    )


def arguments_schema(parameters: Sequence[Parameter], *, strict: bool) -> Schema:
    """The JSON Schema document. Raises ToolDefinitionError.

    strict: no additional properties anywhere and every property required, which is what an
    upstream needs to enforce the schema itself.
    """
    schema = _document(arguments_type(parameters), [p.annotation for p in parameters])
    del schema["additionalProperties"]  # unknown arguments are refused, but that is no news
    for parameter in parameters:
        if parameter.default is not MISSING and parameter.default is not None:
            _add_default(schema["properties"][parameter.name], parameter.default)
    return _strict(schema, "the parameters") if strict else schema


# ---------------------------------------------------------------- annotations


def _field(parameter: Parameter) -> tuple[str, Any] | tuple[str, Any, Any]:
    annotation = _with_meta(parameter.annotation)
    if parameter.description and _description(parameter.annotation) is None:
        annotation = Annotated[annotation, msgspec.Meta(description=parameter.description)]
    try:
        msgspec.json.Decoder(annotation)
        msgspec.json.schema_components([annotation])
    except (TypeError, NameError, ValueError, RecursionError) as error:
        reason = str(error).rstrip().splitlines()[-1]
        raise ToolDefinitionError(f"parameter {parameter.name!r}: {reason}") from error
    if parameter.default is MISSING:
        return (parameter.name, annotation)
    return (parameter.name, annotation, msgspec.field(default_factory=lambda: MISSING))


def _with_meta(annotation: Annotation) -> Annotation:
    """The annotation with every plain text in `Annotated` as a msgspec description."""
    origin: Any = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        inner, *notes = arguments
        return Annotated[(_with_meta(inner), *map(_as_meta, notes))]
    if not arguments or origin is Literal:
        return annotation
    inner_types = tuple(map(_with_meta, arguments))
    if origin in _UNIONS:
        return functools.reduce(operator.or_, inner_types)
    return origin[inner_types]


def _as_meta(note: object) -> object:
    return msgspec.Meta(description=note) if isinstance(note, str) else note


def _description(annotation: object) -> str | None:
    """What an annotation says about itself, seen through `Required` and `NotRequired`."""
    origin = get_origin(annotation)
    if origin in (Required, NotRequired):
        return _description(get_args(annotation)[0])
    notes = get_args(annotation)[1:] if origin is Annotated else ()
    for note in map(_as_meta, notes):
        if isinstance(note, msgspec.Meta) and note.description:
            return note.description
    return None


def _classes(annotation: object, seen: list[Any]) -> None:
    """Collect every class with fields that the annotation mentions, at any depth."""
    if get_origin(annotation) is Literal or annotation in seen:
        return
    for argument in get_args(annotation):
        _classes(argument, seen)
    cls = get_origin(annotation) or annotation
    if isinstance(cls, type) and _has_fields(cls):
        seen.append(annotation)
        for hint in typing.get_type_hints(cls, include_extras=True).values():
            _classes(hint, seen)


def _has_fields(cls: type) -> bool:
    return (
        issubclass(cls, msgspec.Struct) or dataclasses.is_dataclass(cls) or typing.is_typeddict(cls)
    )


# ---------------------------------------------------------------- documents


def _document(arguments: type[msgspec.Struct], annotations: Sequence[object]) -> Schema:
    """The struct's schema with everything it refers to written in place."""
    classes: list[Any] = []
    for annotation in annotations:
        _classes(annotation, classes)
    refs, components = msgspec.json.schema_components([arguments, *classes], ref_template="{name}")
    for cls, ref in zip(classes, refs[1:], strict=True):
        _describe_fields(components[ref["$ref"]], cls)
    recursive = {name for name in components if name in _reachable(name, components)}
    inline = functools.partial(_inline, components=components, recursive=recursive)
    schema = inline(refs[0])
    used = {name: inline(components[name]) for name in sorted(recursive)}
    return {**schema, "$defs": used} if used else schema


def _describe_fields(component: Schema, annotation: object) -> None:
    cls: Any = get_origin(annotation) or annotation
    names = {}
    if issubclass(cls, msgspec.Struct):
        names = dict(zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True))
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        text = _description(hint)
        schema = component.get("properties", {}).get(names.get(name, name))
        if text and schema is not None:
            schema.setdefault("description", text)


def _inline(schema: Schema, components: Mapping[str, Schema], recursive: set[str]) -> Schema:
    inline = functools.partial(_inline, components=components, recursive=recursive)
    name = schema.get("$ref")
    if name in recursive:
        return {**schema, "$ref": f"#/$defs/{name}"}
    if name is not None:
        own = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**components[name], **own}
    return _tidy(_map(schema, inline))


def _tidy(schema: Schema) -> Schema:
    """Without class names and empty lists; an enumeration says its type where it has one."""
    left_out = {"title", "discriminator"} | ({"required"} if not schema.get("required") else set())
    tidy = {key: value for key, value in schema.items() if key not in left_out}
    if "enum" in tidy and "type" not in tidy:
        kind = _ENUM_TYPES.get(frozenset(type(value) for value in tidy["enum"]))
        return {**tidy, "type": kind} if kind else tidy
    return tidy


def _map(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with `change` applied to the schemas directly inside it."""
    changed = dict(schema)
    if "properties" in schema:
        changed["properties"] = {k: change(v) for k, v in schema["properties"].items()}
    for key in _LISTS:
        if key in schema:
            changed[key] = [change(item) for item in schema[key]]
    for key in _SINGLES:
        if isinstance(schema.get(key), dict):
            changed[key] = change(schema[key])
    return changed


def _inside(schema: Schema) -> Iterator[Schema]:
    yield from schema.get("properties", {}).values()
    for key in _LISTS:
        yield from schema.get(key, ())
    for key in _SINGLES:
        if isinstance(schema.get(key), dict):
            yield schema[key]


def _reachable(name: str, components: Mapping[str, Schema]) -> set[str]:
    """The components that `name` refers to, directly or through others."""
    found: set[str] = set()
    pending = [components[name]]
    while pending:
        schema = pending.pop()
        pending.extend(_inside(schema))
        ref = schema.get("$ref")
        if ref is not None and ref not in found:
            found.add(ref)
            pending.append(components[ref])
    return found


def _add_default(schema: Schema, default: object) -> None:
    """Tell the default where JSON can say it; the others are the function's own business."""
    try:
        schema["default"] = msgspec.to_builtins(default)
    except (TypeError, ValueError):
        return


def _strict(schema: Schema, where: str) -> Schema:
    if schema.get("type") == "object":
        if "properties" not in schema:
            raise ToolDefinitionError(f"strict: {where} may have any keys; name them in a class")
        optional = schema["properties"].keys() - set(schema.get("required", ()))
        if optional:
            names = ", ".join(sorted(optional))
            raise ToolDefinitionError(
                f"strict: {names} in {where} may be left out; annotate `T | None`, no default"
            )
        closed = {**schema, "additionalProperties": False}
        for key in _NAMED & schema.keys():
            closed[key] = {name: _strict(inner, name) for name, inner in schema[key].items()}
        return closed
    return _map(schema, lambda part: _strict(part, where))
