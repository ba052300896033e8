"""Requests and answers against a vendor's Swagger 2 file: path, method, query, body, status and answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema


class Swagger:
    """One specification file; each check raises AssertionError or a jsonschema ValidationError."""

    def __init__(self, file: Path) -> None:
        self._paths: dict[str, Any] = json.loads(file.read_text("utf-8"))["paths"]

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """The operation a concrete path belongs to, with the path's own parameters."""
        for template, methods in self._paths.items():
            if method.lower() in methods and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
                operation = methods[method.lower()]
                return {**operation, "parameters": operation.get("parameters", []) + methods.get("parameters", [])}
        raise AssertionError(f"the specification has no {method} {path}")

    def check_request(
        self, method: str, path: str, query: Mapping[str, list[str]], body: str, also_allowed: frozenset[str]
    ) -> None:
        parameters = self.operation(method, path)["parameters"]
        declared = {parameter["name"]: parameter for parameter in parameters if parameter["in"] == "query"}
        for name, values in query.items():
            assert name in declared or name in also_allowed, f"{method} {path} knows no parameter {name}"
            for value in values if name in declared else []:
                _check_parameter(declared[name], value)
        missing = [name for name, parameter in declared.items() if parameter.get("required") and name not in query]
        assert not missing, f"{method} {path} needs {missing}"
        schemas = [parameter["schema"] for parameter in parameters if parameter["in"] == "body"]
        if schemas:
            jsonschema.Draft4Validator(closed(schemas[0])).validate(json.loads(body))
        else:
            assert not body, f"{method} {path} takes no body"

    def check_answer(self, method: str, path: str, status: int, body: bytes) -> None:
        responses = self.operation(method, path)["responses"]
        response = responses.get(str(status)) or responses["default"]
        if "schema" in response:
            # Problem details may carry more than the specification names (the list of wrong fields).
            schema = closed(response["schema"]) if status < 400 else response["schema"]
            jsonschema.Draft4Validator(schema).validate(json.loads(body))
        else:
            assert not body


def closed(schema: Any) -> Any:
    """The schema with no room for properties it does not name: a field we invented would go unseen otherwise."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copied = {name: closed(item) for name, item in schema.items()}
    if isinstance(copied.get("properties"), dict) and "additionalProperties" not in copied and copied["properties"]:
        copied["additionalProperties"] = False
    return copied


def operations_in_batch(body: str) -> Iterator[tuple[str, str, dict[str, list[str]], str]]:
    """The calls inside a Mailchimp batch: method, path, query, body."""
    for operation in json.loads(body)["operations"]:
        query = {name: [str(value)] for name, value in (operation.get("params") or {}).items()}
        yield operation["method"], "/" + operation["path"].lstrip("/"), query, operation.get("body") or ""


def _check_parameter(parameter: dict[str, Any], value: str) -> None:
    kind = parameter.get("type")
    if kind == "boolean":
        assert value in ("true", "false"), f"{parameter['name']}={value}"
    if kind == "integer":
        assert value.isdigit(), f"{parameter['name']}={value}"
        assert int(value) <= parameter.get("maximum", int(value)), f"{parameter['name']}={value}"
    if "enum" in parameter:
        assert value in parameter["enum"], f"{parameter['name']}={value}"
