"""What a model is told about parameters, annotation by annotation."""

import dataclasses
import enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pytest

from arno.agent.errors import ToolDefinitionError
from arno.agent.schema import MISSING, Parameter, arguments_schema, arguments_type
from arno.wire import json


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(TypedDict):
    city: Annotated[str, "the city"]
    country: NotRequired[Annotated[str, "two letters"]]


@dataclasses.dataclass
class Point:
    x: int
    y: Annotated[int, msgspec.Meta(description="upwards", ge=0)] = 0


class Tree(msgspec.Struct, rename="camel"):
    """A tree."""

    node_name: Annotated[str, "on the label"]
    children: "list[Tree]" = []


class Label(msgspec.Struct):
    """Words of the class."""

    text: str


class Chain(TypedDict):
    next: "Chain | None"


class Two(TypedDict):
    here: Place
    there: Place


STRING = {"type": "string"}
NULL = {"type": "null"}
INTEGER = {"type": "integer"}
PLACE = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "the city"},
        "country": {"type": "string", "description": "two letters"},
    },
    "required": ["city"],
}

SCHEMAS: list[tuple[Any, dict[str, Any]]] = [
    (str, STRING),
    (int, INTEGER),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (None, NULL),
    (Any, {}),
    (str | None, {"anyOf": [STRING, NULL]}),
    (int | str, {"anyOf": [INTEGER, STRING]}),
    (list[str], {"type": "array", "items": STRING}),
    (dict[str, int], {"type": "object", "additionalProperties": INTEGER}),
    (tuple[int, ...], {"type": "array", "items": INTEGER}),
    (
        tuple[int, str],
        {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "prefixItems": [INTEGER, STRING],
            "items": False,
        },
    ),
    (Literal["b", "a"], {"enum": ["a", "b"], "type": "string"}),
    (Literal[2, 1], {"enum": [1, 2], "type": "integer"}),
    (Literal[1, "a"], {"enum": [1, "a"]}),
    (Colour, {"enum": ["blue", "red"], "type": "string"}),
    (Level, {"enum": [1, 2], "type": "integer"}),
    (Annotated[str, "the city"], {"type": "string", "description": "the city"}),
    (
        Annotated[int, msgspec.Meta(ge=1, description="a count")],
        {"type": "integer", "minimum": 1, "description": "a count"},
    ),
    (
        list[Annotated[str, "one tag"]],
        {"type": "array", "items": {"type": "string", "description": "one tag"}},
    ),
    (
        dict[str, Annotated[int, "how many"]] | None,
        {
            "anyOf": [
                {
                    "type": "object",
                    "additionalProperties": {"type": "integer", "description": "how many"},
                },
                NULL,
            ]
        },
    ),
    (Place, PLACE),
    (Annotated[Place, "where"], {**PLACE, "description": "where"}),
    (
        Annotated[Label, "words of the parameter"],
        {
            "type": "object",
            "properties": {"text": STRING},
            "required": ["text"],
            "description": "words of the parameter",
        },
    ),
    (
        Point,
        {
            "type": "object",
            "properties": {
                "x": INTEGER,
                "y": {"type": "integer", "minimum": 0, "description": "upwards", "default": 0},
            },
            "required": ["x"],
        },
    ),
    (
        Two,
        {
            "type": "object",
            "properties": {"here": PLACE, "there": PLACE},
            "required": ["here", "there"],
        },
    ),
]


def schema_of(annotation: Any, **more: Any) -> dict[str, Any]:
    schema = arguments_schema([Parameter("value", annotation, **more)], strict=False)
    return schema["properties"]["value"]


@pytest.mark.parametrize(("annotation", "expected"), SCHEMAS, ids=lambda value: str(value)[:60])
def test_schema_of_one_annotation(annotation: Any, expected: dict[str, Any]) -> None:
    assert json.equal(schema_of(annotation), expected)


def test_the_whole_document_has_the_recorded_shape() -> None:
    schema = arguments_schema([Parameter("location", Annotated[str, "the city"])], strict=False)
    assert schema == {
        "properties": {"location": {"description": "the city", "type": "string"}},
        "required": ["location"],
        "type": "object",
    }


def test_without_parameters_there_is_no_required_list() -> None:
    assert arguments_schema([], strict=False) == {"type": "object", "properties": {}}


def test_a_type_that_contains_itself_is_referred_to() -> None:
    schema = arguments_schema([Parameter("tree", Tree)], strict=False)
    assert schema["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert schema["$defs"]["Tree"] == {
        "description": "A tree.",
        "type": "object",
        "properties": {
            "nodeName": {"type": "string", "description": "on the label"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "default": []},
        },
        "required": ["nodeName"],
    }


class TestDescription:
    def test_from_the_docstring(self) -> None:
        assert schema_of(int, description="how many")["description"] == "how many"

    def test_of_the_annotation_wins(self) -> None:
        schema = schema_of(Annotated[int, "in the annotation"], description="in the docstring")
        assert schema["description"] == "in the annotation"


class TestDefault:
    @pytest.mark.parametrize("default", [5, "x", True, [1], Colour.RED])
    def test_is_told_and_makes_the_parameter_optional(self, default: Any) -> None:
        schema = arguments_schema([Parameter("value", Any, default)], strict=False)
        expected = default.value if isinstance(default, Colour) else default
        assert schema == {"type": "object", "properties": {"value": {"default": expected}}}

    @pytest.mark.parametrize("default", [None, object(), 1j])
    def test_that_says_nothing_in_json_is_left_out(self, default: Any) -> None:
        schema = arguments_schema([Parameter("value", str | None, default)], strict=False)
        assert "default" not in schema["properties"]["value"]
        assert "required" not in schema


class TestStrict:
    def test_closes_every_object(self) -> None:
        class Inner(TypedDict):
            a: int

        schema = arguments_schema([Parameter("x", Inner), Parameter("y", list[Inner])], strict=True)
        assert schema["additionalProperties"] is False
        assert schema["required"] == ["x", "y"]
        assert schema["properties"]["x"]["additionalProperties"] is False
        assert schema["properties"]["y"]["items"]["additionalProperties"] is False

    def test_closes_types_that_contain_themselves(self) -> None:
        schema = arguments_schema([Parameter("chain", Chain)], strict=True)
        assert schema["$defs"]["Chain"]["additionalProperties"] is False

    @pytest.mark.parametrize(
        ("parameter", "message"),
        [
            (Parameter("n", int, 5), "n in the parameters may be left out"),
            (Parameter("p", Point), "y in p may be left out"),
            (Parameter("d", dict[str, int]), "d may have any keys"),
        ],
    )
    def test_refuses_what_no_upstream_can_enforce(self, parameter: Parameter, message: str) -> None:
        with pytest.raises(ToolDefinitionError, match=message):
            arguments_schema([parameter], strict=True)


class NotJson:
    pass


@pytest.mark.parametrize(
    "annotation", [complex, object, NotJson, list[NotJson], Place | Point, type]
)
def test_an_annotation_that_json_cannot_say_is_refused_by_name(annotation: Any) -> None:
    with pytest.raises(ToolDefinitionError, match=r"parameter 'bad': .*not supported"):
        arguments_type([Parameter("bad", annotation)])


def test_left_out_arguments_are_missing_and_not_the_default() -> None:
    made = arguments_type([Parameter("a", int), Parameter("b", int, 5)])
    assert msgspec.json.decode(b'{"a": 1}', type=made) == made(a=1, b=MISSING)
