"""HubSpot's rate limits: a rolling ten seconds per app, search by the second, and the day."""

import threading
import time
from collections import deque

TEN_SECONDS_LIMIT = 190
SEARCH_LIMIT = 5
DAILY_LIMIT = 625_000


class Limits:
    """Counts the requests of one app in real time; `pace` shortens the windows for tests that are not about limits."""

    def __init__(self, pace: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._pace = pace
        self._recent: deque[float] = deque()
        self._searches: deque[float] = deque()
        self._today = 0

    def admit(self, is_search: bool) -> str | None:
        """Count a request, or name the policy that forbids it now."""
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            if self._today >= DAILY_LIMIT:
                return "DAILY"
            if is_search and len(self._searches) >= SEARCH_LIMIT:
                return "SECONDLY"
            if len(self._recent) >= TEN_SECONDS_LIMIT:
                return "TEN_SECONDLY_ROLLING"
            self._recent.append(now)
            self._today += 1
            if is_search:
                self._searches.append(now)
            return None

    def headers(self) -> dict[str, str]:
        with self._lock:
            self._forget(time.monotonic())
            return {
                "X-HubSpot-RateLimit-Daily": str(DAILY_LIMIT),
                "X-HubSpot-RateLimit-Daily-Remaining": str(DAILY_LIMIT - self._today),
                "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
                "X-HubSpot-RateLimit-Max": str(TEN_SECONDS_LIMIT),
                "X-HubSpot-RateLimit-Remaining": str(TEN_SECONDS_LIMIT - len(self._recent)),
            }

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0] <= now - 10 / self._pace:
            self._recent.popleft()
        while self._searches and self._searches[0] <= now - 1 / self._pace:
            self._searches.popleft()
