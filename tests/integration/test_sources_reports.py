"""Campaign figures that the vendors still change, tell in their own ways, or only give as a report."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import ContractError, VendorDown
from connectors.extract import PullFailed, pull
from connectors.lake import Lake
from connectors.sandbox.server import Sandbox
from connectors.sources import google_ads, mailchimp, meta_insights
from tests.dbt_build import build, mart, rows
from tests.raw_lake import write_empty

pytestmark = pytest.mark.usefixtures("environment")
BY_PLATFORM = {"meta": meta_insights.SOURCE, "google_ads": google_ads.SOURCE}
STREAM = {"meta": "insights", "google_ads": "campaign_days"}
every_platform = pytest.mark.parametrize("platform", list(BY_PLATFORM))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIZUNA_AS_OF", "2026-10-18T15:00:00Z")
    monkeypatch.setenv("KIZUNA_RETRY_SECONDS", "20")
    monkeypatch.setattr("connectors.http.FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(meta_insights, "FIRST_POLL_SECONDS", 0.02)


def pull_ads(platform: str, lake: Lake) -> Any:
    [result] = pull(BY_PLATFORM[platform], lake)
    return result


def claims_at(sandbox: Sandbox, platform: str, moment: str) -> Decimal:
    [(total,)] = sandbox.execute(
        "SELECT sum(credit) FROM ad_claims WHERE platform = ? AND visible_at <= ?::TIMESTAMP", [platform, moment]
    )
    return total


def test_days_of_the_ad_platforms_reach_the_mart_to_the_cent(sandbox: Sandbox, tmp_path: Path) -> None:
    lake = Lake(write_empty(tmp_path / "lake"))
    for platform in BY_PLATFORM:
        pull_ads(platform, lake)
    build(tmp_path / "lake", "ad_performance")
    found = rows(
        "SELECT platform, count(*), sum(impression_count), sum(claimed_conversion_count), sum(claimed_value) "
        f"FROM {mart(tmp_path / 'lake', 'ad_performance')} GROUP BY ALL ORDER BY ALL"
    )
    expected = sandbox.execute(
        """WITH claimed AS (
            SELECT platform, sum(credit) AS credit, sum(value) AS value FROM ad_claims
            WHERE visible_at <= TIMESTAMP '2026-10-18 15:00:00' GROUP BY ALL)
        SELECT d.platform, count(*), sum(impressions), any_value(credit), any_value(value)
        FROM ad_days AS d JOIN claimed USING (platform) GROUP BY ALL ORDER BY ALL"""
    )
    assert found == expected
    assert found[0][3] % 1, "Google's conversions are fractions"
    # Nobody's clicks were taken back yet, or they were: in cents either way.
    spent = rows(f"SELECT sum(spend) FROM {mart(tmp_path / 'lake', 'ad_performance')}")[0][0]
    shown = sandbox.execute(
        """SELECT sum(CASE WHEN corrected_at <= TIMESTAMP '2026-10-18 15:00:00'
            THEN cost_micros // clicks * (clicks - invalid_clicks) // 10000 * 10000 ELSE cost_micros END)
        FROM ad_days"""
    )[0][0]
    assert spent * 1_000_000 == shown


@every_platform
def test_days_that_the_platform_restates_are_read_again(
    platform: str, sandbox: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pull_ads(platform, lake)
    assert pull_ads(platform, lake).rows == 0
    # An order is credited to a click of three weeks ago: the platform learns of it a day later.
    [(campaign, day)] = sandbox.execute(
        "SELECT campaign_id, activity_date FROM ad_days WHERE platform = ? AND activity_date <= '2026-09-27' "
        "ORDER BY activity_date DESC, campaign_id LIMIT 1",
        [platform],
    )
    sandbox.execute(
        "INSERT INTO ad_claims VALUES (?, ?, ?, 1, 'click', 1, 20.5, TIMESTAMP '2026-10-19 02:00:00')",
        [platform, campaign, day],
    )
    assert pull_ads(platform, lake).rows == 0
    sandbox.state.tick(86400)
    monkeypatch.setenv("KIZUNA_AS_OF", "2026-10-19T15:00:00Z")
    second = pull_ads(platform, lake)
    assert 1 <= second.rows < first.rows / 4
    files = lake.files(f"raw/{platform}/{STREAM[platform]}")
    column = "date_start" if platform == "meta" else "date"
    with lake.connect() as connection:
        versions = connection.execute(
            f"SELECT count(*) FROM read_parquet(?, union_by_name = true) WHERE campaign_id = ? AND {column}::DATE = ?",
            [files, campaign, day],
        ).fetchall()
    assert versions == [(2,)]


@every_platform
def test_limits_in_each_vendors_own_words_are_waited_for(platform: str, sandbox: Sandbox, lake: Lake) -> None:
    sandbox.fault(platform, "429", times=2)
    result = pull_ads(platform, lake)
    assert result.rows > 0
    assert [r["status"] for r in sandbox.requests.last(platform)][:2] == (
        [400] * 2 if platform == "meta" else [429] * 2
    )


def test_report_that_failed_at_meta_is_ordered_again(sandbox: Sandbox, lake: Lake) -> None:
    sandbox.fault("meta", "partial", path=r"v26.0/\d+\?", times=1)
    result = pull_ads("meta", lake)
    assert result.rows == sandbox.execute("SELECT count(*) FROM ad_days WHERE platform = 'meta'")[0][0]
    ordered = [r for r in sandbox.requests.last("meta") if r["method"] == "POST"]
    assert len(ordered) == 1 + -(-(meta_insights.HISTORY.days + 1) // meta_insights.REPORT_DAYS)


def test_report_that_fails_for_good_leaves_nothing_and_says_so(sandbox: Sandbox, lake: Lake) -> None:
    sandbox.fault("meta", "partial", path=r"v26.0/\d+\?", times=None)
    with pytest.raises(PullFailed) as caught:
        pull_ads("meta", lake)
    assert isinstance(caught.value.errors["insights"], VendorDown)
    assert "Job Failed" in str(caught.value)
    assert len(lake.files("raw/meta/insights")) <= 1


def test_few_days_are_asked_for_at_once_and_page_by_page(
    sandbox: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull_ads("meta", lake)
    sandbox.requests.clear()
    monkeypatch.setattr(meta_insights, "PAGE", 3)
    assert pull_ads("meta", lake).rows == 0
    asked = sandbox.requests.last("meta")
    assert {r["method"] for r in asked} == {"GET"}
    assert len(asked) > 3


def test_stream_of_google_that_breaks_off_is_asked_for_again(sandbox: Sandbox, lake: Lake) -> None:
    sandbox.fault("google_ads", "partial", times=1)
    sandbox.fault("google_ads", "expired_token", times=1, after=1)
    expected = sandbox.execute("SELECT count(*) FROM ad_days WHERE platform = 'google_ads'")[0][0]
    assert pull_ads("google_ads", lake).rows == expected


# ── Mailchimp's campaigns ──


def test_only_campaigns_whose_figures_moved_are_read_again(sandbox: Sandbox, lake: Lake) -> None:
    streams = ["reports", "email_activity", "unsubscribes"]
    pull(mailchimp.SOURCE, lake, streams=streams)
    sandbox.requests.clear()
    campaigns = sandbox.execute("SELECT id FROM mailchimp_campaigns ORDER BY send_time DESC")
    for campaign in (campaigns[0][0], campaigns[-1][0]):
        sandbox.execute(
            """INSERT INTO mailchimp_activity SELECT campaign_id, email, 'click', NULL, TIMESTAMP '2026-10-18 14:59:00',
                'https://shop.example.jp/late', '198.51.100.1' FROM mailchimp_sends WHERE campaign_id = ? LIMIT 1""",
            [campaign],
        )
    reports, activity, unsubscribes = pull(mailchimp.SOURCE, lake, streams=streams)
    # Of the two late clicks one is on a mail of a year ago, which is not looked at any more.
    assert reports.rows == 1
    assert activity.commits == [f"{campaigns[0][0]}.parquet"]
    assert unsubscribes.rows == 0
    read = [r["path"] for r in sandbox.requests.last("mailchimp") if "email-activity" in r["path"]]
    assert read == [f"/mailchimp/3.0/reports/{campaigns[0][0]}/email-activity"]


def test_page_of_readers_that_comes_short_lands_nothing(
    sandbox: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailchimp, "PAGE", 10)
    sandbox.fault("mailchimp", "empty_page", path="email-activity", after=1, times=None)
    with pytest.raises(PullFailed, match="email_activity"):
        pull(mailchimp.SOURCE, lake, streams=["email_activity"])
    assert len(lake.files("raw/mailchimp/email_activity")) <= 1


def test_report_that_is_deleted_at_the_vendor_is_noticed(sandbox: Sandbox, lake: Lake) -> None:
    pull(mailchimp.SOURCE, lake, streams=["reports"])
    sandbox.execute("DELETE FROM mailchimp_campaigns WHERE id = (SELECT min(id) FROM mailchimp_campaigns)")
    [result] = pull(mailchimp.SOURCE, lake, streams=["reports"], sweep_every=timedelta(0))
    assert result.deleted == 1


def test_activity_in_another_shape_is_a_broken_contract(sandbox: Sandbox, lake: Lake) -> None:
    sandbox.fault("mailchimp", "retype_field", path="email-activity", field="activity", value="none", times=None)
    with pytest.raises(PullFailed) as caught:
        pull(mailchimp.SOURCE, lake, streams=["email_activity"])
    error = caught.value.errors["email_activity"]
    assert isinstance(error, ContractError)
    assert "personal, not shown" in str(error)


def test_the_tools_figures_and_its_events_agree_in_the_marts(sandbox: Sandbox, tmp_path: Path) -> None:
    lake = Lake(write_empty(tmp_path / "lake"))
    pull(mailchimp.SOURCE, lake)
    build(tmp_path / "lake", "email_events", "email_campaigns")
    campaigns, events = (mart(tmp_path / "lake", name) for name in ("email_campaigns", "email_events"))
    totals = rows(
        "SELECT count(*), sum(sent_count), sum(hard_bounce_count + soft_bounce_count), sum(unsubscribe_count), "
        f"sum(claimed_order_count), sum(claimed_revenue) FROM {campaigns}"
    )
    expected = sandbox.execute(
        """SELECT (SELECT count(*) FROM mailchimp_campaigns), (SELECT count(*) FROM mailchimp_sends),
            (SELECT count(*) FROM mailchimp_sends WHERE status <> 'sent'),
            (SELECT count(*) FROM mailchimp_unsubscribes), (SELECT count(*) FROM mailchimp_claims),
            (SELECT sum(revenue) FROM mailchimp_claims)"""
    )
    assert totals == expected
    assert not rows(
        f"""WITH counted AS (
            SELECT campaign_id, count(*) FILTER (event_type = 'sent') AS sent,
                count(*) FILTER (event_type = 'bounced') AS bounced,
                count(*) FILTER (event_type = 'unsubscribed') AS gone
            FROM {events} GROUP BY ALL)
        FROM {campaigns} JOIN counted USING (campaign_id)
        WHERE (sent, bounced, gone) <> (sent_count, hard_bounce_count + soft_bounce_count, unsubscribe_count)"""
    )
    automatic = rows(f"SELECT event_type, count(*) FROM {events} WHERE is_automatic GROUP BY ALL ORDER BY ALL")
    assert [kind for kind, _ in automatic] == ["clicked", "opened"]
