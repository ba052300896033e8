"""HubSpot's CRM and communication preferences: the dated paths (2026-09) and the legacy v3 ones, same bodies.

What clients trip over is kept: all property values are strings, search stops at 10,000 rows and never shows archived
ones, unknown properties are ignored, limits are told in headers (not on search), errors carry a category.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, request

from connectors.sandbox import credentials, hubspot_consent, hubspot_writes
from connectors.sandbox.hubspot_answers import (
    Refusal,
    error_body,
    json_answer,
    rate_limited,
    standard_error,
    text_answer,
)
from connectors.sandbox.hubspot_limits import Limits
from connectors.sandbox.hubspot_objects import TYPES, FilterError, ObjectType, filter_sql, object_json, sort_sql
from connectors.sandbox.state import State
from connectors.sandbox.tokens import pace

LIST_MAX = 100
SEARCH_MAX = 200
SEARCH_WINDOW = 10_000
BATCH_MAX = 100
ASSOCIATION_BATCH_MAX = 1000
PLURALS = {"contact": "contacts", "company": "companies", "deal": "deals", "0-1": "contacts", "0-2": "companies"}
BASES = ("/crm/objects/2026-09", "/crm/objects/2026-03", "/crm/v3/objects")

ASSOCIATION_BASES = ("/crm/associations/2026-09", "/crm/associations/2026-03", "/crm/v4/associations")


def blueprint(state: State) -> Blueprint:
    vendor = Blueprint("hubspot", __name__, url_prefix="/hubspot")
    limits: dict[str, Limits] = {}

    @vendor.before_request
    def admit() -> Response | None:
        """Check the token, then the budget: a refused request costs nothing."""
        if request.headers.get("Authorization") != f"Bearer {credentials.HUBSPOT_ACCESS_TOKEN}":
            return failure_answer(401)
        budget = limits.setdefault("app", Limits(pace()))
        policy = budget.admit(is_search=request.path.endswith("/search"))
        return None if policy is None else rate_limited(policy)

    @vendor.after_request
    def tell_limits(response: Response) -> Response:
        if not request.path.endswith("/search") and "app" in limits:
            for name, value in limits["app"].headers().items():
                response.headers[name] = value
        return response

    @vendor.errorhandler(Refusal)
    def refuse(error: Refusal) -> Response:
        return json_answer(error.body, error.status)

    for base in BASES:
        name = re.sub(r"\W", "_", base)
        _add(vendor, f"{base}/<kind>", f"list{name}", lambda kind: _list(state, kind), "GET")
        _add(vendor, f"{base}/<kind>", f"create{name}", lambda kind: _create(state, kind), "POST")
        _add(vendor, f"{base}/<kind>/search", f"search{name}", lambda kind: _search(state, kind), "POST")
        _add(
            vendor, f"{base}/<kind>/batch/<verb>", f"batch{name}", lambda kind, verb: _batch(state, kind, verb), "POST"
        )
        _add(
            vendor,
            f"{base}/<kind>/<object_id>",
            f"get{name}",
            lambda kind, object_id: _get(state, kind, object_id),
            "GET",
        )
        _add(
            vendor,
            f"{base}/<kind>/<object_id>",
            f"update{name}",
            lambda kind, object_id: _update(state, kind, object_id),
            "PATCH",
        )
        _add(
            vendor,
            f"{base}/<kind>/<object_id>",
            f"archive{name}",
            lambda kind, object_id: _archive(state, kind, object_id),
            "DELETE",
        )
    for base in ASSOCIATION_BASES:
        name = re.sub(r"\W", "_", base)
        rule = f"{base}/<kind>/<other>/batch/read"
        _add(vendor, rule, f"links{name}", lambda kind, other: _links(state, kind, other), "POST")
    hubspot_consent.add_routes(vendor, state)
    return vendor


def failure_answer(status: int) -> Response:
    """The vendor's body for an HTTP failure."""
    if status == 429:
        return rate_limited("TEN_SECONDLY_ROLLING")
    if status == 401:
        message = "Authentication credentials not found. This API supports OAuth 2.0 authentication."
        return json_answer(error_body("INVALID_AUTHENTICATION", message), 401)
    return json_answer(error_body("INTERNAL_ERROR", "internal error"), status)


def partial_answer(response: Response) -> Response | None:
    """A batch of which the last record failed: 207 with `errors`."""
    answer = response.get_json(silent=True)
    if not answer or "/batch/" not in request.path or not answer.get("results"):
        return None
    lost = answer["results"].pop()
    message = f"Object could not be processed: {lost.get('id', lost.get('subscriberIdString', ''))}"
    return json_answer(answer | {"numErrors": 1, "errors": [standard_error("INTERNAL_ERROR", message)]}, 207)


def dump(state: State) -> dict[str, Any]:
    """The CRM's side: counts and a digest of what a client could change."""
    counts = {k.table: state.value(f"select count(*) from {k.table}") for k in TYPES.values()}
    contacts = state.value(
        "select coalesce(bit_xor(hash(id, email, firstname, lastname, archived, hs_email_optout)), 0)::varchar"
        " from hubspot_contacts"
    )
    consents = state.value(
        "select coalesce(bit_xor(hash(email, subscription_id, status)), 0)::varchar from hubspot_consents"
    )
    return {"rows": counts, "contacts": contacts, "consents": consents}


def _add(vendor: Blueprint, rule: str, endpoint: str, view: Any, method: str) -> None:
    vendor.add_url_rule(rule, endpoint, view, methods=[method])


def _kind(name: str) -> ObjectType:
    kind = TYPES.get(PLURALS.get(name, name))
    if kind is None:
        raise Refusal(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")
    return kind


def _body() -> dict[str, Any]:
    asked = request.get_json(silent=True)
    if not isinstance(asked, dict):
        raise Refusal(400, "VALIDATION_ERROR", "Invalid input JSON")
    return asked


def _names(argument: str) -> list[str]:
    """A list argument, as `a,b` or repeated."""
    return [name for given in request.args.getlist(argument) for name in given.split(",") if name]


def _limit(value: Any, maximum: int) -> int:
    limit = int(value) if str(value).isdigit() else -1
    if not 1 <= limit <= maximum:
        raise Refusal(400, "VALIDATION_ERROR", f"The maximum allowed value for limit is {maximum}, got {value}")
    return limit


def _objects(
    state: State, kind: ObjectType, properties: Sequence[str], associations: Sequence[str], tail: str, values: list[Any]
) -> list[tuple[int, str]]:
    """(id, JSON text) of the objects that `tail` (where, order, limit) selects."""
    shown = object_json(kind, properties, associations)
    found = state.rows(f"select r.id, {shown} from {kind.table} r {tail}", values)
    return [(int(row[0]), str(row[1])) for row in found]


def _list(state: State, kind_name: str) -> Response:
    kind = _kind(kind_name)
    limit = _limit(request.args.get("limit", "10"), LIST_MAX)
    after = request.args.get("after", "0")
    if not after.isdigit():
        raise Refusal(400, "VALIDATION_ERROR", f"Invalid after: {after}")
    is_archived = request.args.get("archived", "false").lower() == "true"
    tail = f"where r.archived = ? and r.id > ? order by r.id limit {limit + 1}"
    found = _objects(state, kind, _names("properties"), _names("associations"), tail, [is_archived, int(after)])
    page, more = found[:limit], found[limit:]
    paging = ""
    if more:
        # like the vendor's, the cursor is opaque but happens to be an id: of the last object shown
        last = page[-1][0]
        link = f"{request.base_url}?limit={limit}&after={last}"
        paging = f',"paging":{json.dumps({"next": {"after": str(last), "link": link}})}'
    return text_answer(f'{{"results":[{",".join(text for _, text in page)}]{paging}}}')


def _get(state: State, kind_name: str, object_id: str) -> Response:
    kind = _kind(kind_name)
    condition, value = _identity(kind, object_id, request.args.get("idProperty"))
    is_archived = request.args.get("archived", "false").lower() == "true"
    tail = f"where {condition} and r.archived = ?"
    found = _objects(state, kind, _names("properties"), _names("associations"), tail, [value, is_archived])
    if not found:
        raise _not_found(kind, object_id)
    return text_answer(found[0][1])


def _not_found(kind: ObjectType, object_id: str) -> Refusal:
    return Refusal(404, "OBJECT_NOT_FOUND", f"Object not found. objectId are usually numeric: {kind.name} {object_id}")


def _identity(kind: ObjectType, object_id: str, id_property: str | None) -> tuple[str, Any]:
    if not id_property or id_property == "hs_object_id":
        return "r.id = ?", int(object_id) if object_id.isdigit() else -1
    if id_property not in kind.properties:
        raise Refusal(400, "VALIDATION_ERROR", f"Property {id_property} is not an identifier")
    return f"lower(({kind.properties[id_property]})::varchar) = ?", object_id.lower()


def _search(state: State, kind_name: str) -> Response:
    kind, asked = _kind(kind_name), _body()
    limit = _limit(asked.get("limit", 10), SEARCH_MAX)
    after = str(asked.get("after") or "0")
    if not after.isdigit():
        raise Refusal(400, "VALIDATION_ERROR", f"Invalid after: {after}")
    start = int(after)
    if start + limit > SEARCH_WINDOW:
        raise Refusal(400, "VALIDATION_ERROR", f"Search results are limited to {SEARCH_WINDOW} rows; narrow the filter")
    try:
        condition, values = filter_sql(kind, asked.get("filterGroups") or [])
        order = sort_sql(kind, asked.get("sorts") or [])
    except FilterError as error:
        raise Refusal(400, "VALIDATION_ERROR", str(error)) from error
    values = [state.searchable_until("hubspot"), *values]
    where = f"where not r.archived and r.updated_at < ? and ({condition})"
    total = state.value(f"select count(*) from {kind.table} r {where}", values)
    tail = f"{where} order by {order} limit {limit} offset {start}"
    found = _objects(state, kind, asked.get("properties") or [], [], tail, values)
    end = start + len(found)
    paging = f',"paging":{{"next":{{"after":"{end}"}}}}' if end < total else ""
    return text_answer(f'{{"total":{total},"results":[{",".join(text for _, text in found)}]{paging}}}')


def _batch(state: State, kind_name: str, verb: str) -> Response:
    kind, asked = _kind(kind_name), _body()
    inputs = asked.get("inputs")
    if not isinstance(inputs, list):
        raise Refusal(400, "VALIDATION_ERROR", "inputs is required")
    if len(inputs) > BATCH_MAX:
        raise Refusal(400, "VALIDATION_ERROR", f"The maximum batch size is {BATCH_MAX}, got {len(inputs)}")
    started = state.now()
    errors: list[dict[str, Any]]
    if verb == "read":
        found, errors = _batch_read(state, kind, asked)
    elif verb in {"create", "update", "upsert", "archive"}:
        found, errors = _batch_write(state, kind, verb, inputs)
        if verb == "archive":
            return Response(status=204)
    else:
        raise Refusal(404, "OBJECT_NOT_FOUND", f"no batch method {verb}")
    at = started.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    times = f'"startedAt":"{at}","completedAt":"{at}"'
    more = f',"numErrors":{len(errors)},"errors":{json.dumps(errors, ensure_ascii=False)}' if errors else ""
    status = 207 if errors else (201 if verb == "create" else 200)
    return text_answer(f'{{"status":"COMPLETE","results":[{",".join(found)}],{times}{more}}}', status)


def _batch_read(state: State, kind: ObjectType, asked: Mapping[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    wanted = [str(item.get("id", "")) for item in asked["inputs"]]
    id_property = asked.get("idProperty")
    if not id_property or id_property == "hs_object_id":
        key = "r.id::varchar"
    elif id_property in kind.properties:
        key = f"lower(({kind.properties[id_property]})::varchar)"
        wanted = [value.lower() for value in wanted]
    else:
        raise Refusal(400, "VALIDATION_ERROR", f"Property {id_property} is not an identifier")
    shown = object_json(kind, asked.get("properties") or [], [])
    sql = (
        f"select {key}, {shown} from {kind.table} r where not r.archived and {key} in (select unnest(?)) order by r.id"
    )
    found = state.rows(sql, [wanted])
    missing = sorted(set(wanted) - {row[0] for row in found})
    errors = []
    if missing:
        errors.append(
            standard_error("OBJECT_NOT_FOUND", "Could not get some objects, they may be deleted", ids=missing)
        )
    return [str(row[1]) for row in found], errors


def _links(state: State, kind_name: str, other_name: str) -> Response:
    """Associations of a batch of objects; an object without any is an error of its row, as at the vendor."""
    kind, inputs = _kind(kind_name), _body().get("inputs")
    _kind(other_name)
    link = kind.associations.get(PLURALS.get(other_name, other_name))
    if link is None or not isinstance(inputs, list):
        raise Refusal(400, "VALIDATION_ERROR", f"{kind_name} have no association to {other_name} here")
    if len(inputs) > ASSOCIATION_BATCH_MAX:
        raise Refusal(400, "VALIDATION_ERROR", f"The maximum batch size is {ASSOCIATION_BATCH_MAX}, got {len(inputs)}")
    wanted = [str(item.get("id", "")) for item in inputs]
    found = state.rows(
        f"select r.id::varchar, {link.sql}::varchar from {kind.table} r where not r.archived"
        f" and {link.sql} is not null and r.id::varchar in (select unnest(?)) order by r.id",
        [wanted],
    )
    types = [{"category": "HUBSPOT_DEFINED", "typeId": link.type_id, "label": None}]
    results = [{"from": {"id": a}, "to": [{"toObjectId": b, "associationTypes": types}]} for a, b in found]
    missing = sorted(set(wanted) - {row[0] for row in found})
    at = state.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    answer: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}
    if not missing:
        return json_answer(answer)
    errors = [
        standard_error("OBJECT_NOT_FOUND", f"No {link.type} is associated with {i}", fromObjectId=[i]) for i in missing
    ]
    return json_answer(answer | {"numErrors": len(errors), "errors": errors}, 207)


def _batch_write(
    state: State, kind: ObjectType, verb: str, inputs: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    written: list[tuple[int, bool]] = []
    errors: list[dict[str, Any]] = []
    with state.write() as cursor:
        for item in inputs:
            try:
                written.append(hubspot_writes.apply(cursor, kind, verb, item, state.now()))
            except hubspot_writes.WriteError as error:
                if verb == "create":
                    # the vendor creates all of a batch or nothing
                    raise Refusal(error.status, error.category, str(error)) from error
                errors.append(standard_error(error.category, str(error), ids=[str(item.get("id", ""))]))
    if verb == "archive":
        return [], errors
    new = dict(written)
    shown = object_json(kind, [*kind.defaults, *sorted({n for i in inputs for n in i.get("properties", {})})], [])
    found = state.rows(f"select r.id, {shown} from {kind.table} r where r.id in (select unnest(?))", [list(new)])
    texts = {int(row[0]): str(row[1]) for row in found}
    if verb == "upsert":
        return [texts[i][:-1] + f',"new":{json.dumps(new[i])}}}' for i, _ in written], errors
    return [texts[i] for i, _ in written], errors


def _create(state: State, kind_name: str) -> Response:
    asked = _body()
    return _write_one(state, _kind(kind_name), "create", {"properties": asked.get("properties") or {}}, 201)


def _update(state: State, kind_name: str, object_id: str) -> Response:
    item = {
        "id": object_id,
        "idProperty": request.args.get("idProperty"),
        "properties": _body().get("properties") or {},
    }
    return _write_one(state, _kind(kind_name), "update", item, 200)


def _archive(state: State, kind_name: str, object_id: str) -> Response:
    with state.write() as cursor:
        hubspot_writes.apply(cursor, _kind(kind_name), "archive", {"id": object_id}, state.now())
    return Response(status=204)


def _write_one(state: State, kind: ObjectType, verb: str, item: Mapping[str, Any], status: int) -> Response:
    try:
        with state.write() as cursor:
            object_id, _ = hubspot_writes.apply(cursor, kind, verb, item, state.now())
    except hubspot_writes.WriteError as error:
        raise Refusal(error.status, error.category, str(error)) from error
    properties = [*kind.defaults, *item["properties"]]
    return text_answer(_objects(state, kind, properties, [], "where r.id = ?", [object_id])[0][1], status)
