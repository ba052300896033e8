"""Mailchimp's campaigns and their reports, counted from the world's letters as the API words them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import flask

from connectors.sandbox.mailchimp_answers import LIST_ID, arg, iso, moment, not_found, paging, trimmed
from connectors.sandbox.state import State

LIST_NAME = "Kizuna demo shop"
# Unique clicks are counted by link and reader.
FIGURES = """
    with sent as (
        select campaign_id, count(*) as emails_sent, count(*) filter (status = 'hard') as hard,
            count(*) filter (status = 'soft') as soft
        from mailchimp_sends group by all
    ),
    acted as (
        select campaign_id, count(*) filter (action = 'open') as opens,
            count(distinct email) filter (action = 'open') as openers,
            max(occurred_at) filter (action = 'open') as last_open, count(*) filter (action = 'click') as clicks,
            count(distinct email || url) filter (action = 'click') as unique_clicks,
            count(distinct email) filter (action = 'click') as clickers,
            max(occurred_at) filter (action = 'click') as last_click
        from mailchimp_activity where occurred_at <= $now group by all
    ),
    gone as (select campaign_id, count(*) as leavers from mailchimp_unsubscribes group by all),
    claimed as (
        select campaign_id, count(*) as orders, sum(revenue) as revenue
        from mailchimp_claims where claimed_at <= $now group by all
    )
    select c.*, coalesce(emails_sent, 0) as emails_sent, coalesce(hard, 0) as hard, coalesce(soft, 0) as soft,
        coalesce(opens, 0) as opens, coalesce(openers, 0) as openers, last_open, coalesce(clicks, 0) as clicks,
        coalesce(unique_clicks, 0) as unique_clicks, coalesce(clickers, 0) as clickers, last_click,
        coalesce(leavers, 0) as leavers, coalesce(orders, 0) as orders, coalesce(revenue, 0) as revenue
    from mailchimp_campaigns as c
    left join sent on sent.campaign_id = c.id left join acted on acted.campaign_id = c.id
    left join gone on gone.campaign_id = c.id left join claimed on claimed.campaign_id = c.id
    where c.send_time <= $now
"""


def add_routes(api: flask.Blueprint, state: State) -> None:
    """Campaigns, reports, and what each reader did."""

    @api.get("/campaigns")
    def campaigns() -> Any:
        found = [] if arg("status") not in (None, "sent") or arg("list_id") not in (None, LIST_ID) else _sent(state)
        return _page("campaigns", [_campaign(figures) for figures in found])

    @api.get("/campaigns/<campaign_id>")
    def campaign(campaign_id: str) -> Any:
        return trimmed(_campaign(_one(state, campaign_id)))

    @api.get("/reports")
    def reports() -> Any:
        found = [] if arg("type") not in (None, "regular") else _sent(state)
        return _page("reports", [_report(figures) for figures in found])

    @api.get("/reports/<campaign_id>")
    def report(campaign_id: str) -> Any:
        return trimmed(_report(_one(state, campaign_id)))

    @api.get("/reports/<campaign_id>/email-activity")
    def email_activity(campaign_id: str) -> Any:
        # With `since`, only readers who have done something since then.
        since = moment("since") if arg("since") else None
        did = "where campaign_id = $id and occurred_at <= $now and ($since is null or occurred_at >= $since)"
        return _rows(
            state,
            "emails",
            campaign_id,
            f"""with acted as (
                select email, list(struct_pack(action := action, type := type, timestamp := occurred_at, url := url,
                    ip := ip) order by occurred_at, action, url) as activity
                from mailchimp_activity {did} group by email
            )
            select s.email, coalesce(a.activity, []) as activity from mailchimp_sends as s left join acted as a
                using (email) where s.campaign_id = $id and ($since is null or a.activity is not null)""",
            since=since,
            now=state.now(),
        )

    @api.get("/reports/<campaign_id>/sent-to")
    def sent_to(campaign_id: str) -> Any:
        return _rows(
            state,
            "sent_to",
            campaign_id,
            """with opened as (
                select email, count(*) as open_count, max(occurred_at) as last_open from mailchimp_activity
                where campaign_id = $id and action = 'open' and occurred_at <= $now group by email
            )
            select s.email, s.status, coalesce(o.open_count, 0) as open_count, o.last_open
            from mailchimp_sends as s left join opened as o using (email) where s.campaign_id = $id""",
            now=state.now(),
        )

    @api.get("/reports/<campaign_id>/unsubscribed")
    def unsubscribed(campaign_id: str) -> Any:
        return _rows(
            state,
            "unsubscribes",
            campaign_id,
            """select email, unsubscribed_at as timestamp, coalesce(reason, 'None given') as reason
            from mailchimp_unsubscribes where campaign_id = $id""",
        )

    @api.get("/reports/<campaign_id>/click-details")
    def click_details(campaign_id: str) -> Any:
        _one(state, campaign_id)
        links = state.rows(_LINKS, {"id": campaign_id, "now": state.now()})
        total, unique = sum(row[1] for row in links), sum(row[2] for row in links)
        found = [
            {
                "id": _link_id(url),
                "url": url,
                "total_clicks": clicks,
                "click_percentage": round(clicks / total, 4),
                "unique_clicks": clickers,
                "unique_click_percentage": round(clickers / unique, 4),
                "last_click": iso(last),
                "campaign_id": campaign_id,
            }
            for url, clicks, clickers, last in links
        ]
        return _page("urls_clicked", found, campaign_id=campaign_id)

    @api.get("/reports/<campaign_id>/click-details/<link_id>/members")
    def clicked_by(campaign_id: str, link_id: str) -> Any:
        return _rows(
            state,
            "members",
            campaign_id,
            """select email, count(*) as clicks, 'subscribed' as contact_status, left(md5(url), 10) as url_id
            from mailchimp_activity where campaign_id = $id and action = 'click' and left(md5(url), 10) = $link
                and occurred_at <= $now group by all""",
            link=link_id,
            now=state.now(),
        )


_LINKS = """select url, count(*), count(distinct email), max(occurred_at) from mailchimp_activity
    where campaign_id = $id and action = 'click' and occurred_at <= $now group by url order by url"""


def _link_id(url: str) -> str:
    return hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()[:10]


def _sent(state: State) -> list[dict[str, Any]]:
    """The campaigns asked for by send time, in the order asked for (newest first unless told otherwise)."""
    found = _figures(state)
    for name, is_wanted in (("since_send_time", "__ge__"), ("before_send_time", "__lt__")):
        if arg(name):
            limit = moment(name)
            found = [figures for figures in found if getattr(figures["send_time"], is_wanted)(limit)]
    return sorted(found, key=lambda figures: figures["send_time"], reverse=arg("sort_dir") != "ASC")


def _one(state: State, campaign_id: str) -> dict[str, Any]:
    found = [figures for figures in _figures(state) if figures["id"] == campaign_id]
    if not found:
        raise not_found()
    return found[0]


def _figures(state: State) -> list[dict[str, Any]]:
    with state.cursor() as cursor:
        answer = cursor.execute(FIGURES, {"now": state.now()})
        names = [column[0] for column in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _page(name: str, found: Sequence[dict[str, Any]], **more: Any) -> Any:
    count, offset = paging()
    return trimmed({name: list(found[offset : offset + count]), **more, "total_items": len(found)})


def _rows(state: State, name: str, campaign_id: str, sql: str, **parameters: Any) -> Any:
    """A page of one campaign's readers; every column of `sql` but the e-mail goes into the answer as it is named."""
    if state.value("select count(*) from mailchimp_campaigns where id = ?", [campaign_id]) == 0:
        raise not_found()
    count, offset = paging()
    given = {"id": campaign_id, **parameters}
    with state.cursor() as cursor:
        total = cursor.execute(f"select count(*) from ({sql})", given).fetchall()[0][0]
        answer = cursor.execute(f"from ({sql}) order by email limit {count} offset {offset}", given)
        names = [column[0] for column in answer.description]
        rows = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
    found = []
    for row in rows:
        email = row.pop("email")
        identity = {
            "email_id": hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest(),
            "email_address": email,
            "campaign_id": campaign_id,
            "list_id": LIST_ID,
            "list_is_active": True,
        }
        found.append(identity | {column: _worded(value) for column, value in row.items() if value is not None})
    return trimmed({name: found, "campaign_id": campaign_id, "total_items": total})


def _worded(value: Any) -> Any:
    if isinstance(value, list):
        return [{key: _worded(item) for key, item in entry.items() if item is not None} for entry in value]
    return iso(value) if hasattr(value, "isoformat") else value


def _rate(part: int, figures: dict[str, Any]) -> float:
    delivered = figures["emails_sent"] - figures["hard"] - figures["soft"]
    return round(part / delivered, 4) if delivered else 0


def _report(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": figures["id"],
        "campaign_title": figures["title"],
        "type": "regular",
        "list_id": LIST_ID,
        "list_is_active": True,
        "list_name": LIST_NAME,
        "subject_line": figures["subject_line"],
        "preview_text": "",
        "emails_sent": figures["emails_sent"],
        "abuse_reports": 0,
        "unsubscribed": figures["leavers"],
        "send_time": iso(figures["send_time"]),
        "bounces": {"hard_bounces": figures["hard"], "soft_bounces": figures["soft"], "syntax_errors": 0},
        "forwards": {"forwards_count": 0, "forwards_opens": 0},
        "opens": {
            "opens_total": figures["opens"],
            "unique_opens": figures["openers"],
            "open_rate": _rate(figures["openers"], figures),
            "last_open": iso(figures["last_open"]),
        },
        "clicks": {
            "clicks_total": figures["clicks"],
            "unique_clicks": figures["unique_clicks"],
            "unique_subscriber_clicks": figures["clickers"],
            "click_rate": _rate(figures["clickers"], figures),
            "last_click": iso(figures["last_click"]),
        },
        "ecommerce": {
            "total_orders": figures["orders"],
            "total_spent": float(figures["revenue"]),
            "total_revenue": float(figures["revenue"]),
            "currency_code": "USD",
        },
        "delivery_status": {"enabled": False},
    }


def _campaign(figures: dict[str, Any]) -> dict[str, Any]:
    report = _report(figures)
    return {
        "id": figures["id"],
        "web_id": figures["web_id"],
        "type": "regular",
        "create_time": iso(figures["create_time"]),
        "status": "sent",
        "emails_sent": figures["emails_sent"],
        "send_time": iso(figures["send_time"]),
        "recipients": {
            "list_id": LIST_ID,
            "list_is_active": True,
            "list_name": LIST_NAME,
            "recipient_count": figures["emails_sent"],
        },
        "settings": {"subject_line": figures["subject_line"], "title": figures["title"], "from_name": LIST_NAME},
        "report_summary": {
            "opens": figures["opens"],
            "unique_opens": figures["openers"],
            "open_rate": report["opens"]["open_rate"],
            "clicks": figures["clicks"],
            "subscriber_clicks": figures["clickers"],
            "click_rate": report["clicks"]["click_rate"],
            "ecommerce": {name: report["ecommerce"][name] for name in ("total_orders", "total_spent", "total_revenue")},
        },
    }
