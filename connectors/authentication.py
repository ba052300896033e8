"""How a request proves who we are: a fixed header, or a token that is renewed."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


class Authentication(Protocol):
    """Headers that prove who we are; `variable` is the environment variable to name when they are refused."""

    variable: str

    def headers(self) -> Mapping[str, str]: ...

    def renew(self) -> bool:
        """Get a fresh token after a refusal; False when there is nothing to renew."""
        ...

    def secrets(self) -> tuple[str, ...]: ...


@dataclass
class FixedHeader:
    """A token or key that never changes while we run."""

    variable: str
    header: str
    value: str
    secret: str

    def headers(self) -> Mapping[str, str]:
        return {self.header: self.value}

    def renew(self) -> bool:
        return False

    def secrets(self) -> tuple[str, ...]:
        return (self.secret, self.value)


class RenewedToken:
    """A token that expires: `fetch` returns (token, lifetime in seconds); renewed a minute early or after a refusal."""

    def __init__(self, variable: str, header: str, prefix: str, fetch: Callable[[], tuple[str, float]]) -> None:
        self.variable = variable
        self._header, self._prefix, self._fetch = header, prefix, fetch
        self._token, self._expires_at = "", 0.0
        self._lock = threading.Lock()

    def headers(self) -> Mapping[str, str]:
        with self._lock:
            if time.monotonic() > self._expires_at - 60:
                self._renew()
            return {self._header: f"{self._prefix}{self._token}"}

    def renew(self) -> bool:
        with self._lock:
            self._renew()
            return True

    def secrets(self) -> tuple[str, ...]:
        return (self._token,)

    def _renew(self) -> None:
        self._token, lifetime = self._fetch()
        self._expires_at = time.monotonic() + lifetime
