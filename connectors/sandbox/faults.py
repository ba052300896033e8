"""Faults on request: a test or a demo asks for one, the next matching requests meet it, whatever the vendor.

A fault says which requests it meets (vendor, path and body by regular expression, method), how many it lets pass first
(`after`) and how many it spoils (`times`, None = until deleted). What its answers look like is the vendor's own
business (`failure_answer`, `partial_answer`, `expire_tokens` of the vendor's module).
"""

import contextlib
import dataclasses
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from flask import Flask, Response, g, request

BEFORE_KINDS = frozenset(
    {"429", "429_retry_after", "throttled", "500_before", "timeout", "expired_token", "down"},
)
"""The request never reaches the vendor's code."""

AFTER_KINDS = frozenset(
    {
        "500_after_commit",
        "dropped_after_commit",
        "partial",
        "duplicate_page",
        "malformed_json",
        "empty_page",
        "drop_field",
        "retype_field",
    },
)
"""The vendor's code runs and commits; then its answer is spoiled."""

PAGE_LISTS = frozenset(
    {"nodes", "edges", "results", "rows", "members", "tables", "data", "reports", "emails", "unsubscribes"}
)
"""The names under which the vendors' answers carry a page of records."""


@dataclasses.dataclass
class Fault:
    """One fault on request; see the module's docstring."""

    vendor: str
    kind: str
    path: str = ""
    method: str | None = None
    body: str | None = None
    times: int | None = 1
    after: int = 0
    seconds: float = 1.0
    """How long `timeout` stays silent before it hangs up, and what `429_retry_after` asks for."""
    status: int | None = None
    """Another HTTP status than the kind's own."""
    field: str = ""
    """The field to drop or retype, wherever the answer has it: its name, or a dotted end of its path."""
    value: Any = dataclasses.field(default_factory=lambda: {"unexpected": "object"})
    """What a retyped field holds instead."""
    limit: int | None = None
    """How many occurrences in one answer are dropped or retyped; None = all."""
    seen: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        self.vendor = VENDOR_ALIASES.get(self.vendor, self.vendor)
        if self.kind not in BEFORE_KINDS | AFTER_KINDS:
            raise ValueError(
                f"unknown fault kind {self.kind!r}; known: {', '.join(sorted(BEFORE_KINDS | AFTER_KINDS))}"
            )
        if self.kind == "down" and self.times == 1:
            self.times = None

    def is_spent(self) -> bool:
        return self.times is not None and self.fired >= self.times


VENDOR_ALIASES = {"ga4": "bigquery", "google": "bigquery"}
FAULT_FIELDS = {item.name for item in dataclasses.fields(Fault)} - {"seen", "fired"}


def vendor_of(path: str) -> str:
    """The vendor a request path belongs to: its first part."""
    first = path.lstrip("/").split("/", 1)[0]
    return VENDOR_ALIASES.get(first, first)


class Faults:
    """The faults now asked for, and the last good page of each list while a `duplicate_page` waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._pages: dict[tuple[str, str, str, str], bytes] = {}

    def add(self, vendor: str, kind: str, **options: Any) -> Fault:
        unknown = set(options) - FAULT_FIELDS
        if unknown:
            raise ValueError(f"unknown fault options {sorted(unknown)}; known: {sorted(FAULT_FIELDS)}")
        fault = Fault(vendor=vendor, kind=kind, **options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self._pages.clear()

    def listing(self) -> list[dict[str, Any]]:
        with self._lock:
            return [dataclasses.asdict(fault) for fault in self._faults]

    def take(self, vendor: str, method: str, path: str, body: str) -> Fault | None:
        """The first fault this request meets, counted as fired; None for nearly every request."""
        with self._lock:
            for fault in self._faults:
                if fault.vendor != vendor or fault.is_spent() or (fault.method and fault.method.upper() != method):
                    continue
                if not re.search(fault.path, path) or (fault.body and not re.search(fault.body, body)):
                    continue
                fault.seen += 1
                if fault.seen > fault.after:
                    fault.fired += 1
                    return fault
        return None

    def release(self, fault: Fault) -> None:
        """The fault found nothing to spoil in this answer: it waits for the next."""
        with self._lock:
            fault.fired -= 1

    def awaits_duplicate(self, vendor: str) -> bool:
        with self._lock:
            return any(f.vendor == vendor and f.kind == "duplicate_page" and not f.is_spent() for f in self._faults)

    def swap_page(self, key: tuple[str, str, str, str], page: bytes | None) -> bytes | None:
        """The page before this one under the same key; remembers `page` unless it is None."""
        with self._lock:
            previous = self._pages.get(key)
            if page is not None:
                self._pages[key] = page
            return previous


def install(app: Flask, faults: Faults, modules: Mapping[str, ModuleType]) -> None:
    """Hang the faults before and after every vendor request of the app."""

    @app.before_request
    def spoil_request() -> Response | None:
        g.fault = None
        vendor = vendor_of(request.path)
        if vendor not in modules:
            return None
        g.fault = fault = faults.take(vendor, request.method, request.full_path, request.get_data(as_text=True))
        if fault is None or fault.kind not in BEFORE_KINDS:
            return None
        g.fault = None
        return _failure(fault, modules[vendor])

    @app.after_request
    def spoil_answer(response: Response) -> Response:
        vendor = vendor_of(request.path)
        if vendor not in modules or response.status_code >= 300:
            return response
        fault: Fault | None = g.get("fault")
        previous = None
        if faults.awaits_duplicate(vendor) or (fault and fault.kind == "duplicate_page"):
            is_duplicate = fault is not None and fault.kind == "duplicate_page"
            previous = faults.swap_page(_page_key(vendor), None if is_duplicate else response.get_data())
        if fault is None:
            return response
        spoiled = _spoil(fault, response, previous, modules[vendor])
        if spoiled is None:
            faults.release(fault)
            return response
        return spoiled


def hang_up() -> Response:
    """Close the client's connection without an answer; what this returns reaches nobody."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    with contextlib.suppress(OSError):  # a client that lost patience has hung up already
        connection.shutdown(socket.SHUT_RDWR)
    return Response(status=500)


def _failure(fault: Fault, module: ModuleType) -> Response:
    if fault.kind == "timeout":
        time.sleep(fault.seconds)
        return hang_up()
    if fault.kind == "down":
        return hang_up()
    if fault.kind == "expired_token" and hasattr(module, "expire_tokens"):
        module.expire_tokens()
    status = fault.status or {"500_before": 500, "expired_token": 401, "throttled": 200}.get(fault.kind, 429)
    response = _vendor_failure(module, status)
    if fault.kind == "429_retry_after":
        response.headers["Retry-After"] = f"{fault.seconds:g}"
    return response


def _vendor_failure(module: ModuleType, status: int) -> Response:
    if hasattr(module, "failure_answer"):
        answer = module.failure_answer(status)
        return (
            answer
            if isinstance(answer, Response)
            else Response(json.dumps(answer), status=status, content_type="application/json")
        )
    body = {"error": {"code": status, "message": "The sandbox was asked for this fault."}}
    return Response(json.dumps(body), status=status, content_type="application/json")


def _spoil(fault: Fault, response: Response, previous: bytes | None, module: ModuleType) -> Response | None:
    """The spoiled answer, or None where the fault finds nothing to spoil."""
    if fault.kind == "500_after_commit":
        return _vendor_failure(module, fault.status or 500)
    if fault.kind == "dropped_after_commit":
        return hang_up()
    if fault.kind == "partial":
        return module.partial_answer(response) if hasattr(module, "partial_answer") else None
    if fault.kind == "duplicate_page":
        return None if previous is None else _with_body(response, previous)
    body = _body(response)
    if fault.kind == "malformed_json":
        return _with_body(response, body[: len(body) // 2]) if body else None
    documents = [json.loads(line) for line in (body.splitlines() if _is_jsonl(response) else [body]) if line]
    edit = _Edit(fault)
    documents = [edit.apply(document) for document in documents]
    if not edit.count:
        return None
    return _with_body(response, b"\n".join(json.dumps(d, ensure_ascii=False).encode() for d in documents))


class _Edit:
    """Empties the page or drops or retypes a field, at any depth, also inside rows that are JSON text (BigQuery)."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.count = 0

    def apply(self, value: Any, path: str = "") -> Any:
        if isinstance(value, list):
            return [self.apply(item, path) for item in value]
        if isinstance(value, str) and value.startswith("{") and self.fault.kind != "empty_page":
            return self._apply_to_text(value, path)
        if not isinstance(value, dict):
            return value
        edited = {}
        for name, item in value.items():
            here = f"{path}.{name}"
            if not self._is_met(name, here, item):
                edited[name] = self.apply(item, here)
                continue
            self.count += 1
            if self.fault.kind == "empty_page":
                edited[name] = []
            elif self.fault.kind == "retype_field":
                edited[name] = self.fault.value
        return edited

    def _apply_to_text(self, text: str, path: str) -> str:
        before = self.count
        edited = self.apply(json.loads(text), path)
        return json.dumps(edited, ensure_ascii=False) if self.count > before else text

    def _is_met(self, name: str, path: str, item: Any) -> bool:
        if self.fault.limit is not None and self.count >= self.fault.limit:
            return False
        if self.fault.kind == "empty_page":
            return name in PAGE_LISTS and isinstance(item, list) and bool(item)
        return path.endswith(f".{self.fault.field}")


def _page_key(vendor: str) -> tuple[str, str, str, str]:
    """What makes two requests two pages of one list: the same path, and for GraphQL the same query text."""
    document = request.get_json(silent=True)
    query = document.get("query", "") if isinstance(document, dict) else ""
    return (vendor, request.method, request.path, query if isinstance(query, str) else "")


def _is_jsonl(response: Response) -> bool:
    return response.mimetype in {"application/jsonl", "application/x-ndjson"}


def _body(response: Response) -> bytes:
    response.direct_passthrough = False  # a file is about to be sent: read it instead
    return response.get_data()


def _with_body(response: Response, body: bytes) -> Response:
    response.direct_passthrough = False
    response.set_data(body)
    return response
