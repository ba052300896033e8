"""HubSpot's answers: finished JSON text, and the error envelopes of whole requests and of rows in a batch."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from flask import Response


class Refusal(Exception):
    """A request HubSpot answers with an error; carries the answer."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(category, message, **more)


def error_body(category: str, message: str, **more: Any) -> dict[str, Any]:
    return {
        "status": "error",
        "message": message,
        "correlationId": str(uuid.uuid4()),
        "category": category,
        **more,
    }


def standard_error(category: str, message: str, **context: list[str]) -> dict[str, Any]:
    """One failed record of a batch."""
    return {
        "status": "error",
        "category": category,
        "message": message,
        "context": context,
        "errors": [],
        "links": {},
    }


def rate_limited(policy: str) -> Response:
    words = {"SECONDLY": "secondly limit", "TEN_SECONDLY_ROLLING": "ten_secondly_rolling limit", "DAILY": "daily limit"}
    body = {
        "status": "error",
        "message": f"You have reached your {words[policy]}.",
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid.uuid4()),
        "policyName": policy,
        "requestId": str(uuid.uuid4()),
    }
    return json_answer(body, 429)


def json_answer(body: Mapping[str, Any], status: int = 200) -> Response:
    return text_answer(json.dumps(body, ensure_ascii=False), status)


def text_answer(body: str, status: int = 200) -> Response:
    return Response(body, status=status, content_type="application/json;charset=utf-8")
