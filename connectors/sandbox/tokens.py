"""Access tokens with an end: issued by the vendors' token endpoints, checked on every request."""

import secrets
import threading
import time

from flask import current_app


class Tokens:
    """The tokens of one running sandbox, in memory: a restart asks every client to log in again, as a vendor may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[tuple[str, str], float] = {}

    def issue(self, vendor: str, seconds: int, prefix: str = "") -> str:
        """A new token that lasts `seconds` of real time."""
        token = prefix + secrets.token_hex(16)
        with self._lock:
            self._ends[vendor, token] = time.monotonic() + seconds
        return token

    def is_valid(self, vendor: str, token: str | None) -> bool:
        with self._lock:
            return token is not None and self._ends.get((vendor, token), 0.0) > time.monotonic()

    def expire(self, vendor: str) -> None:
        """End every token of a vendor now."""
        with self._lock:
            self._ends = {key: end for key, end in self._ends.items() if key[0] != vendor}


def tokens() -> Tokens:
    """The tokens of the sandbox that answers the current request."""
    found: Tokens = current_app.extensions["kizuna_tokens"]
    return found


def pace() -> float:
    """How many times faster than the vendor's the sandbox's limits refill; 1 is the vendor's own pace."""
    found: float = current_app.extensions["kizuna_pace"]
    return found
