"""HTTP to vendors, written once: retries, budgets, token renewal, time limits, metrics; nothing personal in messages.

VendorError
├── VendorDown        no usable answer (5xx, time-out, refused connection) for as long as we were told to try
├── Throttled         the vendor kept saying "slow down", or asks to wait longer than we may
├── AuthError         credentials refused; names the environment variable
├── RequestRefused    the vendor understood and said no (other 4xx); `.status` and `.answer` tell why
├── MalformedAnswer   the answer is not what the protocol promises (broken JSON, a cursor that stands still)
├── OutcomeUnknown    a write that may not be repeated was sent and no answer came back
└── ContractError     a declared field disappeared or changed type; names stream, field and a sample
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_any
from tenacity.stop import stop_base

from connectors.authentication import Authentication, FixedHeader, RenewedToken
from connectors.budget import Budget, budget_of
from connectors.errors import (
    AuthError,
    ContractError,
    MalformedAnswer,
    OutcomeUnknown,
    RequestRefused,
    Throttled,
    VendorDown,
    VendorError,
    redact,
)
from connectors.settings import run_config

__all__ = [
    "AuthError",
    "Authentication",
    "Budget",
    "ContractError",
    "FixedHeader",
    "MalformedAnswer",
    "Metrics",
    "OutcomeUnknown",
    "RenewedToken",
    "RequestRefused",
    "Session",
    "Throttled",
    "VendorDown",
    "VendorError",
    "budget_of",
    "redact",
    "retry_after",
]

logger = logging.getLogger(__name__)

# Looks at a parsed answer: what is wrong with it, None when nothing is.
Check = Callable[[Any], str | None]

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
# A cut-off body is often cured by asking again; a vendor that always sends nonsense should fail soon.
MALFORMED_ATTEMPTS = 3
DOWNLOAD_CHUNK_BYTES = 1 << 20
# A company's proxy is honoured for vendors, and cannot reach the sandbox on this machine.
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
NO_PROXY: Any = {"http": None, "https": None, "all": None}


class _Retriable(Exception):
    """One attempt failed in a way that asks for another; carries the error to raise when time is up."""

    def __init__(self, error: VendorError, wait: float | None = None, *, is_throttle: bool = False) -> None:
        super().__init__(str(error))
        self.error, self.wait, self.is_throttle = error, wait, is_throttle


@dataclass
class Metrics:
    """What talking to the vendor took: attempts on the wire, seconds in them, seconds held back by limits, bytes."""

    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    throttled_seconds: float = 0.0
    bytes: int = 0

    def since(self, earlier: "Metrics") -> "Metrics":
        return Metrics(
            self.requests - earlier.requests,
            self.retries - earlier.retries,
            self.seconds - earlier.seconds,
            self.throttled_seconds - earlier.throttled_seconds,
            self.bytes - earlier.bytes,
        )


class _TimeIsUp(stop_base):
    """Stop before a wait that would end past the time allowed: sleeping first and failing then helps nobody."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, retry_state: RetryCallState) -> bool:
        elapsed = retry_state.seconds_since_start or 0.0
        return elapsed + retry_state.upcoming_sleep > self.seconds


class _MalformedTooOften(stop_base):
    def __call__(self, retry_state: RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        is_malformed = isinstance(error, _Retriable) and isinstance(error.error, MalformedAnswer)
        return is_malformed and retry_state.attempt_number >= MALFORMED_ATTEMPTS


def _leave_as_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _token_problem(answer: Any) -> str | None:
    return None if answer["access_token"] else "no token"


def _no_complaint(answer: Any) -> None:
    return None


class Session:
    """A requests session for one vendor account.

    `throttled(response)` says whether an answer means "slow down" and for how long (None: it does not; a negative
    number: it does, without saying how long); `broken(response)` why an HTTP success is a passing failure all the same;
    `pace(response)` how long to hold back before the next request. `variable` is what to name when a session without
    authentication (one that fetches tokens) is refused; `metrics` lets two sessions of an account count together.
    """

    def __init__(
        self,
        vendor: str,
        authentication: Authentication | None = None,
        *,
        budget: Budget | None = None,
        throttled: Callable[[requests.Response], float | None] = lambda response: None,
        broken: Callable[[requests.Response], str | None] = lambda response: None,
        pace: Callable[[requests.Response], float] = lambda response: 0.0,
        variable: str = "the credentials",
        metrics: Metrics | None = None,
        read_seconds: float = READ_SECONDS,
        retry_seconds: float | None = None,
        secrets: tuple[str, ...] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.vendor = vendor
        self.authentication = authentication
        self.metrics = metrics or Metrics()
        self._budget = budget or Budget()
        self._throttled, self._broken, self._pace = throttled, broken, pace
        self._variable = authentication.variable if authentication else variable
        self._timeout = (CONNECT_SECONDS, read_seconds)
        self._retry_seconds = run_config().retry_seconds if retry_seconds is None else retry_seconds
        self._secrets = secrets
        self._sleep = sleep
        self._lock = threading.Lock()
        self._is_down = False
        self._requests = requests.Session()
        # Without an `auth` of its own requests takes the host's login from ~/.netrc and drops our header for it.
        self._requests.auth = _leave_as_is

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json_body: Any = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        authenticated: bool = True,
        is_repeatable: bool = True,
        save_to: Path | None = None,
        check: Check | None = None,
    ) -> tuple[requests.Response, Any]:
        """Send until answered, within `KIZUNA_RETRY_SECONDS`; any error of the tree above. Returns (answer, its JSON).

        `is_repeatable=False`: a write whose repeat would act twice. It is retried only when it surely did nothing
        (throttled, refused connection); otherwise OutcomeUnknown. `save_to` streams the body into a file. With `check`
        the answer must be JSON, hold what `check` touches, and give it nothing to complain of; else it is asked for
        again, then MalformedAnswer.
        """
        keywords: dict[str, Any] = {"params": params, "json": json_body, "data": form, "headers": headers}
        renewals = iter([True])

        def attempt() -> tuple[requests.Response, Any]:
            response = self._send(method, url, keywords, authenticated, is_repeatable, save_to)
            if response.status_code == 401 and authenticated and self._renewed(renewals):
                response = self._send(method, url, keywords, authenticated, is_repeatable, save_to)
            if save_to and response.ok:
                return response, None
            self._judge(method, url, response, is_repeatable)
            return response, None if check is None else self._checked(method, url, response, is_repeatable, check)

        # After one proven outage the rest of the run's streams fail at once instead of waiting it out again.
        allowed = 0.0 if self._is_down else self._retry_seconds
        retrying = Retrying(
            stop=stop_any(_TimeIsUp(allowed), _MalformedTooOften()),
            wait=self._wait,
            retry=retry_if_exception_type(_Retriable),
            sleep=self._sleep,
            before_sleep=self._before_retry,
            reraise=True,
        )
        try:
            answered: tuple[requests.Response, Any] = retrying(attempt)
        except _Retriable as last:
            self._is_down = isinstance(last.error, VendorDown)
            raise last.error from None
        self._is_down = False
        return answered

    def json(
        self, method: str, url: str, *, check: Callable[[Any], str | None] = _no_complaint, **keywords: Any
    ) -> Any:
        """Send and return the parsed answer."""
        return self.request(method, url, check=check, **keywords)[1]

    def page(self, method: str, url: str, *, check: Check = _no_complaint, **keywords: Any) -> tuple[bytes, Any]:
        """Send and return the body as it came (for landing) and parsed (for the cursor)."""
        response, answer = self.request(method, url, check=check, **keywords)
        return response.content, answer

    def token(self, url: str, form: Mapping[str, Any]) -> tuple[str, float]:
        """(access token, lifetime in seconds) from an OAuth token endpoint; AuthError names the variable."""
        try:
            answer = self.json("POST", url, form=form, authenticated=False, check=_token_problem)
        except RequestRefused as error:
            # OAuth answers 400 for wrong credentials.
            raise AuthError(f"{error}; check {self._variable}, see .env.example") from None
        return str(answer["access_token"]), float(answer.get("expires_in", 3600))

    def download(self, url: str, path: Path) -> None:
        """Save a pre-signed file (no credentials are sent)."""
        self.request("GET", url, authenticated=False, save_to=path)

    def snapshot(self) -> Metrics:
        with self._lock:
            return replace(self.metrics)

    def redact(self, text: str) -> str:
        renewed = self.authentication.secrets() if self.authentication else ()
        return redact(text, (*self._secrets, *renewed))

    def _send(
        self,
        method: str,
        url: str,
        keywords: dict[str, Any],
        authenticated: bool,
        is_repeatable: bool,
        save_to: Path | None,
    ) -> requests.Response:
        identity = dict(self.authentication.headers()) if authenticated and self.authentication else {}
        given = keywords | {"headers": {**identity, **(keywords["headers"] or {})}}
        where = self._where(method, url)
        with self._budget.turn(self._sleep) as waited:
            started = time.monotonic()
            size = 0
            try:
                # No redirects with credentials: requests would carry a vendor's own header to another host.
                response = self._requests.request(
                    method,
                    url,
                    timeout=self._timeout,
                    stream=save_to is not None,
                    allow_redirects=not authenticated,
                    proxies=NO_PROXY if urlsplit(url).hostname in LOOPBACK else None,
                    **given,
                )
                size = self._save(response, save_to) if save_to and response.ok else len(response.content)
            except requests.exceptions.ConnectTimeout:
                raise _Retriable(VendorDown(f"{where}: cannot connect within {CONNECT_SECONDS:.0f} s")) from None
            except requests.exceptions.Timeout:
                self._unless_repeatable(is_repeatable, where, "no answer in time")
                raise _Retriable(VendorDown(f"{where}: no answer within {self._timeout[1]:.0f} s")) from None
            except requests.exceptions.RequestException as error:
                kind = type(error).__name__
                if not _never_sent(error):
                    self._unless_repeatable(is_repeatable, where, kind)
                raise _Retriable(VendorDown(f"{where}: {kind}")) from None
            finally:
                with self._lock:
                    self.metrics.requests += 1
                    self.metrics.seconds += time.monotonic() - started
                    self.metrics.throttled_seconds += waited
                    self.metrics.bytes += size
        logger.debug("%s: %s, %d bytes", where, response.status_code, size)
        # A saved file is no API answer: its body is gone and holds no signals.
        pause = 0.0 if save_to and response.ok else self._pace(response)
        if pause > 0:
            self._budget.hold(pause)
        return response

    def _judge(self, method: str, url: str, response: requests.Response, is_repeatable: bool) -> None:
        """Return for a good answer, else raise what it means."""
        where = self._where(method, url)
        status = response.status_code
        signal = self._throttled(response)
        if signal is not None or status == 429:
            wait = signal if signal is not None and signal >= 0 else retry_after(response)
            said = "" if wait is None else f", wait {wait:.0f} s"
            raise _Retriable(
                Throttled(f"{where}: the vendor's limit is reached (HTTP {status}{said})"), wait, is_throttle=True
            )
        if status < 400:
            failure = self._broken(response)
            if failure is not None:
                self._unless_repeatable(is_repeatable, where, failure)
                raise _Retriable(VendorDown(f"{where}: {self.redact(failure)}"))
            return
        message = self._message(response)
        if status in (401, 403):
            raise AuthError(
                f"{where}: HTTP {status}, the vendor refuses {self._variable}; see .env.example. It says: {message}"
            )
        if status >= 500 or status == 408:
            if status != 503:
                self._unless_repeatable(is_repeatable, where, f"HTTP {status}")
            raise _Retriable(VendorDown(f"{where}: HTTP {status}. It says: {message}"), retry_after(response))
        try:
            answer = response.json()
        except requests.exceptions.JSONDecodeError:
            answer = None
        raise RequestRefused(f"{where}: HTTP {status}. It says: {message}", status, answer)

    def _checked(
        self,
        method: str,
        url: str,
        response: requests.Response,
        is_repeatable: bool,
        check: Check,
    ) -> Any:
        where = self._where(method, url)
        # Messages say where an answer broke, never its text: that may hold personal data.
        try:
            answer = orjson.loads(response.content)
            complaint = check(answer)
        except ValueError as error:
            complaint = f"not JSON ({str(error).split(':', 1)[0]}, {len(response.content)} bytes)"
        except (KeyError, IndexError) as error:
            complaint = f"the answer lacks {error}"
        except (TypeError, AttributeError):
            complaint = "the answer has another shape than documented"
        if complaint is None:
            return answer
        self._unless_repeatable(is_repeatable, where, complaint)
        raise _Retriable(MalformedAnswer(f"{where}: {complaint}"))

    def _renewed(self, renewals: Iterator[bool]) -> bool:
        return bool(self.authentication and next(renewals, False) and self.authentication.renew())

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _Retriable) and error.wait is not None:
            return error.wait
        # Jitter: many clients that failed together must not come back together.
        ceiling = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (state.attempt_number - 1))
        return random.uniform(ceiling / 2, ceiling)

    def _before_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        logger.info("%s; next try in %.1f s", error, wait)
        is_throttle = isinstance(error, _Retriable) and error.is_throttle
        with self._lock:
            self.metrics.retries += 1
            self.metrics.throttled_seconds += wait if is_throttle else 0.0

    def _unless_repeatable(self, is_repeatable: bool, where: str, what: str) -> None:
        if not is_repeatable:
            raise OutcomeUnknown(f"{where}: {what} after a write was sent; its outcome is not known") from None

    def _where(self, method: str, url: str) -> str:
        return f"{self.vendor} {method} {self.redact(urlsplit(url).path)}"

    def _message(self, response: requests.Response) -> str:
        text = " ".join(response.text[:2000].split())
        return self.redact(text)[:300] or "(nothing)"

    def _save(self, response: requests.Response, path: Path) -> int:
        size = 0
        with path.open("wb") as file:
            for chunk in response.iter_content(DOWNLOAD_CHUNK_BYTES):
                size += file.write(chunk)
        return size


def retry_after(response: requests.Response) -> float | None:
    """Seconds asked for by `Retry-After` (a number or an HTTP date), None when there is no such header."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _never_sent(error: requests.exceptions.RequestException) -> bool:
    # requests wraps urllib3's NewConnectionError (refused, no such host) in ConnectionError; nothing was sent then.
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason).__name__ in {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}
