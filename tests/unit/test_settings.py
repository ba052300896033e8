"""Configuration: absent is not configured, half is an error that names the variable, secrets never show."""

import pytest
from pydantic import Field, SecretStr

from connectors.settings import RunConfig, SettingsError, VendorConfig, all_variables, as_of, vendor_settings
from connectors.sources import SOURCES
from connectors.stream import Source


class Config(VendorConfig):
    """A made-up vendor."""

    model_config = vendor_settings("ACME_")

    account: str = Field(description="Account at Acme")
    token: SecretStr = Field(description="Token of Acme")
    limit: int = Field(default=5, description="Rows a page")


def test_no_variable_means_not_configured() -> None:
    assert Config.load({}) is None
    assert Config.load({"ACME_TOKEN": "", "ACME_ACCOUNT": " ", "OTHER": "x"}) is None


@pytest.mark.parametrize(("given", "missing"), [("ACME_TOKEN", "ACME_ACCOUNT"), ("ACME_ACCOUNT", "ACME_TOKEN")])
def test_half_configured_names_the_variable(given: str, missing: str) -> None:
    with pytest.raises(SettingsError, match=f"^{missing} is empty; see .env.example$"):
        Config.load({given: "something"})


def test_wrong_value_names_the_variable_and_hides_it() -> None:
    with pytest.raises(SettingsError, match="ACME_LIMIT is wrong") as caught:
        Config.load({"ACME_ACCOUNT": "a", "ACME_TOKEN": "t0ps3cret", "ACME_LIMIT": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_do_not_show() -> None:
    config = Config.load({"ACME_ACCOUNT": "a", "ACME_TOKEN": "t0ps3cret"})
    assert config is not None
    assert config.token.get_secret_value() == "t0ps3cret"
    assert "t0ps3cret" not in f"{config!r} {config} {config.model_dump()}"


def test_every_variable_has_one_line_of_meaning() -> None:
    variables = all_variables([source.config for source in SOURCES])
    names = [variable.name for variable in variables]
    assert len(names) == len(set(names))
    assert {"KIZUNA_LAKE", "SHOPIFY_CLIENT_SECRET", "HUBSPOT_ACCESS_TOKEN", "MAILCHIMP_API_KEY"} <= set(names)
    for variable in variables:
        assert variable.meaning and "\n" not in variable.meaning, variable.name


def test_clock_is_an_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIZUNA_AS_OF", "2026-10-19T00:00:00+09:00")
    assert as_of().isoformat() == "2026-10-18T15:00:00+00:00"
    monkeypatch.setenv("KIZUNA_AS_OF", "2026-10-18T15:00:00")
    assert as_of().isoformat() == "2026-10-18T15:00:00+00:00"
    monkeypatch.delenv("KIZUNA_AS_OF")
    assert as_of().tzinfo is not None
    assert RunConfig.load({}) is None


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_each_required_variable_is_named_when_missing(source: Source) -> None:
    required = [v.name for v in source.config.variables() if v.is_required]
    for missing in required:
        environment = {name: "x" for name in required if name != missing}
        if not environment:
            continue
        with pytest.raises(SettingsError, match=f"{missing} is empty"):
            source.config.load(environment)
