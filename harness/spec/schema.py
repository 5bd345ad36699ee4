"""JSON Schemas made of the types: of specs, for editors, and of the files of the image contract."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from harness.spec.experiment import Experiment
from harness.spec.inventory import Inventory
from harness.spec.paths import SETTABLE, split
from harness.spec.quantities import Quantity

DRAFT_7 = "http://json-schema.org/draft-07/schema#"  # what editors know
Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    """Defaults as they are written in a file; no titles that only repeat the key."""

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 (pydantic's signature)
        """A default as JSON: `128 B`, not the fields of a `Size`."""
        if isinstance(dft, Quantity):
            return str(dft)
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json")
        return super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 (pydantic's signature)
        """Never: the key is the title."""
        return False


def schema_of(record: type[BaseModel]) -> Schema:
    """The JSON Schema (draft 2020-12) of a record as it is read from a file."""
    schema = record.model_json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


def experiment_schema() -> Schema:
    """The JSON Schema (draft 7) of a spec, with the levels of every factor typed, for completion in editors."""
    schema = {**schema_of(Experiment), "$schema": DRAFT_7}
    definitions = schema["$defs"]
    levels = {path: {"anyOf": [_leaf(path), {"$ref": "#/$defs/LevelSet"}]} for path in _paths()}
    definitions["LevelSet"] = _level_set()
    schema["properties"]["factors"] |= _by_path(
        {path: {"type": "array", "minItems": 1, "items": level} for path, level in levels.items()}
    )
    by_label = {"type": "string", "description": "A level's label."}
    schema["properties"]["exclude"]["items"] = _by_path({path: {"anyOf": [_leaf(path), by_label]} for path in _paths()})
    return schema


def inventory_schema() -> Schema:
    """The JSON Schema (draft 7) of an inventory, for completion in editors."""
    return {**schema_of(Inventory), "$schema": DRAFT_7}


def _paths() -> list[str]:
    return [*SETTABLE, "options.", "request.headers."]


def _leaf(path: str) -> Schema:
    """What a dotted path may be set to, as a reference into the trial's own definitions."""
    if path == "options.":
        return {"type": ["boolean", "integer", "number", "string", "null"]}
    if path == "request.headers.":
        return {"type": "string"}
    section, _, key = path.partition(".")
    if not key:
        return {"$ref": f"#/$defs/Trial/properties/{section}"}
    return {"$ref": f"#/$defs/{section.capitalize()}/properties/{'.'.join(split(path)[1:])}"}


def _level_set() -> Schema:
    return {
        "type": "object",
        "description": "A level that sets several keys at once, under one label.",
        "properties": {
            "label": {"type": "string", "minLength": 1, "maxLength": 60, "description": "Name of the level."},
            "set": {
                "description": "Dotted path: value.",
                "minProperties": 1,
                **_by_path({path: _leaf(path) for path in _paths()}),
            },
        },
        "required": ["label", "set"],
        "additionalProperties": False,
    }


def _by_path(schemas: Schema) -> Schema:
    """An object whose keys are dotted paths."""
    return {
        "type": "object",
        "properties": {path: schema for path, schema in schemas.items() if not path.endswith(".")},
        "patternProperties": {
            f"^{path.replace('.', chr(92) + '.')}.+$": schema for path, schema in schemas.items() if path.endswith(".")
        },
        "additionalProperties": False,
    }
