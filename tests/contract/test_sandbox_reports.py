"""Mailchimp's reports and Meta's insights in the sandbox, against the vendors' documents and clients."""

from __future__ import annotations

import json

import mailchimp_marketing
import pytest
import requests
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adreportrun import AdReportRun
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

from tests.swagger import Swagger

ASKED = {
    "level": "campaign",
    "time_increment": 1,
    "time_range": {"since": "2026-09-20", "until": "2026-10-18"},
    "action_attribution_windows": ["7d_click", "1d_view"],
}
FIELDS = ["campaign_id", "campaign_name", "spend", "impressions", "clicks", "actions", "action_values"]


@pytest.fixture
def sandbox(standing_sandbox):
    standing_sandbox.faults.clear()
    return standing_sandbox


@pytest.fixture
def variables(sandbox):
    return sandbox.environment()


@pytest.fixture
def mailchimp(variables):
    def get(path, **params):
        root, key = variables["MAILCHIMP_BASE_URL"] + "/3.0", variables["MAILCHIMP_API_KEY"]
        return requests.get(root + path, params=params, auth=("any", key), timeout=10)

    return get


@pytest.fixture
def meta(variables):
    root = f"{variables['META_BASE_URL']}/v26.0"
    headers = {"Authorization": f"Bearer {variables['META_ACCESS_TOKEN']}"}

    def call(method, path, body=None, **params):
        return requests.request(method, f"{root}/{path}", json=body, params=params, headers=headers, timeout=10)

    return call


@pytest.fixture
def account(variables):
    return variables["META_AD_ACCOUNT_ID"]


def clicked(sandbox):
    """The campaign with the most clicks."""
    [(campaign,)] = sandbox.execute(
        "SELECT campaign_id FROM mailchimp_activity WHERE action = 'click' GROUP BY ALL "
        "ORDER BY count(*) DESC, campaign_id LIMIT 1"
    )
    return campaign


# ── Mailchimp ──


def test_every_report_is_as_specified(sandbox, mailchimp, shared):
    swagger = Swagger(shared / "vendor-specs/mailchimp/marketing-3.0-reports.swagger2.json")
    report = f"/reports/{clicked(sandbox)}"
    link = mailchimp(f"{report}/click-details").json()["urls_clicked"][0]["id"]
    paths = ["/campaigns", f"/campaigns/{clicked(sandbox)}", "/reports", report, f"{report}/email-activity"]
    paths += [f"{report}/{name}" for name in ("sent-to", "unsubscribed", "click-details")]
    for path in [*paths, f"{report}/click-details/{link}/members"]:
        answer = mailchimp(path)
        assert answer.status_code == 200, (path, answer.text)
        swagger.check_answer("GET", path, 200, answer.content)
    assert mailchimp("/reports/nothing/email-activity").status_code == 404
    assert mailchimp("/reports/nothing").json()["title"] == "Resource Not Found"


def test_report_counts_what_the_readers_did(sandbox, mailchimp):
    campaign = clicked(sandbox)
    report = mailchimp(f"/reports/{campaign}").json()
    activity = mailchimp(f"/reports/{campaign}/email-activity", count=1000).json()
    acts = [(reader["email_id"], act) for reader in activity["emails"] for act in reader["activity"]]
    opens = [reader for reader, act in acts if act["action"] == "open"]
    clicks = [(reader, act["url"]) for reader, act in acts if act["action"] == "click"]
    assert activity["total_items"] == report["emails_sent"] == len(activity["emails"])
    assert (report["opens"]["opens_total"], report["opens"]["unique_opens"]) == (len(opens), len(set(opens)))
    assert (report["clicks"]["clicks_total"], report["clicks"]["unique_clicks"]) == (len(clicks), len(set(clicks)))
    assert report["clicks"]["unique_subscriber_clicks"] == len({reader for reader, _ in clicks})
    # Readers without activity are listed with none, and nobody who bounced has read anything.
    assert any(not reader["activity"] for reader in activity["emails"])
    bounced = {reader for reader, act in acts if act["action"] == "bounce"}
    assert not bounced & set(opens)


def test_activity_since_a_moment_leaves_out_who_did_nothing_since(sandbox, mailchimp):
    path = f"/reports/{clicked(sandbox)}/email-activity"
    [first, *_] = sorted(
        act["timestamp"] for reader in mailchimp(path, count=1000).json()["emails"] for act in reader["activity"]
    )
    everybody = mailchimp(path, count=1000, since=first).json()
    assert 0 < everybody["total_items"] < mailchimp(path).json()["total_items"]
    assert all(reader["activity"] for reader in everybody["emails"])
    assert mailchimp(path, since="2027-01-01T00:00:00+00:00").json()["total_items"] == 0


def test_reports_are_filtered_by_send_time_and_paged(mailchimp):
    everything = mailchimp("/reports", count=1000).json()
    young = mailchimp("/reports", count=1000, since_send_time="2026-08-01T00:00:00+00:00").json()
    assert 0 < young["total_items"] < everything["total_items"]
    pages = [mailchimp("/reports", count=20, offset=offset).json()["reports"] for offset in (0, 20, 40)]
    assert [r["id"] for page in pages for r in page] == [r["id"] for r in everything["reports"]]
    assert mailchimp("/reports", count=1001).status_code == 400


def test_the_vendors_own_client_reads_reports(sandbox, variables):
    client = mailchimp_marketing.Client()
    client.set_config({"api_key": variables["MAILCHIMP_API_KEY"], "server": "us21"})
    client.reports.api_client.host = variables["MAILCHIMP_BASE_URL"] + "/3.0"
    listed = client.reports.get_all_campaign_reports(count=3)
    assert len(listed["reports"]) == 3
    campaign = clicked(sandbox)
    assert client.reports.get_campaign_report(campaign)["id"] == campaign
    assert client.reports.get_email_activity_for_campaign(campaign, count=5)["emails"]


# ── Meta ──


def asked(**changed):
    return {
        name: json.dumps(value) if not isinstance(value, str | int) else value
        for name, value in (ASKED | changed).items()
    }


def test_insights_hold_known_fields_as_text(meta, account, shared):
    document = json.loads((shared / "vendor-specs/meta/insights.v26.0.fields.json").read_text("utf-8"))
    answer = meta("GET", f"{account}/insights", fields=",".join(FIELDS), limit=500, **asked()).json()
    assert len(answer["data"]) > 10
    for row in answer["data"]:
        assert set(row) <= set(document["objects"]["AdsInsights"]["fields"])
        assert all(isinstance(row[name], str) for name in ("spend", "impressions", "clicks"))
        for stat in row.get("actions", []):
            assert set(stat) <= set(document["objects"]["AdsActionStats"]["fields"]) | {"action_type", "value"}
    # One purchase under several types: whoever adds them up counts it three times.
    kinds = {stat["action_type"] for row in answer["data"] for stat in row.get("actions", [])}
    assert {"purchase", "omni_purchase", "offsite_conversion.fb_pixel_purchase"} <= kinds


def test_the_vendors_own_client_reads_pages_and_reports(variables, account, monkeypatch):
    monkeypatch.setattr(FacebookSession, "GRAPH", variables["META_BASE_URL"])
    api = FacebookAdsApi(FacebookSession(access_token=variables["META_ACCESS_TOKEN"]), api_version="v26.0")
    owner = AdAccount(account, api=api)
    at_once = [dict(row) for row in owner.get_insights(fields=FIELDS, params=ASKED | {"limit": 7})]
    assert len(at_once) > 7
    run = owner.get_insights(fields=FIELDS, params=ASKED, is_async=True)
    statuses = [run.api_get()[AdReportRun.Field.async_status] for _ in range(2)]
    assert statuses == ["Job Running", "Job Completed"]
    assert [dict(row) for row in run.get_result(params={"limit": 500})] == at_once


@pytest.mark.parametrize(
    ("changed", "code", "subcode"),
    [
        ({"time_range": {"since": "2022-01-01", "until": "2022-01-02"}}, 3018, None),
        ({"time_range": {"since": "2025-11-01", "until": "2026-10-01"}}, 100, 1504018),
        ({"time_range": {"since": "2026-10-02", "until": "2026-10-01"}}, 100, None),
        ({"action_attribution_windows": ["7d_view"]}, 100, None),
        ({"level": "planet"}, 100, None),
        ({"fields": "shoe_size"}, 100, None),
    ],
)
def test_what_cannot_be_asked_is_an_http_400_with_a_code(meta, account, changed, code, subcode):
    answer = meta("GET", f"{account}/insights", **asked(**changed))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("error_subcode")) == (400, code, subcode)


def test_report_is_not_there_before_it_is_done(meta, account):
    report = meta("POST", f"{account}/insights", ASKED | {"fields": ",".join(FIELDS)}).json()["report_run_id"]
    assert meta("GET", f"{report}/insights").status_code == 400
    assert meta("GET", report).json()["async_percent_completion"] == 40
    assert meta("GET", report).json()["async_status"] == "Job Completed"
    assert meta("GET", f"{report}/insights", limit=500).json()["data"]


def test_limit_of_insights_has_a_code_of_its_own_and_usage_is_told(sandbox, meta, account):
    sandbox.fault("meta", "429", path="insights")
    refused = meta("GET", f"{account}/insights", **asked())
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 80000)
    usage = json.loads(meta("GET", f"{account}/insights", **asked()).headers["X-Business-Use-Case-Usage"])
    assert [bucket["type"] for buckets in usage.values() for bucket in buckets] == ["ads_insights"]
