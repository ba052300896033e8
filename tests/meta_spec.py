"""Requests and answers against Meta's published tables of fields and parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Parameters every Graph call may carry; the tables list only each edge's own.
GRAPH_PARAMETERS = frozenset({"access_token", "fields", "limit", "after", "before"})
# Answers that are no node: described in the guide, not in the tables.
UPLOAD_ANSWER = frozenset({"audience_id", "session_id", "num_received", "num_invalid_entries", "invalid_entry_samples"})


class MetaSpec:
    """The tables under `vendor-specs/meta`."""

    def __init__(self, folder: Path) -> None:
        self._nodes = {
            name: json.loads((folder / f"{name}.spec.json").read_text("utf-8"))
            for name in ("AdAccount", "CustomAudience", "CustomAudienceSession", "CustomAudienceStatus")
        }

    def fields(self, node: str) -> set[str]:
        return {field["name"] for field in self._nodes[node]["fields"]}

    def parameters(self, method: str, path: str) -> set[str]:
        """The declared parameters of `act_.../edge`, `<audience>/edge` or `<audience>`."""
        owner, _, edge = path.strip("/").partition("/")
        node = "AdAccount" if owner.startswith("act_") else "CustomAudience"
        assert node == "AdAccount" or re.fullmatch(r"\d+", owner), path
        for call in self._nodes[node]["apis"]:
            name = call.get("endpoint") or {"#get": "", "#update": "", "#delete": ""}.get(call.get("name"))
            if call["method"] == method and name == edge:
                return {parameter["name"] for parameter in call["params"]}
        raise AssertionError(f"the specification has no {method} {path}")

    def check_request(self, method: str, path: str, query: Iterable[str], body: str) -> None:
        declared = self.parameters(method, path)
        sent = set(query) | (set(json.loads(body)) if body else set())
        assert sent <= declared | GRAPH_PARAMETERS, (method, path, sent - declared)

    def check_node(self, node: str, answer: dict[str, Any]) -> None:
        assert set(answer) <= self.fields(node), set(answer) - self.fields(node)
        for name in ("operation_status", "delivery_status"):
            if name in answer:
                self.check_node("CustomAudienceStatus", answer[name])
