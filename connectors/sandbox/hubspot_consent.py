"""HubSpot's communication preferences: subscription statuses per e-mail address, dated paths and the legacy v3 ones."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from connectors.sandbox.hubspot_answers import error_body, json_answer, text_answer
from connectors.sandbox.hubspot_objects import iso
from connectors.sandbox.state import State

BATCH_MAX = 100
DATED = ("/communication-preferences/2026-09", "/communication-preferences/2026-03", "/communication-preferences/v4")
LEGACY = "/communication-preferences/v3"

_STATUS = f"""json_object(
  'subscriberIdString', c.email, 'channel', 'EMAIL', 'subscriptionId', c.subscription_id::varchar,
  'subscriptionName', c.subscription_name, 'status', c.status, 'source', c.source, 'legalBasis', c.legal_basis,
  'legalBasisExplanation', null, 'timestamp', {iso("c.updated_at")}, 'setStatusSuccessReason', null,
  'businessUnitId', 0)"""


def add_routes(vendor: Blueprint, state: State) -> None:
    """Hang the consent paths into HubSpot's blueprint."""
    for number, base in enumerate(DATED):
        vendor.add_url_rule(
            f"{base}/statuses/batch/read", f"consent_batch_{number}", lambda: _batch_read(state), methods=["POST"]
        )
        vendor.add_url_rule(
            f"{base}/statuses/<path:email>",
            f"consent_get_{number}",
            lambda email: _single(state, email),
            methods=["GET"],
        )
        vendor.add_url_rule(
            f"{base}/statuses/<path:email>", f"consent_set_{number}", lambda email: _set(state, email), methods=["POST"]
        )
        vendor.add_url_rule(
            f"{base}/statuses/<path:email>/unsubscribe-all",
            f"consent_unsubscribe_all_{number}",
            lambda email: _unsubscribe_all(state, email),
            methods=["POST"],
        )
    vendor.add_url_rule(
        f"{LEGACY}/status/email/<path:email>", "consent_v3_get", lambda email: _legacy(state, email), methods=["GET"]
    )
    vendor.add_url_rule(
        f"{LEGACY}/unsubscribe", "consent_v3_unsubscribe", lambda: _legacy_set(state, "UNSUBSCRIBED"), methods=["POST"]
    )
    vendor.add_url_rule(
        f"{LEGACY}/subscribe", "consent_v3_subscribe", lambda: _legacy_set(state, "SUBSCRIBED"), methods=["POST"]
    )
    vendor.add_url_rule(f"{LEGACY}/definitions", "consent_v3_definitions", lambda: _definitions(state), methods=["GET"])


def _refused(message: str) -> Response:
    return json_answer(error_body("VALIDATION_ERROR", message), 400)


def _wrong_channel() -> Response | None:
    channel = request.args.get("channel")
    return None if channel == "EMAIL" else _refused(f"channel must be EMAIL, got {channel}")


def _batch_read(state: State) -> Response:
    refused = _wrong_channel()
    if refused:
        return refused
    asked = request.get_json(silent=True) or {}
    inputs = asked.get("inputs")
    if not isinstance(inputs, list) or len(inputs) > BATCH_MAX:
        return _refused(f"inputs must be a list of at most {BATCH_MAX} addresses")
    found = state.rows(
        f"""select lower(c.email), '[' || string_agg({_STATUS}::varchar, ',' order by c.subscription_id) || ']'
        from hubspot_consents c where lower(c.email) in (select lower(unnest(?))) group by all""",
        [[str(address) for address in inputs]],
    )
    statuses = dict(found)
    results = ",".join(
        f'{{"subscriberIdString":{json.dumps(address, ensure_ascii=False)},"statuses":{statuses.get(key, "[]")}}}'
        for address, key in ((str(given), str(given).lower()) for given in inputs)
    )
    at = state.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return text_answer(f'{{"status":"COMPLETE","results":[{results}],"startedAt":"{at}","completedAt":"{at}"}}')


def _statuses(state: State, email: str) -> str:
    found = state.value(
        f"""select string_agg({_STATUS}::varchar, ',' order by c.subscription_id) from hubspot_consents c
        where lower(c.email) = lower(?)""",
        [email],
    )
    return f'{{"status":"COMPLETE","results":[{found or ""}]}}'


def _single(state: State, email: str) -> Response:
    return _wrong_channel() or text_answer(_statuses(state, email))


def _set(state: State, email: str) -> Response:
    asked = request.get_json(silent=True) or {}
    status, subscription = asked.get("statusState") or asked.get("status"), asked.get("subscriptionId")
    if status not in {"SUBSCRIBED", "UNSUBSCRIBED"} or subscription is None:
        return _refused("subscriptionId and statusState (SUBSCRIBED or UNSUBSCRIBED) are required")
    _write(state, email, str(subscription), status, asked.get("legalBasis"))
    return text_answer(_statuses(state, email))


def _unsubscribe_all(state: State, email: str) -> Response:
    with state.write() as cursor:
        cursor.execute(
            "update hubspot_consents set status = 'UNSUBSCRIBED', updated_at = ? where lower(email) = lower(?)",
            [state.now(), email],
        )
        cursor.execute(
            "update hubspot_contacts set hs_email_optout = true, updated_at = ? where lower(email) = lower(?)",
            [state.now(), email],
        )
    return text_answer(_statuses(state, email))


def _write(state: State, email: str, subscription: str, status: str, basis: Any) -> None:
    with state.write() as cursor:
        kind = cursor.execute(
            "select typeof(subscription_id), max(subscription_name) from hubspot_consents"
            " where subscription_id::varchar = ? group by all",
            [subscription],
        ).fetchone()
        name = kind[1] if kind else "Marketing Information"
        cursor.execute(
            "delete from hubspot_consents where lower(email) = lower(?) and subscription_id::varchar = ?",
            [email, subscription],
        )
        cursor.execute(
            "insert into hubspot_consents (email, subscription_id, subscription_name, status, source, legal_basis,"
            " updated_at) values (?, ?, ?, ?, 'API', ?, ?)",
            [email, subscription, name, status, basis, state.now()],
        )


def _legacy(state: State, email: str) -> Response:
    found = state.value(
        """select string_agg(json_object('id', c.subscription_id::varchar, 'name', c.subscription_name, 'description',
          c.subscription_name, 'status', case when c.status = 'SUBSCRIBED' then 'SUBSCRIBED' else 'NOT_SUBSCRIBED' end,
          'sourceOfStatus', 'SUBSCRIPTION_STATUS', 'legalBasis', coalesce(c.legal_basis, 'NON_GDPR'),
          'legalBasisExplanation', '')::varchar, ',' order by c.subscription_id)
        from hubspot_consents c where lower(c.email) = lower(?)""",
        [email],
    )
    return text_answer(f'{{"recipient":{json.dumps(email)},"subscriptionStatuses":[{found or ""}]}}')


def _legacy_set(state: State, status: str) -> Response:
    asked: Mapping[str, Any] = request.get_json(silent=True) or {}
    email, subscription = asked.get("emailAddress"), asked.get("subscriptionId")
    if not email or not subscription:
        return _refused("emailAddress and subscriptionId are required")
    _write(state, str(email), str(subscription), status, asked.get("legalBasis"))
    found = state.value(
        """select json_object('id', c.subscription_id::varchar, 'name', c.subscription_name, 'description',
          c.subscription_name, 'status', case when c.status = 'SUBSCRIBED' then 'SUBSCRIBED' else 'NOT_SUBSCRIBED' end,
          'sourceOfStatus', 'SUBSCRIPTION_STATUS')::varchar
        from hubspot_consents c where lower(c.email) = lower(?) and c.subscription_id::varchar = ?""",
        [str(email), str(subscription)],
    )
    return text_answer(found)


def _definitions(state: State) -> Response:
    found = state.value(
        f"""select string_agg(definition::varchar, ',' order by id) from (
          select c.subscription_id::varchar as id, json_object('id', c.subscription_id::varchar, 'name',
            max(c.subscription_name), 'description', max(c.subscription_name), 'isActive', true, 'isDefault', false,
            'isInternal', false, 'communicationMethod', 'Email', 'purpose', 'Marketing',
            'createdAt', {iso("min(c.updated_at)")}, 'updatedAt', {iso("max(c.updated_at)")}) as definition
          from hubspot_consents c group by c.subscription_id)"""
    )
    return text_answer(f'{{"subscriptionDefinitions":[{found or ""}]}}')
