"""The few Shopify mutations the sandbox serves: customers' details, tags, e-mail consent, deletion."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from duckdb import DuckDBPyConnection
from graphql import FieldNode

from connectors.sandbox.shopify_reader import Reader
from connectors.sandbox.state import State

_COLUMNS = {
    "email": "email",
    "firstName": "first_name",
    "lastName": "last_name",
    "locale": "locale",
    "note": "note",
    "phone": "phone",
    "tags": "tags",
}
_PAYLOAD_NODE = {"tagsAdd": "node", "tagsRemove": "node"}


class WriteError(ValueError):
    """What the vendor says in `userErrors`: the field's path and a message."""

    def __init__(self, field: list[str], message: str) -> None:
        super().__init__(message)
        self.field = field


class Writer:
    """Applies a mutation and answers with the payload, the written customer in it as a page row."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._writes: dict[str, Callable[[DuckDBPyConnection, Mapping[str, Any]], int]] = {
            "customerUpdate": self._update,
            "tagsAdd": self._add_tags,
            "tagsRemove": self._remove_tags,
            "customerEmailMarketingConsentUpdate": self._set_consent,
            "customerDelete": self._delete,
        }

    def write(self, name: str, arguments: Mapping[str, Any], reader: Reader, node: FieldNode) -> dict[str, Any]:
        shop = {"shop": None}
        try:
            with self._state.write() as cursor:
                customer_id = self._writes[name](cursor, arguments)
        except WriteError as error:
            code = {"code": "INVALID"} if name == "customerEmailMarketingConsentUpdate" else {}
            return {**shop, "userErrors": [{"field": error.field, "message": str(error), **code}]}
        if name == "customerDelete":
            return {**shop, "deletedCustomerId": f"gid://shopify/Customer/{customer_id}", "userErrors": []}
        key = _PAYLOAD_NODE.get(name, "customer")
        nodes = [
            n
            for child in reader.selection.fields(node.selection_set)
            if child.name.value == key
            for n in reader.selection.fields(child.selection_set)
        ]
        return {key: reader.by_ids("Customer", [customer_id], nodes)[customer_id], "userErrors": []}

    def _update(self, cursor: DuckDBPyConnection, arguments: Mapping[str, Any]) -> int:
        given = dict(arguments["input"])
        customer_id = self._existing(cursor, given.pop("id", None), ["input", "id"])
        email = given.get("email")
        if email is not None:
            taken = cursor.execute(
                "select count(*) from shopify_customers where lower(email) = lower(?) and id <> ?", [email, customer_id]
            ).fetchall()[0][0]
            if taken:
                raise WriteError(["email"], "Email has already been taken")
        for name, value in given.items():
            cursor.execute(f"update shopify_customers set {_COLUMNS[name]} = ? where id = ?", [value, customer_id])
        return self._touched(cursor, customer_id)

    def _add_tags(self, cursor: DuckDBPyConnection, arguments: Mapping[str, Any]) -> int:
        customer_id = self._existing(cursor, arguments["id"], ["id"])
        cursor.execute(
            "update shopify_customers set tags = list_sort(list_distinct(list_concat(coalesce(tags, []), ?)))"
            " where id = ?",
            [arguments["tags"], customer_id],
        )
        return self._touched(cursor, customer_id)

    def _remove_tags(self, cursor: DuckDBPyConnection, arguments: Mapping[str, Any]) -> int:
        customer_id = self._existing(cursor, arguments["id"], ["id"])
        cursor.execute(
            "update shopify_customers set tags = list_filter(coalesce(tags, []), lambda t: not list_contains(?, t))"
            " where id = ?",
            [arguments["tags"], customer_id],
        )
        return self._touched(cursor, customer_id)

    def _set_consent(self, cursor: DuckDBPyConnection, arguments: Mapping[str, Any]) -> int:
        given = arguments["input"]
        customer_id = self._existing(cursor, given["customerId"], ["input", "customerId"])
        consent = given["emailMarketingConsent"]
        state, level = consent["marketingState"], consent.get("marketingOptInLevel")
        if state not in {"SUBSCRIBED", "UNSUBSCRIBED", "PENDING"}:
            raise WriteError(["input", "emailMarketingConsent", "marketingState"], f"Cannot specify {state}")
        at = self._state.now()
        if consent.get("consentUpdatedAt"):
            at = datetime.fromisoformat(consent["consentUpdatedAt"]).astimezone(UTC).replace(tzinfo=None)
        cursor.execute(
            "update shopify_customers set email_marketing_state = ?,"
            " email_opt_in_level = coalesce(?, email_opt_in_level), email_marketing_updated_at = ? where id = ?",
            [state, level, at, customer_id],
        )
        return self._touched(cursor, customer_id)

    def _delete(self, cursor: DuckDBPyConnection, arguments: Mapping[str, Any]) -> int:
        customer_id = self._existing(cursor, arguments["input"]["id"], ["id"])
        orders = cursor.execute("select count(*) from shopify_orders where customer_id = ?", [customer_id]).fetchall()[
            0
        ][0]
        if orders:
            raise WriteError(["id"], "Customer can’t be deleted because they have associated orders")
        cursor.execute("delete from shopify_customers where id = ?", [customer_id])
        return customer_id

    def _existing(self, cursor: DuckDBPyConnection, gid: str | None, field: list[str]) -> int:
        number = (gid or "").removeprefix("gid://shopify/Customer/")
        if number.isdigit():
            found = cursor.execute("select id from shopify_customers where id = ?", [int(number)]).fetchone()
            if found:
                return int(found[0])
        raise WriteError(field, "Customer does not exist")

    def _touched(self, cursor: DuckDBPyConnection, customer_id: int) -> int:
        cursor.execute("update shopify_customers set updated_at = ? where id = ?", [self._state.now(), customer_id])
        return customer_id
