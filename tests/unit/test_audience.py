"""An audience's declaration and the destinations' configuration are checked before anything runs."""

from __future__ import annotations

import json

import pytest
import requests
from pydantic import SecretStr, ValidationError

from connectors.audience import Audience
from connectors.destinations import configured
from connectors.destinations.mailchimp import MailchimpConfig
from connectors.destinations.mailchimp import _throttled as mailchimp_throttled
from connectors.destinations.meta import MetaConfig, pace
from connectors.destinations.meta import throttled as meta_throttled
from connectors.settings import SettingsError


@pytest.mark.parametrize(
    "declared",
    [
        {"name": "Win back"},
        {"name": "vip", "feilds": {}},
        {"name": "vip", "maximum_removed_share": 1.5},
        {"name": "vip", "minimum_size": -1},
        {"name": "vip", "fields": {"CHURN": "churn; drop table"}},
    ],
    ids=["name", "misspelt key", "share over one", "negative size", "column that is none"],
)
def test_wrong_declaration_is_refused(declared):
    with pytest.raises(ValidationError):
        Audience(**declared)


def test_declaration_as_analysts_write_it():
    audience = Audience(
        name="win_back",
        destinations=["mailchimp", "meta"],
        purpose="marketing",
        fields={"CHURN": "churn_probability"},
        minimum_size=1,
        maximum_added_share=1.0,
        maximum_removed_share=0.5,
        requires_models=["churn"],
    )
    assert audience.mart == "marts/win_back"


def test_mailchimp_data_centre_comes_from_the_key():
    assert MailchimpConfig(api_key=SecretStr("k-us21"), list_id="l").root == "https://us21.api.mailchimp.com/3.0"
    with pytest.raises(SettingsError, match="MAILCHIMP_API_KEY"):
        _ = MailchimpConfig(api_key=SecretStr("k"), list_id="l").root


@pytest.mark.parametrize("given", ["123", "act_123"])
def test_meta_account_has_its_prefix_once(given):
    assert MetaConfig(access_token=SecretStr("t"), ad_account_id=given).account == "act_123"


def test_destinations_without_variables_are_left_out():
    assert configured({}) == {}
    assert set(configured({"META_ACCESS_TOKEN": "t", "META_AD_ACCOUNT_ID": "1"})) == {"meta"}


def answer(status: int, body: object = None, usage: dict[str, int] | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = b"" if body is None else json.dumps(body).encode()
    if usage is not None:
        response.headers["X-Business-Use-Case-Usage"] = json.dumps({"1": [usage]})
    return response


def test_forbidden_without_body_is_throttling_at_mailchimp():
    assert mailchimp_throttled(answer(403)) == -1
    assert mailchimp_throttled(answer(403, {"title": "User Disabled"})) is None


@pytest.mark.parametrize("code", [4, 17, 32, 613, 80003])
def test_meta_throttles_with_http_400(code):
    assert meta_throttled(answer(400, {"error": {"code": code}})) == -1
    assert meta_throttled(answer(400, {"error": {"code": code}}, {"estimated_time_to_regain_access": 2})) == 120
    assert meta_throttled(answer(400, {"error": {"code": 100}})) is None
    assert meta_throttled(answer(200, {"error": {"code": code}})) is None


def test_meta_is_slowed_down_before_the_limit():
    assert pace(answer(200, {}, {"call_count": 75})) == 0
    assert pace(answer(200, {}, {"call_count": 10, "total_time": 95})) == pytest.approx(4)
    assert pace(answer(200, {})) == 0
