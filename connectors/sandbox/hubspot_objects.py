"""HubSpot's CRM objects over the world's tables: properties, associations and filters as SQL, values as strings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Association:
    """Who is linked: the SQL of the other object's id (NULL = nobody), HubSpot's name and number of the link."""

    sql: str
    type: str
    type_id: int


@dataclass(frozen=True)
class ObjectType:
    """One kind of CRM object. `properties`: name → SQL over the alias `r`; numbers and times keep their SQL type."""

    name: str
    table: str
    properties: Mapping[str, str]
    defaults: Sequence[str]
    """What is returned when a request names no properties."""
    modified: str
    """The property by which changes are found; contacts differ from everything else."""
    associations: Mapping[str, Association] = field(default_factory=dict)
    writable: frozenset[str] = frozenset()
    has_archived_at: bool = False


_CONTACT_TEXT = (
    "email",
    "firstname",
    "lastname",
    "phone",
    "mobilephone",
    "address",
    "city",
    "state",
    "zip",
    "country",
    "date_of_birth",
    "lifecyclestage",
    "shopify_customer_id",
    "hs_merged_object_ids",
)

TYPES: dict[str, ObjectType] = {
    "contacts": ObjectType(
        name="contact",
        table="hubspot_contacts",
        properties={
            **{name: f"r.{name}" for name in _CONTACT_TEXT},
            "company": "(select c.name from hubspot_companies c where c.id = r.company_id)",
            "hs_email_optout": "r.hs_email_optout",
            "createdate": "r.created_at",
            "lastmodifieddate": "r.updated_at",
            "hs_object_id": "r.id",
        },
        defaults=("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
        modified="lastmodifieddate",
        associations={"companies": Association("r.company_id", "contact_to_company", 279)},
        writable=frozenset(_CONTACT_TEXT) - {"hs_merged_object_ids"} | {"hs_email_optout"},
        has_archived_at=True,
    ),
    "companies": ObjectType(
        name="company",
        table="hubspot_companies",
        properties={
            **{name: f"r.{name}" for name in ("name", "domain", "industry", "phone", "city", "country")},
            "createdate": "r.created_at",
            "hs_lastmodifieddate": "r.updated_at",
            "hs_object_id": "r.id",
        },
        defaults=("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
        modified="hs_lastmodifieddate",
    ),
    "deals": ObjectType(
        name="deal",
        table="hubspot_deals",
        properties={
            **{name: f"r.{name}" for name in ("dealname", "amount", "deal_currency_code", "dealstage", "pipeline")},
            "closedate": "r.closedate",
            "createdate": "r.created_at",
            "hs_lastmodifieddate": "r.updated_at",
            "hs_object_id": "r.id",
        },
        defaults=(
            "amount",
            "closedate",
            "createdate",
            "dealname",
            "dealstage",
            "hs_lastmodifieddate",
            "hs_object_id",
            "pipeline",
        ),
        modified="hs_lastmodifieddate",
        associations={
            "contacts": Association("r.contact_id", "deal_to_contact", 3),
            "companies": Association("r.company_id", "deal_to_company", 341),
        },
    ),
}

TIMES = frozenset({"createdate", "lastmodifieddate", "hs_lastmodifieddate", "closedate"})
NUMBERS = frozenset({"amount", "hs_object_id"})
BOOLEANS = frozenset({"hs_email_optout"})


def iso(sql: str) -> str:
    """SQL of a time as HubSpot writes it, with milliseconds."""
    return (
        f"strftime({sql}, '%Y-%m-%dT%H:%M:%S.') || printf('%03d', extract(millisecond from {sql})::int % 1000) || 'Z'"
    )


def object_json(kind: ObjectType, properties: Sequence[str], associations: Sequence[str]) -> str:
    """SQL of one object's JSON text; unknown properties are left out silently, as the vendor does."""
    wanted = list(dict.fromkeys(name for name in properties or kind.defaults if name in kind.properties))
    for always in ("createdate", "hs_object_id", kind.modified):
        if always not in wanted:
            wanted.append(always)
    values = ", ".join(f"'{name}', {_string(kind, name)}" for name in wanted)
    archived_at = iso("r.archived_at") if kind.has_archived_at else iso("r.updated_at")
    core = (
        f"'id', r.id::varchar, 'properties', json_object({values}), 'createdAt', {iso('r.created_at')},"
        f" 'updatedAt', {iso('r.updated_at')}, 'archived', r.archived"
    )
    linked = _associations_json(kind, associations)
    live = f"json_object({core}{linked})"
    return f"case when r.archived then json_object({core}, 'archivedAt', {archived_at}{linked}) else {live} end"


def _associations_json(kind: ObjectType, associations: Sequence[str]) -> str:
    pieces = []
    for name in associations:
        link = kind.associations.get(name)
        if link is None:
            continue
        pieces.append(
            f"case when {link.sql} is not null then json_object('{name}', json_object('results',"
            f" [json_object('id', {link.sql}::varchar, 'type', '{link.type}')])) else '{{}}'::json end"
        )
    if not pieces:
        return ""
    merged = pieces[0]
    for piece in pieces[1:]:
        merged = f"json_merge_patch({merged}, {piece})"
    return f", 'associations', {merged}"


def _string(kind: ObjectType, name: str) -> str:
    sql = kind.properties[name]
    return iso(sql) if name in TIMES else f"({sql})::varchar"


class FilterError(ValueError):
    """A search request the vendor refuses; the message is the one it answers with."""


def filter_sql(kind: ObjectType, groups: Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]]:
    """The condition of `filterGroups`: filters of a group all hold, of the groups any."""
    if len(groups) > 5:
        raise FilterError("You have used too many filter groups; at most 5 are allowed")
    parameters: list[Any] = []
    alternatives = []
    for group in groups:
        conditions = [_condition(kind, given, parameters) for given in group.get("filters", [])]
        alternatives.append(" and ".join(conditions) or "true")
    return " or ".join(f"({condition})" for condition in alternatives) or "true", parameters


_COMPARISONS = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}


def _condition(kind: ObjectType, given: Mapping[str, Any], parameters: list[Any]) -> str:
    name, operator = given.get("propertyName", ""), given.get("operator", "")
    if name not in kind.properties:
        raise FilterError(f"There was a problem with the request. Property {name!r} does not exist")
    sql = kind.properties[name]
    if operator == "HAS_PROPERTY":
        return f"({sql}) is not null"
    if operator == "NOT_HAS_PROPERTY":
        return f"({sql}) is null"
    comparable = sql if name in TIMES | NUMBERS else f"lower(({sql})::varchar)"
    if operator in _COMPARISONS:
        parameters.append(_value(name, given.get("value")))
        condition = f"{comparable} {_COMPARISONS[operator]} ?"
        return f"({condition} or ({sql}) is null)" if operator == "NEQ" else condition
    if operator == "BETWEEN":
        parameters.extend([_value(name, given.get("value")), _value(name, given.get("highValue"))])
        return f"{comparable} between ? and ?"
    if operator in {"IN", "NOT_IN"}:
        values = [_value(name, value) for value in given.get("values", [])]
        if not values:
            raise FilterError(f"operator {operator} requires values")
        parameters.extend(values)
        marks = ", ".join("?" * len(values))
        return f"({comparable} {'in' if operator == 'IN' else 'not in'} ({marks}))"
    if operator in {"CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"}:
        parameters.append(str(given.get("value", "")).lower().replace("*", "%"))
        return f"(({sql})::varchar {'ilike' if operator == 'CONTAINS_TOKEN' else 'not ilike'} '%' || ? || '%')"
    raise FilterError(f"Invalid operator {operator!r}")


def _value(name: str, value: Any) -> Any:
    if value is None:
        raise FilterError(f"A value is required to filter by {name}")
    if name in TIMES:
        return _time(str(value))
    if name in NUMBERS:
        try:
            return float(value) if name != "hs_object_id" else int(value)
        except ValueError as error:
            raise FilterError(f"{value!r} is not a number") from error
    return str(value).lower()


def _time(text: str) -> datetime:
    """Search values are epoch milliseconds or ISO 8601."""
    try:
        if text.lstrip("-").isdigit():
            return datetime.fromtimestamp(int(text) / 1000, UTC).replace(tzinfo=None)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise FilterError(f"{text!r} is not a valid date") from error
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def sort_sql(kind: ObjectType, sorts: Sequence[Any]) -> str:
    """The order of a search: names with an optional minus, or {propertyName, direction}; ids break ties."""
    order = []
    for given in sorts[:1]:
        name = given.get("propertyName", "") if isinstance(given, dict) else str(given)
        is_down = isinstance(given, dict) and given.get("direction") == "DESCENDING"
        if name.startswith("-"):
            name, is_down = name[1:], True
        if name not in kind.properties:
            raise FilterError(f"Property {name!r} does not exist")
        order.append(f"{kind.properties[name]} {'desc' if is_down else 'asc'} nulls last")
    return ", ".join([*order, "r.id"])
