"""JSON answers against an OpenAPI 3.0 document (HubSpot) or a Google discovery document (BigQuery)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema


class Document:
    """Named schemas of a vendor's document as JSON Schema; objects take no properties the vendor does not name."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._definitions = {name: _converted(schema) for name, schema in schemas.items()}

    @classmethod
    def openapi(cls, file: Path) -> OpenApi:
        return OpenApi(json.loads(file.read_text("utf-8")))

    @classmethod
    def discovery(cls, file: Path) -> Document:
        return cls(json.loads(file.read_text("utf-8"))["schemas"])

    def check(self, name: str, value: Any) -> None:
        """Raises a jsonschema ValidationError."""
        # Not `jsonschema.validate`: it would hold the whole document against the metaschema at every call.
        schema = {"$ref": f"#/definitions/{name}", "definitions": self._definitions}
        jsonschema.Draft202012Validator(schema).validate(value)


class OpenApi(Document):
    """An OpenAPI document: also finds the schema by path, method and status."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document["components"]["schemas"])
        self._paths = document["paths"]

    def check_answer(self, method: str, path: str, status: int, value: Any) -> None:
        responses = self._operation(method, path)["responses"]
        response = responses.get(str(status)) or responses["default"]
        content = response.get("content", {})
        # the generated document lists "*/*" for some answers; all of them are JSON
        schema = next(iter(content.values()))["schema"]
        if "$ref" in schema:
            self.check(schema["$ref"].rsplit("/", 1)[-1], value)
            return
        for option in schema.get("oneOf") or schema["anyOf"]:
            try:
                self.check(option["$ref"].rsplit("/", 1)[-1], value)
            except jsonschema.ValidationError:
                continue
            return
        raise AssertionError(f"{method} {path} {status}: no schema fits")

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        exact = [t for t in self._paths if t == path]
        for template in exact + list(self._paths):
            if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and method.lower() in self._paths[template]:
                found: dict[str, Any] = self._paths[template][method.lower()]
                return found
        raise AssertionError(f"the document has no {method} {path}")


def _converted(schema: Any) -> Any:
    """A JSON Schema of the same meaning."""
    if isinstance(schema, list):
        return [_converted(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/definitions/{schema['$ref'].rsplit('/', 1)[-1]}"}
    copied = {}
    for name, item in schema.items():
        if name == "properties":
            copied[name] = {key: _converted(value) for key, value in item.items()}
        elif name == "required" and isinstance(item, bool):
            continue
        elif name == "enum" and (schema.get("format") == "date-time" or schema.get("type") not in ("string", None)):
            continue  # the rebuilt document puts some enumerations at the field before theirs
        else:
            copied[name] = _converted(item)
    if copied.get("type") == "any":
        del copied["type"]
    if schema.get("nullable"):
        copied["type"] = [copied["type"], "null"]
    if copied.get("properties") and "additionalProperties" not in copied:
        copied["additionalProperties"] = False
    return copied
