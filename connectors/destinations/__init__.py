"""Every destination: one file a vendor, one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.audience import Destination
from connectors.destinations.mailchimp import Mailchimp, MailchimpConfig
from connectors.destinations.meta import Meta, MetaConfig
from connectors.settings import VendorConfig

DESTINATIONS: dict[str, tuple[type[VendorConfig], Callable[[Any], Destination]]] = {
    Mailchimp.name: (MailchimpConfig, Mailchimp),
    Meta.name: (MetaConfig, Meta),
}


def configured(environment: Mapping[str, str] | None = None) -> dict[str, Destination]:
    """The destinations whose variables are set, by name; one that is half configured raises SettingsError."""
    configs = {name: config.load(environment) for name, (config, _) in DESTINATIONS.items()}
    return {name: DESTINATIONS[name][1](config) for name, config in configs.items() if config is not None}
