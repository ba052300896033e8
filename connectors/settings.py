"""Configuration from the environment, one class a vendor; a vendor without variables is simply not configured."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(ValueError):
    """A variable is missing or wrong; the message names it and never shows a value."""


@dataclass(frozen=True)
class Variable:
    """One line of `.env.example`."""

    name: str
    meaning: str
    is_required: bool
    is_secret: bool
    default: str


class VendorConfig(BaseSettings):
    """A vendor's variables: `<PREFIX><FIELD>`, one described field each, secrets as SecretStr.

    Subclasses set `model_config = vendor_settings("SHOPIFY_")`. Call `load()` rather than the constructor: it answers
    None for a vendor that is not configured and raises SettingsError, naming the variable, for one that is half so.
    """

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, frozen=True)

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Self | None:
        """The configuration in `environment` (default: the process's own); an empty variable counts as not set."""
        environment = os.environ if environment is None else environment
        names = cls.variable_names()
        given = {field: environment[name] for field, name in names.items() if environment.get(name, "").strip()}
        if not given:
            return None
        for field, info in cls.model_fields.items():
            if info.is_required() and field not in given:
                raise SettingsError(f"{names[field]} is empty; see .env.example")
        defaults = {field: info.get_default() for field, info in cls.model_fields.items() if not info.is_required()}
        try:
            return cls(**(defaults | given))
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False)[0]
            field = str(wrong["loc"][0]) if wrong["loc"] else ""
            raise SettingsError(
                f"{names.get(field, cls.__name__)} is wrong: {wrong['msg']}; see .env.example"
            ) from None

    @classmethod
    def variable_names(cls) -> dict[str, str]:
        """Field → environment variable."""
        prefix = cls.model_config.get("env_prefix", "")
        return {field: f"{prefix}{field}".upper() for field in cls.model_fields}

    @classmethod
    def variables(cls) -> list[Variable]:
        """What `.env.example` says about this vendor."""
        names = cls.variable_names()
        return [
            Variable(
                name=names[field],
                meaning=info.description or "",
                is_required=info.is_required(),
                is_secret="SecretStr" in str(info.annotation),
                default="" if info.is_required() or info.default is None else str(info.default),
            )
            for field, info in cls.model_fields.items()
        ]


def vendor_settings(prefix: str) -> SettingsConfigDict:
    """The model_config of a vendor whose variables start with `prefix`."""
    return SettingsConfigDict(env_prefix=prefix, extra="ignore", hide_input_in_errors=True, frozen=True)


class RunConfig(VendorConfig):
    """What every run may be told, whatever the vendor."""

    model_config = vendor_settings("KIZUNA_")

    lake: str = Field(
        default="lake", description="Root of the lake: a folder or any fsspec URL such as s3://bucket/lake"
    )
    as_of: datetime | None = Field(default=None, description="The pipeline's clock, ISO 8601; empty means now")
    retry_seconds: float = Field(
        default=120, description="How long one request to a vendor is retried before it counts as down"
    )
    sweep_hours: float = Field(
        default=24, description="Hours between two comparisons of a vendor's key list with the lake"
    )


def run_config() -> RunConfig:
    return RunConfig.load() or RunConfig()


def as_of() -> datetime:
    """The pipeline's clock (`KIZUNA_AS_OF`, else the real now), as an aware UTC time."""
    given = run_config().as_of
    if given is None:
        return datetime.now(UTC)
    return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)


def all_variables(configs: Iterable[type[VendorConfig]]) -> list[Variable]:
    """Every variable once, the run's own first; a vendor that is both source and destination is listed once."""
    seen: dict[str, Variable] = {}
    every: list[type[VendorConfig]] = [RunConfig, *configs]
    for config in every:
        for variable in config.variables():
            seen.setdefault(variable.name, variable)
    return list(seen.values())


def secret_values(config: VendorConfig) -> list[str]:
    """The secrets of a configuration in clear, for the redaction of messages and for nothing else."""
    values = (getattr(config, field) for field in type(config).model_fields)
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
