"""Meta's Insights edge: daily rows of campaigns, at once for a few days or as a report that is ordered and fetched."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import flask

from connectors.sandbox import ad_figures, credentials
from connectors.sandbox.meta_users import GraphError, parameter
from connectors.sandbox.state import State

DEFAULT_PAGE = 25
# More days than this at once run into the time limit.
LONGEST_AT_ONCE = 100
OLDEST_DAYS = 1127
POLLS_UNTIL_DONE = 1
WINDOWS = ("1d_click", "7d_click", "28d_click", "1d_view", "1d_ev", "default")
LEVELS = ("account", "campaign", "adset", "ad")
# The pixel's purchase is told under several types at once; adding them up counts it three times.
PURCHASE_TYPES = ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase")

TABLES = """
create sequence if not exists meta_report_id start 6023920149050;
create table if not exists meta_reports (id varchar, asked varchar, status varchar, polls_left bigint);
"""


def add_routes(api: flask.Blueprint, state: State) -> None:
    @api.get("/<account>/insights")
    def insights(account: str) -> Any:
        if account.isdigit():
            return _page(state, _report(state, account), f"{account}/insights")
        known_account(account)
        asked = _asked(state)
        if (_day(asked["until"]) - _day(asked["since"])).days > LONGEST_AT_ONCE:
            raise GraphError(100, "(#100) Please reduce the amount of data you're asking for", subcode=1504018)
        return _page(state, asked, f"{account}/insights")

    @api.post("/<account>/insights")
    def order_report(account: str) -> Any:
        known_account(account)
        asked = _asked(state)
        with state.lock, state.cursor() as cursor:
            report_id = str(cursor.execute("select nextval('meta_report_id')").fetchall()[0][0])
            cursor.execute(
                "insert into meta_reports values (?, ?, 'Job Running', ?)",
                [report_id, json.dumps(asked), POLLS_UNTIL_DONE],
            )
        return {"report_run_id": report_id}


def report_status(state: State, report_id: str) -> dict[str, Any] | None:
    """How far an ordered report is; None when there is no such report. Looking at it is what lets it go on."""
    rows = state.rows("select asked, polls_left from meta_reports where id = ?", [report_id])
    if not rows:
        return None
    [(asked, left)] = rows
    with state.lock, state.cursor() as cursor:
        cursor.execute("update meta_reports set polls_left = greatest(polls_left - 1, 0) where id = ?", [report_id])
    times = json.loads(asked)
    return {
        "id": report_id,
        "account_id": credentials.META_AD_ACCOUNT_ID.removeprefix("act_"),
        "async_status": "Job Running" if left else "Job Completed",
        "async_percent_completion": 40 if left else 100,
        "date_start": times["since"],
        "date_stop": times["until"],
    }


def known_account(account: str) -> None:
    if account != credentials.META_AD_ACCOUNT_ID:
        raise GraphError(
            100,
            f"Unsupported request. Object with ID '{account}' does not exist, cannot be loaded due to missing "
            "permissions, or does not support this operation",
            subcode=33,
        )


def _report(state: State, report_id: str) -> dict[str, Any]:
    rows = state.rows("select asked, polls_left from meta_reports where id = ?", [report_id])
    if not rows:
        raise GraphError(100, f"Unsupported get request. Object with ID '{report_id}' does not exist", subcode=33)
    if rows[0][1]:
        raise GraphError(2601, "Loading async results failed: the report is not ready", subcode=1487534)
    asked: dict[str, Any] = json.loads(rows[0][0])
    return asked


def _asked(state: State) -> dict[str, Any]:
    """What is asked for, checked as the vendor checks it."""
    level, increment = parameter("level") or "account", str(parameter("time_increment") or "all_days")
    if level not in LEVELS:
        raise GraphError(100, f"(#100) level must be one of the following values: {', '.join(LEVELS)}")
    if level != "campaign" or increment != "1":
        raise GraphError(100, "(#100) The sandbox knows level=campaign with time_increment=1 only")
    times = parameter("time_range")
    if not isinstance(times, dict) or set(times) != {"since", "until"}:
        raise GraphError(100, "(#100) param time_range must be an object with since and until")
    since, until = _day(times["since"]), _day(times["until"])
    if since > until:
        raise GraphError(100, "(#100) time_range: since must not be after until")
    if (state.now().date() - since).days > OLDEST_DAYS:
        raise GraphError(3018, "(#3018) The start date of the time range cannot be beyond 37 months from now")
    fields = parameter("fields") or ""
    names = fields if isinstance(fields, list) else [name.strip() for name in fields.split(",") if name.strip()]
    windows = parameter("action_attribution_windows") or ["7d_click", "1d_view"]
    windows = windows if isinstance(windows, list) else [windows]
    wrong = [window for window in windows if window not in WINDOWS]
    if wrong:
        raise GraphError(100, f"(#100) action_attribution_windows must be among {', '.join(WINDOWS)}")
    unknown = [name for name in names if name not in _FIELDS]
    if unknown:
        raise GraphError(100, f"(#100) {unknown[0]} is not valid for fields param")
    return {"since": str(since), "until": str(until), "fields": names or ["impressions", "spend"], "windows": windows}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        raise GraphError(100, "(#100) Must be a date representation in the format YYYY-MM-DD") from None


_FIELDS = (
    "account_id", "account_name", "account_currency", "campaign_id", "campaign_name", "date_start", "date_stop",
    "spend", "impressions", "clicks", "inline_link_clicks", "actions", "action_values", "attribution_setting",
)  # fmt: skip


def _page(state: State, asked: dict[str, Any], path: str) -> dict[str, Any]:
    rows = ad_figures.days(state, "meta", _day(asked["since"]), _day(asked["until"]))
    limit = int(parameter("limit") or DEFAULT_PAGE)
    after = int(parameter("after") or 0)
    page = rows[after : after + limit]
    answer: dict[str, Any] = {"data": [_row(row, asked) for row in page]}
    if page:
        cursors = {"before": str(after), "after": str(after + len(page))}
        answer["paging"] = {"cursors": cursors}
        if after + len(page) < len(rows):
            # The vendor's next address carries the caller's token as well.
            query = "&".join(f"{name}={value}" for name, value in (("limit", limit), ("after", cursors["after"])))
            answer["paging"]["next"] = f"{flask.request.base_url}?access_token=***&{query}"
    return answer


def _row(day: ad_figures.Day, asked: dict[str, Any]) -> dict[str, Any]:
    everything = {
        "account_id": credentials.META_AD_ACCOUNT_ID.removeprefix("act_"),
        "account_name": "Kizuna demo shop",
        "account_currency": "USD",
        "campaign_id": day.campaign_id,
        "campaign_name": day.name,
        "date_start": str(day.date),
        "date_stop": str(day.date),
        "spend": f"{day.cost_micros / 1_000_000:.2f}",
        "impressions": str(day.impressions),
        "clicks": str(day.clicks),
        "inline_link_clicks": str(day.clicks),
        "attribution_setting": "7d_click_or_1d_view",
        "actions": _stats(int(day.by_click), int(day.by_view), asked["windows"], clicks=day.clicks),
        "action_values": _stats(day.click_value, day.view_value, asked["windows"]),
    }
    # What is nothing is left out, and so are the dates' companions nobody asked for.
    wanted = {"date_start", "date_stop", *asked["fields"]}
    return {name: value for name, value in everything.items() if name in wanted and value != []}


def _stats(by_click: Any, by_view: Any, windows: list[str], clicks: int | None = None) -> list[dict[str, str]]:
    stats = []
    if clicks:
        stats.append({"action_type": "link_click", "value": str(clicks), "7d_click": str(clicks)})
    if by_click or by_view:
        parts = {"7d_click": by_click, "28d_click": by_click, "1d_view": by_view}
        shown = {window: str(parts[window]) for window in windows if parts.get(window)}
        stats += [{"action_type": kind, "value": str(by_click + by_view), **shown} for kind in PURCHASE_TYPES]
    return stats
