"""What the vendors were asked: counts for ever, the last few hundred requests in full, without credentials."""

import threading
from collections import Counter, deque
from typing import Any

from flask import request

from connectors.sandbox import credentials, faults

LOGGED_REQUESTS = 500
LOGGED_BODY_BYTES = 100_000


class RequestLog:
    """What the vendors were asked: counts for ever, the last few hundred requests in full, without credentials."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str, int]] = Counter()
        self._last: deque[dict[str, Any]] = deque(maxlen=LOGGED_REQUESTS)

    def record(self, vendor: str, route: str, status: int) -> None:
        entry = {
            "vendor": vendor,
            "method": request.method,
            "path": request.path,
            "query": {k: v for k, v in request.args.to_dict(flat=False).items() if k not in _SECRET_PARAMETERS},
            "headers": {k: v for k, v in request.headers if k not in _SECRET_HEADERS},
            "body": _body_without_secrets(),
            "status": status,
        }
        with self._lock:
            self._counts[vendor, request.method, route, status] += 1
            self._last.append(entry)

    def counts(self) -> list[dict[str, Any]]:
        """Requests per vendor, method, route and status."""
        with self._lock:
            return [
                {"vendor": vendor, "method": method, "path": path, "status": status, "count": count}
                for (vendor, method, path, status), count in sorted(self._counts.items())
            ]

    def count(self, vendor: str) -> int:
        with self._lock:
            return sum(
                count for key, count in self._counts.items() if key[0] == faults.VENDOR_ALIASES.get(vendor, vendor)
            )

    def last(self, vendor: str | None = None) -> list[dict[str, Any]]:
        with self._lock:
            return [entry for entry in self._last if vendor in (None, entry["vendor"])]

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()
            self._last.clear()


_SECRET_HEADERS = {"Authorization", "X-Shopify-Access-Token"}
_SECRET_PARAMETERS = {"access_token", "appsecret_proof"}
_LOGIN_PATHS = ("/google/token", "/shopify/admin/oauth/access_token")


def _body_without_secrets() -> str:
    if request.path in _LOGIN_PATHS:
        return "(credentials)"
    text = request.get_data(as_text=True)[:LOGGED_BODY_BYTES]
    # Meta's clients send the token among the form's fields
    return text.replace(credentials.META_ACCESS_TOKEN, "***")
