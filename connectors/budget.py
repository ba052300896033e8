"""What a quota holder lets us use, shared by everything in this process that talks for it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Budget:
    """What one quota holder (an account, a shop, an app) lets us use; shared by every session with the same key."""

    def __init__(self, requests_per_second: float | None = None, concurrency: int | None = None) -> None:
        self._spacing = 1.0 / requests_per_second if requests_per_second else 0.0
        self._slots = threading.BoundedSemaphore(concurrency) if concurrency else None
        self._lock = threading.Lock()
        self._next_at = 0.0

    def hold(self, seconds: float) -> None:
        """Nobody of this quota holder sends before `seconds` have passed: the vendor said so."""
        with self._lock:
            self._next_at = max(self._next_at, time.monotonic() + seconds)

    @contextmanager
    def turn(self, sleep: Callable[[float], None]) -> Iterator[float]:
        """One request's turn; yields how many seconds it had to wait."""
        started = time.monotonic()
        slot = self._slots
        if slot:
            slot.acquire()
        try:
            with self._lock:
                now = time.monotonic()
                wait = max(0.0, self._next_at - now)
                self._next_at = max(self._next_at, now) + self._spacing
            if wait:
                sleep(wait)
            yield time.monotonic() - started
        finally:
            if slot:
                slot.release()


_budgets: dict[str, Budget] = {}
_budgets_lock = threading.Lock()


def budget_of(holder: str, requests_per_second: float | None = None, concurrency: int | None = None) -> Budget:
    """The one budget of a quota holder in this process; the first caller sets its figures."""
    with _budgets_lock:
        if holder not in _budgets:
            _budgets[holder] = Budget(requests_per_second, concurrency)
        return _budgets[holder]
