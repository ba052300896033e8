"""The sandbox's server: every vendor's API behind one port, faults, and the control API under `/_sandbox`.

`Sandbox(world, directory)` runs it in a thread of the caller; `python -m connectors.sandbox` runs it by itself.
A vendor is a module with `blueprint(state)`, mounted under the module's own first path part, and where it has them

- `failure_answer(status)`: its error body for a fault,
- `partial_answer(response)`: its answer where only a part succeeded,
- `expire_tokens()`: end every access token,
- `members(state, audience)`: who is truly in an audience (e-mails or hashes),
- `dump(state)`: its state as JSON values, without anything that depends on retries.
"""

import importlib
import json
import logging
import threading
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from flask import Flask, Response, jsonify, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from connectors.sandbox import credentials, faults, google_key
from connectors.sandbox.request_log import RequestLog
from connectors.sandbox.state import State, WorldTables
from connectors.sandbox.tokens import Tokens

VENDORS = ("shopify", "hubspot", "bigquery", "mailchimp", "meta", "google_ads")
"""Every vendor the sandbox speaks; a module that is not written yet is left out."""


class Sandbox:
    """A running sandbox in this process: `with Sandbox(world, tmp_path) as sandbox: ... sandbox.url`.

    `pace` multiplies how fast the vendors' limits refill (1 = as documented), for tests that are not about limits.
    """

    def __init__(
        self,
        world: WorldTables,
        state_dir: Path | str,
        host: str = "127.0.0.1",
        port: int = 0,
        pace: float = 1.0,
    ) -> None:
        self.state = State(world, state_dir)
        self.faults = faults.Faults()
        self.requests = RequestLog()
        self.app = create_app(self.state, self.faults, self.requests, pace)
        self._server: BaseWSGIServer = make_server(host, port, self.app, threaded=True, request_handler=_QuietHandler)
        # a short poll: stopping waits for it, and every test stops a sandbox
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="sandbox", daemon=True)
        self.url = f"http://{host}:{self._server.server_port}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self.state.close()

    def serve(self) -> None:
        """Answer in the calling thread until interrupted."""
        try:
            self._server.serve_forever()
        except KeyboardInterrupt:
            logging.getLogger(__name__).info("sandbox stopped")
        finally:
            self._server.server_close()
            self.state.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """Every variable that points the connectors at this sandbox, with credentials it accepts."""
        return environment(self.url, self.state.directory)

    def fault(self, vendor: str, kind: str, **options: Any) -> faults.Fault:
        """Ask for a fault; see `connectors.sandbox.faults.Fault` for the options."""
        return self.faults.add(vendor, kind, **options)

    def lag(self, vendor: str, seconds: float) -> None:
        """Let a vendor's search show changes only when they are this old by the sandbox's clock."""
        self.state.search_lag[vendor] = timedelta(seconds=seconds)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Change or read the vendors' side directly (late rows, deletes, opt-outs made in a vendor's own tool)."""
        return self.state.execute(sql, parameters)

    def members(self, destination: str, audience: str) -> list[str]:
        """Who is truly in an audience at a destination."""
        found: list[str] = self.app.extensions["kizuna_vendors"][destination].members(self.state, audience)
        return found

    def dump(self) -> dict[str, Any]:
        """The vendors' whole state in canonical form."""
        return dump(self.state, self.app.extensions["kizuna_vendors"])


def environment(url: str, state_dir: Path) -> dict[str, str]:
    """The connectors' variables for a sandbox at `url` whose state lies in `state_dir`."""
    return {
        "SHOPIFY_BASE_URL": f"{url}/shopify",
        "SHOPIFY_SHOP": credentials.SHOPIFY_SHOP,
        "SHOPIFY_CLIENT_ID": credentials.SHOPIFY_CLIENT_ID,
        "SHOPIFY_CLIENT_SECRET": credentials.SHOPIFY_CLIENT_SECRET,
        "HUBSPOT_BASE_URL": f"{url}/hubspot",
        "HUBSPOT_ACCESS_TOKEN": credentials.HUBSPOT_ACCESS_TOKEN,
        "GA4_BASE_URL": url,
        "GA4_PROJECT": credentials.GA4_PROJECT,
        "GA4_PROPERTY_ID": credentials.GA4_PROPERTY_ID,
        "GA4_CREDENTIALS_JSON": google_key.service_account_json(state_dir, url),
        "MAILCHIMP_BASE_URL": f"{url}/mailchimp",
        "MAILCHIMP_API_KEY": credentials.MAILCHIMP_API_KEY,
        "MAILCHIMP_LIST_ID": credentials.MAILCHIMP_LIST_ID,
        "META_BASE_URL": f"{url}/meta",
        "META_ACCESS_TOKEN": credentials.META_ACCESS_TOKEN,
        "META_AD_ACCOUNT_ID": credentials.META_AD_ACCOUNT_ID,
        "GOOGLE_ADS_BASE_URL": f"{url}/google_ads",
        "GOOGLE_ADS_CUSTOMER_ID": credentials.GOOGLE_ADS_CUSTOMER_ID,
        "GOOGLE_ADS_LOGIN_CUSTOMER_ID": credentials.GOOGLE_ADS_LOGIN_CUSTOMER_ID,
        "GOOGLE_ADS_CREDENTIALS_JSON": google_key.service_account_json(state_dir, url),
    }


def vendor_modules() -> dict[str, ModuleType]:
    """The vendors whose module exists."""
    found = {}
    for vendor in VENDORS:
        name = f"connectors.sandbox.{vendor}"
        if importlib.util.find_spec(name) is not None:
            found[vendor] = importlib.import_module(name)
    return found


def create_app(state: State, active_faults: faults.Faults, log: RequestLog, pace: float = 1.0) -> Flask:
    """The WSGI application: every vendor's blueprint, the faults, the request log and the control API."""
    app = Flask("connectors.sandbox")
    app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    modules = vendor_modules()
    app.extensions["kizuna_vendors"] = modules
    app.extensions["kizuna_tokens"] = Tokens()
    app.extensions["kizuna_pace"] = pace

    @app.after_request
    def log_request(response: Response) -> Response:
        vendor = faults.vendor_of(request.path)
        if vendor in modules:
            route = request.url_rule.rule if request.url_rule else request.path
            log.record(vendor, route, response.status_code)
        return response

    # Flask runs the last registered after_request first: the faults spoil the answer, then it is logged.
    faults.install(app, active_faults, modules)
    for module in modules.values():
        app.register_blueprint(module.blueprint(state))
    _add_control(app, state, active_faults, log, modules)
    return app


def dump(state: State, modules: dict[str, ModuleType]) -> dict[str, Any]:
    """Each vendor's state in canonical form, sorted, for comparisons between runs."""
    return {vendor: module.dump(state) for vendor, module in sorted(modules.items()) if hasattr(module, "dump")}


def _add_control(
    app: Flask, state: State, active_faults: faults.Faults, log: RequestLog, modules: dict[str, ModuleType]
) -> None:
    @app.get("/_sandbox/health")
    def health() -> Response:
        return jsonify(now=state.now().isoformat(), vendors=list(modules))

    @app.post("/_sandbox/faults")
    def add_fault() -> Response | tuple[Response, int]:
        options = dict(request.get_json())
        try:
            active_faults.add(options.pop("vendor"), options.pop("kind"), **options)
        except (KeyError, ValueError) as error:
            return jsonify(error=str(error)), 400
        return jsonify(active_faults.listing())

    @app.get("/_sandbox/faults")
    def list_faults() -> Response:
        return jsonify(active_faults.listing())

    @app.delete("/_sandbox/faults")
    def clear_faults() -> Response:
        active_faults.clear()
        return jsonify([])

    @app.get("/_sandbox/requests")
    def requests_counted() -> Response:
        return jsonify(log.counts())

    @app.delete("/_sandbox/requests")
    def requests_forgotten() -> Response:
        log.clear()
        return jsonify([])

    @app.get("/_sandbox/requests/last")
    def requests_in_full() -> Response:
        return jsonify(log.last(request.args.get("vendor")))

    @app.get("/_sandbox/members/<destination>/<path:audience>")
    def members(destination: str, audience: str) -> Response | tuple[Response, int]:
        module = modules.get(destination)
        if module is None or not hasattr(module, "members"):
            return jsonify(error=f"no destination named {destination}"), 404
        return jsonify(module.members(state, audience))

    @app.get("/_sandbox/state.json")
    def whole_state() -> Response:
        text = json.dumps(dump(state, modules), sort_keys=True, ensure_ascii=False, default=_plain)
        return Response(text, content_type="application/json")

    @app.post("/_sandbox/sql")
    def sql() -> Response:
        asked = request.get_json()
        rows = state.execute(asked["sql"], asked.get("parameters", []))
        return Response(json.dumps(rows, default=_plain, ensure_ascii=False), content_type="application/json")

    @app.post("/_sandbox/lag")
    def lag() -> Response:
        asked = request.get_json()
        state.search_lag[asked["vendor"]] = timedelta(seconds=float(asked["seconds"]))
        return jsonify({vendor: lag.total_seconds() for vendor, lag in state.search_lag.items()})

    @app.get("/_sandbox/environment")
    def variables() -> Response:
        return jsonify(environment(request.host_url.rstrip("/"), state.directory))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class _QuietHandler(WSGIRequestHandler):
    """No line on stderr for each request; errors are still told."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return None
