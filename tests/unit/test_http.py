"""The HTTP layer against a real little server that answers what each test tells it to."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.http import (
    AuthError,
    FixedHeader,
    MalformedAnswer,
    OutcomeUnknown,
    RenewedToken,
    RequestRefused,
    Session,
    Throttled,
    VendorDown,
    budget_of,
    redact,
    retry_after,
)

Answer = tuple[int, dict[str, str], bytes] | None


@dataclass
class Server:
    """Answers in the order given; None hangs up without a word. The last one repeats."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def says(self, *answers: Answer) -> None:
        self.answers = list(answers)


@pytest.fixture
def server() -> Iterator[Server]:
    script = Server()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.seen.append((self.command, self.path, dict(self.headers), body))
            told = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            if told is None:
                self.connection.close()
                return
            status, headers, content = told
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield script
    running.shutdown()
    running.server_close()


@dataclass
class Clock:
    """Collects the waits instead of waiting."""

    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def ok(content: Any = None, **headers: str) -> Answer:
    return 200, headers, json.dumps({"ok": True} if content is None else content).encode()


def status(code: int, content: bytes = b"{}", **headers: str) -> Answer:
    return code, {name.replace("_", "-"): value for name, value in headers.items()}, content


def session(clock: Clock | None = None, **keywords: Any) -> Session:
    given: dict[str, Any] = {"retry_seconds": 1000.0, "sleep": (clock or Clock()).sleep} | keywords
    authentication = given.pop("authentication", FixedHeader("ACME_TOKEN", "Authorization", "Bearer t0k", "t0k"))
    return Session("acme", authentication, **given)


def test_answer_comes_with_credentials_and_metrics(server: Server) -> None:
    server.says(ok())
    acme = session()
    assert acme.json("GET", f"{server.url}/x", params={"a": 1}) == {"ok": True}
    assert server.seen[0][2]["Authorization"] == "Bearer t0k"
    spent = acme.snapshot()
    assert (spent.requests, spent.retries, spent.bytes) == (1, 0, 12)
    assert spent.seconds > 0


def test_machines_netrc_and_proxy_do_not_interfere(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.says(ok())
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    session().json("GET", server.url)
    assert server.seen[0][2]["Authorization"] == "Bearer t0k"


def test_redirect_does_not_carry_credentials_elsewhere(server: Server) -> None:
    server.says((302, {"Location": f"{server.url}/elsewhere"}, b""), ok())
    with pytest.raises(MalformedAnswer):
        session(retry_seconds=0.0).json("GET", server.url)
    assert [path for _, path, _, _ in server.seen] == ["/"]


def test_429_with_retry_after_waits_as_asked(server: Server) -> None:
    server.says(status(429, Retry_After="7"), ok())
    clock = Clock()
    acme = session(clock)
    acme.json("GET", server.url)
    assert clock.waits[0] == 7.0
    assert acme.snapshot().throttled_seconds >= 7.0


def test_429_without_retry_after_backs_off_with_jitter(server: Server) -> None:
    server.says(*[status(429)] * 4, ok())
    clock = Clock()
    session(clock).json("GET", server.url)
    waits = [wait for wait in clock.waits if wait > 0.1]
    assert len(waits) == 4
    for number, wait in enumerate(waits):
        assert 0.5 * 2**number / 2 <= wait <= 0.5 * 2**number


def test_vendors_own_throttle_signal_counts_whatever_the_status(server: Server) -> None:
    server.says(ok({"throttled": 3}), ok())
    clock = Clock()
    acme = session(clock, throttled=lambda r: 3.0 if b"throttled" in r.content else None)
    assert acme.json("GET", server.url) == {"ok": True}
    assert clock.waits[0] == 3.0


def test_throttling_longer_than_allowed_fails_at_once(server: Server) -> None:
    server.says(status(429, Retry_After="3600"))
    clock = Clock()
    with pytest.raises(Throttled, match="wait 3600 s"):
        session(clock, retry_seconds=60.0).json("GET", server.url)
    assert clock.waits == []


@pytest.mark.parametrize("failure", [status(500), status(502), status(503), status(504), None])
def test_passing_outage_is_retried(server: Server, failure: Answer) -> None:
    server.says(failure, failure, ok())
    acme = session()
    assert acme.json("GET", server.url) == {"ok": True}
    assert acme.snapshot().retries == 2
    assert acme.snapshot().throttled_seconds < 0.1


def test_lasting_outage_is_vendor_down_and_the_next_request_fails_fast(server: Server) -> None:
    server.says(status(500, b"sorry"))
    acme = session(retry_seconds=0.05, sleep=time.sleep)
    with pytest.raises(VendorDown, match=r"acme GET /x: HTTP 500\. It says: sorry"):
        acme.json("GET", f"{server.url}/x")
    before = len(server.seen)
    with pytest.raises(VendorDown):
        acme.json("GET", f"{server.url}/y")
    assert len(server.seen) == before + 1


def test_refused_connection_is_vendor_down() -> None:
    with pytest.raises(VendorDown, match="acme GET /: ConnectionError"):
        session(retry_seconds=0.0).json("GET", "http://127.0.0.1:9/")


def test_silence_is_a_time_out() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        acme = session(retry_seconds=0.0, read_seconds=0.05)
        with pytest.raises(VendorDown, match="no answer within"):
            acme.json("GET", f"http://127.0.0.1:{mute.getsockname()[1]}/")


@pytest.mark.parametrize("code", [401, 403])
def test_refused_credentials_name_the_variable(server: Server, code: int) -> None:
    server.says(status(code, b'{"message":"bad token t0k of owner@example.com"}'))
    with pytest.raises(AuthError, match=f"HTTP {code}, the vendor refuses ACME_TOKEN; see .env.example") as caught:
        session().json("GET", server.url)
    assert "t0k" not in str(caught.value)
    assert "owner@example.com" not in str(caught.value)
    assert len(server.seen) == 1


def test_expired_token_is_renewed_once(server: Server) -> None:
    server.says(status(401), ok())
    tokens = iter(["first", "second", "third"])
    renewed = RenewedToken("ACME_TOKEN", "X-Token", "", lambda: (next(tokens), 3600.0))
    assert session(authentication=renewed).json("GET", server.url) == {"ok": True}
    assert [headers["X-Token"] for _, _, headers, _ in server.seen] == ["first", "second"]
    server.says(status(401))
    with pytest.raises(AuthError):
        session(authentication=renewed).json("GET", server.url)


def test_token_is_renewed_before_it_ends(server: Server) -> None:
    server.says(ok())
    fetched: list[int] = []
    renewed = RenewedToken("ACME_TOKEN", "X-Token", "", lambda: (f"t{fetched.append(1) or len(fetched)}", 30.0))
    acme = session(authentication=renewed)
    acme.json("GET", server.url)
    acme.json("GET", server.url)
    assert [headers["X-Token"] for _, _, headers, _ in server.seen] == ["t1", "t2"]


def test_refused_token_request_names_the_variable(server: Server) -> None:
    server.says(status(400, b'{"error":"invalid_client"}'))
    login = session(authentication=None, variable="ACME_SECRET")
    with pytest.raises(AuthError, match="check ACME_SECRET"):
        login.token(server.url, {"client_secret": "x"})


def test_refusal_carries_status_and_answer(server: Server) -> None:
    server.says(status(404, b'{"title":"Resource Not Found"}'))
    with pytest.raises(RequestRefused) as caught:
        session().json("GET", server.url)
    assert caught.value.status == 404
    assert caught.value.answer == {"title": "Resource Not Found"}
    assert len(server.seen) == 1


def test_broken_json_is_asked_for_again_then_given_up(server: Server) -> None:
    server.says(status(200, b'{"ok": tr'), ok())
    assert session().json("GET", server.url) == {"ok": True}
    server.says(status(200, b'{"email": "secret@example.com", '))
    with pytest.raises(MalformedAnswer, match="not JSON") as caught:
        session().json("GET", server.url)
    assert "secret" not in str(caught.value)
    assert len(server.seen) == 2 + 3


def test_failure_inside_a_200_is_retried(server: Server) -> None:
    server.says(ok({"errors": ["INTERNAL"]}), ok())
    acme = session(broken=lambda r: "INTERNAL" if b"INTERNAL" in r.content else None)
    assert acme.json("GET", server.url) == {"ok": True}


@pytest.mark.parametrize("failure", [status(500), status(504), None])
def test_write_that_must_not_repeat_is_never_sent_twice(server: Server, failure: Answer) -> None:
    server.says(failure, ok())
    with pytest.raises(OutcomeUnknown, match="its outcome is not known"):
        session().json("POST", server.url, json_body={}, is_repeatable=False)
    assert len(server.seen) == 1


def test_write_that_surely_did_nothing_is_sent_again(server: Server) -> None:
    server.says(status(429), status(503), ok())
    assert session().json("POST", server.url, json_body={}, is_repeatable=False) == {"ok": True}
    with pytest.raises(VendorDown):
        session(retry_seconds=0.0).json("POST", "http://127.0.0.1:9/", is_repeatable=False)


def test_two_sessions_of_one_account_share_its_pauses(server: Server) -> None:
    server.says(ok())
    budget = budget_of(f"acme {server.url}")
    first, second = Clock(), Clock()
    session(first, budget=budget, pace=lambda r: 5.0).json("GET", server.url)
    session(second, budget=budget_of(f"acme {server.url}")).json("GET", server.url)
    assert 4.0 < second.waits[0] <= 5.0


def test_requests_per_second_are_spaced(server: Server) -> None:
    server.says(ok())
    clock = Clock()
    acme = session(clock, budget=budget_of(f"spaced {server.url}", requests_per_second=0.5))
    for _ in range(3):
        acme.json("GET", server.url)
    assert sum(clock.waits) > 3.0
    assert acme.snapshot().throttled_seconds >= 0.0


def test_no_more_requests_at_once_than_allowed(server: Server) -> None:
    budget = budget_of(f"narrow {server.url}", concurrency=2)
    inside, most = 0, 0
    lock = threading.Lock()

    def take() -> None:
        nonlocal inside, most
        with budget.turn(time.sleep):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_download_sends_no_credentials_and_replaces_a_torn_file(server: Server, tmp_path: Path) -> None:
    server.says(None, (200, {}, b"line\n" * 1000))
    session().download(f"{server.url}/result.jsonl?Signature=abc", tmp_path / "result")
    assert (tmp_path / "result").read_bytes() == b"line\n" * 1000
    assert "Authorization" not in server.seen[-1][2]


def test_connection_errors_do_not_show_the_query(server: Server) -> None:
    with pytest.raises(VendorDown) as caught:
        session(retry_seconds=0.0).json("GET", "http://127.0.0.1:9/members/a@b.com?access_token=hunter2")
    assert "hunter2" not in str(caught.value)
    assert "a@b.com" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "text",
    [
        "no such member taro.yamada+shop@example.co.jp here",
        "GET /members/taro%40example.com",
        "Authorization: Bearer sk-123456",
        '{"access_token": "EAAB123", "x": 1}',
        "https://x/?access_token=EAAB123&y=1",
        "client_secret=shhh",
        "call +819012345678 now",
        "lists/x/members/0bc83cb571cd1c50ba6f3e8a78ef1346",
        "hash " + "a1" * 32,
    ],
)
def test_nothing_personal_or_secret_survives_redaction(text: str) -> None:
    shown = redact(text)
    for secret in ("taro", "sk-123456", "EAAB123", "shhh", "819012345678", "0bc83cb571cd1c50", "a1a1a1"):
        assert secret not in shown


def test_redaction_keeps_what_helps() -> None:
    assert redact("HTTP 404 on /lists/abc: Resource Not Found (id 1234)") == (
        "HTTP 404 on /lists/abc: Resource Not Found (id 1234)"
    )


@pytest.mark.parametrize(("value", "expected"), [("12", 12.0), ("0", 0.0), ("-3", 0.0), ("soon", None), ("", None)])
def test_retry_after_in_seconds(value: str, expected: float | None) -> None:
    response = requests.Response()
    response.headers["Retry-After"] = value
    assert retry_after(response) == expected


def test_retry_after_as_a_date() -> None:
    response = requests.Response()
    response.headers["Retry-After"] = "Wed, 21 Oct 2015 07:28:00 GMT"
    assert retry_after(response) == 0.0
    response.headers["Retry-After"] = "Wed, 21 Oct 2099 07:28:00 GMT"
    assert (retry_after(response) or 0) > 1e9


def test_every_error_is_drawn_in_the_docstring() -> None:
    import connectors.errors as module

    kinds: list[type] = [module.VendorError]
    children: Callable[[type], list[type]] = lambda kind: kind.__subclasses__()  # noqa: E731
    for kind in children(module.VendorError):
        if kind.__module__ == "connectors.errors":
            kinds.append(kind)
    for kind in kinds:
        assert kind.__name__ in (module.__doc__ or ""), kind.__name__
