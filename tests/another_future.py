"""Another future of the small world: all that happened after a date is changed, for tests that nothing reads ahead."""

from pathlib import Path

import duckdb

# A snapshot date of the grid with half of the year on either side.
CUT = "2026-04-07 00:00:00"


def _later(column: str) -> str:
    return f"CASE WHEN {column} >= TIMESTAMP '{CUT}' THEN {column} + INTERVAL 20 HOUR ELSE {column} END"


def _after(column: str, then: str, otherwise: str) -> str:
    return f"CASE WHEN {column} >= TIMESTAMP '{CUT}' THEN {then} ELSE {otherwise} END"


def _dearer(bag: str) -> str:
    amount = _after("createdAt", f"{bag}.shopMoney.amount * 3", f"{bag}.shopMoney.amount")
    return f"{{shopMoney: {{amount: {amount}, currencyCode: {bag}.shopMoney.currencyCode}}}} AS {bag}"


def _opposite(state: str) -> str:
    return f"CASE {state} WHEN 'SUBSCRIBED' THEN 'UNSUBSCRIBED' WHEN 'UNSUBSCRIBED' THEN 'SUBSCRIBED' ELSE {state} END"


_UNDONE = f"hash(id) % 5 = 0 AND createdAt < TIMESTAMP '{CUT}' AND cancelledAt IS NULL"
_MAIL, _SMS = "defaultEmailAddress", "defaultPhoneNumber.smsMarketingConsent"
# stream → what replaces its columns, and which rows stay
CHANGES = {
    "shopify/orders": (
        f"""{_dearer("totalPriceSet")}, {_dearer("totalDiscountsSet")}, {_later("createdAt")} AS createdAt,
        CASE WHEN {_UNDONE} THEN TIMESTAMP '{CUT}' + INTERVAL 1 HOUR ELSE {_later("cancelledAt")} END AS cancelledAt,
        list_transform(lineItems, lambda l: struct_update(l,
          quantity := {_after("createdAt", "l.quantity * 2", "l.quantity")},
          currentQuantity := CASE WHEN {_UNDONE} THEN 0 ELSE {_after("createdAt", "0", "l.currentQuantity")} END))
          AS lineItems,
        list_transform(refunds, lambda r: struct_update(r, createdAt := {_later("r.createdAt")})) ||
          CASE WHEN {_UNDONE} THEN [{{id: 'late-' || id, createdAt: TIMESTAMP '{CUT}' + INTERVAL 2 HOUR,
            totalRefundedSet: {{shopMoney: {{amount: totalPriceSet.shopMoney.amount, currencyCode: 'USD'}}}}}}]
          ELSE [] END AS refunds""",
        f"createdAt < TIMESTAMP '{CUT}' OR hash(id) % 11 <> 0",
    ),
    "shopify/abandoned_checkouts": (
        f"""CASE WHEN createdAt < TIMESTAMP '{CUT}' AND completedAt IS NULL AND hash(id) % 2 = 0
          THEN TIMESTAMP '{CUT}' + INTERVAL 1 HOUR ELSE {_later("completedAt")} END AS completedAt,
        {_later("createdAt")} AS createdAt, {_later("updatedAt")} AS updatedAt""",
        f"createdAt < TIMESTAMP '{CUT}'",
    ),
    "shopify/customers": (
        f"""struct_update({_MAIL}, marketingUpdatedAt := {_later(f"{_MAIL}.marketingUpdatedAt")},
          marketingState := {_after(f"{_MAIL}.marketingUpdatedAt", _opposite(f"{_MAIL}.marketingState"),
                                    f"{_MAIL}.marketingState")}) AS {_MAIL},
        {_later("updatedAt")} AS updatedAt""",
        "true",
    ),
    "hubspot/consents": (
        f"""{_after('"timestamp"', _opposite("status"), "status")} AS status,
        {_later('"timestamp"')} AS "timestamp" """,
        "true",
    ),
    "hubspot/contacts": (
        f"""struct_update(properties, hs_email_optout := {_after(
            "updatedAt", "CASE properties.hs_email_optout WHEN 'true' THEN 'false' ELSE 'true' END",
            "properties.hs_email_optout")}) AS properties, {_later("updatedAt")} AS updatedAt""",
        "true",
    ),
    "mailchimp/members": (
        f"""{_later("last_changed")} AS last_changed, {_later("timestamp_opt")} AS timestamp_opt,
        CASE WHEN status = 'unsubscribed' AND last_changed >= TIMESTAMP '{CUT}' THEN 'pending' ELSE status END
          AS status""",
        "true",
    ),
    "mailchimp/reports": (f"""{_later("send_time")} AS send_time""", "true"),
    "mailchimp/email_activity": (
        f"""list_transform(activity, lambda a: struct_update(a, "timestamp" := {_later('a."timestamp"')},
          action := {_after('a."timestamp"', "CASE a.action WHEN 'open' THEN 'click' ELSE 'open' END", "a.action")}))
          AS activity""",
        "true",
    ),
    "mailchimp/unsubscribes": (f"""{_later('"timestamp"')} AS "timestamp" """, "true"),
    "ga4/events": (
        f"""CASE WHEN event_timestamp >= epoch_us(TIMESTAMP '{CUT}') THEN event_timestamp + 72000000000
          ELSE event_timestamp END AS event_timestamp,
        CASE WHEN event_timestamp < epoch_us(TIMESTAMP '{CUT}') THEN event_name
          WHEN event_name = 'view_item' THEN 'scroll' WHEN event_name = 'add_to_cart' THEN 'view_item'
          ELSE event_name END AS event_name""",
        "true",
    ),
}  # fmt: skip


def change_what_came_later(root: Path, untouched_orders: str = "false") -> None:
    """Rewrite a raw lake of the world so that all after the date is another: moved, dearer, dropped, taken back.

    Orders of which `untouched_orders` (SQL over the raw columns) is true stay as they are.
    """
    with duckdb.connect() as connection:
        for stream, (replaced, kept) in CHANGES.items():
            path = root / "raw" / stream / "0001.parquet"
            untouched = untouched_orders if stream == "shopify/orders" else "false"
            connection.execute(f"""
                COPY (SELECT * REPLACE ({replaced}) FROM '{path}' WHERE ({kept}) AND NOT ({untouched})
                  UNION ALL BY NAME SELECT * FROM '{path}' WHERE {untouched})
                TO '{path}.changed' (FORMAT parquet)""")
            Path(f"{path}.changed").replace(path)
