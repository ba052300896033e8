"""A Google service account: its JSON key as configured, and the access tokens it signs for."""

import json
import time
from pathlib import Path
from typing import Any

import google.auth.crypt
import google.auth.jwt
from pydantic import SecretStr

from connectors.http import RenewedToken, Session
from connectors.settings import SettingsError

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def service_account(key: SecretStr, variable: str) -> dict[str, Any]:
    """The key's content; SettingsError, naming the variable, when it is neither JSON nor a file of it."""
    text = key.get_secret_value()
    try:
        account = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text("utf-8"))
        return {name: account[name] for name in ("client_email", "private_key", "token_uri")} | account
    except (OSError, ValueError, KeyError):
        # The cause is not shown: its text may hold the key.
        raise SettingsError(f"{variable} is no service account's JSON key; see .env.example") from None


def bearer(key: SecretStr, variable: str, scope: str) -> RenewedToken:
    """The `Authorization` header of a service account, renewed before it ends."""
    account = service_account(key, variable)
    login = Session("google", variable=variable)
    return RenewedToken(variable, "Authorization", "Bearer ", lambda: _token(login, account, scope, variable))


def _token(login: Session, account: dict[str, Any], scope: str, variable: str) -> tuple[str, float]:
    """A token for an hour against a signed statement of who we are (RFC 7523)."""
    now = int(time.time())
    claims = {
        "iss": account["client_email"],
        "scope": scope,
        "aud": account["token_uri"],
        "iat": now,
        "exp": now + 3600,
    }
    try:
        signer = google.auth.crypt.RSASigner.from_service_account_info(account)
    except ValueError:
        raise SettingsError(f"{variable} holds no usable private key; see .env.example") from None
    assertion = google.auth.jwt.encode(signer, claims).decode()
    return login.token(account["token_uri"], {"grant_type": JWT_GRANT, "assertion": assertion})
