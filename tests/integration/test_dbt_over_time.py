"""What happens to customers while records come, change and go: ids stay, merges and splits are told once."""

from pathlib import Path
from typing import Any

from tests.dbt_build import build, dbt, mart, rows
from tests.raw_lake import write_empty, write_rows


def account(number: int, email: str | None = None, name: str = "太郎", **more: Any) -> dict[str, Any]:
    """A Shopify customer as landed."""
    return {
        "id": f"gid://shopify/Customer/{number}",
        "legacyResourceId": str(number),
        "firstName": name,
        "lastName": "山田",
        "createdAt": "2026-01-01 00:00:00",
        "updatedAt": "2026-01-01 00:00:00",
        "defaultEmailAddress": {"emailAddress": email} if email else None,
    } | more


def contact(number: int, email: str | None = None, shopify: int | None = None, **more: Any) -> dict[str, Any]:
    """A HubSpot contact as landed."""
    properties = {
        "email": email,
        "firstname": "太郎",
        "lastname": "山田",
        "shopify_customer_id": shopify and str(shopify),
    }
    return {
        "id": str(number),
        "createdAt": "2026-02-01 00:00:00",
        "updatedAt": "2026-02-01 00:00:00",
        "archived": False,
        "properties": properties,
    } | more


def build_identity(lake: Path) -> dict[str, str]:
    """Build identity alone; record id → customer id."""
    build(lake, "identity_clusters")
    return dict(rows(f"SELECT record_id, customer_id FROM {mart(lake, 'identity_clusters')}"))


def history(lake: Path) -> list[tuple[str, str, str]]:
    columns = "event, customer_id, previous_customer_id"
    return rows(f"SELECT {columns} FROM {mart(lake, 'customer_history')} ORDER BY sequence_number")


def test_merges_and_splits_are_told_once(tmp_path: Path) -> None:
    lake = write_empty(tmp_path)
    first, second = "gid://shopify/Customer/1", "gid://shopify/Customer/2"
    write_rows(lake, "shopify/customers", [account(1, "a@mail.example"), account(2, "b@mail.example", name="花子")])
    write_rows(lake, "hubspot/contacts", [contact(10, "a@mail.example")])
    apart = build_identity(lake)
    assert apart[first] == apart["10"] != apart[second]
    assert history(lake) == []

    # the CRM learns that its contact is both accounts: two customers become one, under the id of the larger
    newer = contact(10, "a@mail.example", shopify=2, updatedAt="2026-03-01 00:00:00", _landed_at="2026-10-20 01:00:00")
    write_rows(lake, "hubspot/contacts", [newer], commit="0002")
    kept_back = (lake / "marts/identity_clusters/data.parquet").read_bytes()
    merged = build_identity(lake)
    assert set(merged.values()) == {apart[first]}
    assert history(lake) == [("merged", apart[first], apart[second])]

    # killed after the history was written and before the clusters were: the next build tells nothing twice
    (lake / "marts/identity_clusters/data.parquet").write_bytes(kept_back)
    assert build_identity(lake) == merged
    assert history(lake) == [("merged", apart[first], apart[second])]
    assert build_identity(lake) == merged
    assert history(lake) == [("merged", apart[first], apart[second])]

    # the CRM was wrong: one customer becomes two, the larger part keeps the id, the other gets one of its own
    corrected = contact(10, "a@mail.example", updatedAt="2026-04-01 00:00:00", _landed_at="2026-10-21 01:00:00")
    write_rows(lake, "hubspot/contacts", [corrected], commit="0003")
    split = build_identity(lake)
    assert split[first] == split["10"] == apart[first]
    assert split[second] not in (apart[first], None)
    assert history(lake)[1:] == [("split", split[second], apart[first])]


def test_a_deleted_record_links_nothing_any_more(tmp_path: Path) -> None:
    lake = write_empty(tmp_path)
    write_rows(lake, "shopify/customers", [account(1, "a@mail.example")])
    write_rows(lake, "hubspot/contacts", [contact(10, "a@mail.example")])
    assert len(set(build_identity(lake).values())) == 1
    gone = {"id": "10", "_is_deleted": True, "_landed_at": "2026-10-20 01:00:00"}
    write_rows(lake, "hubspot/contacts", [gone], commit="0002")
    assert len(set(build_identity(lake).values())) == 2


def test_ids_stay_when_only_some_models_are_built_again(tmp_path: Path) -> None:
    """Orchestration skips what nothing has changed behind; what the last build left must be read all the same."""
    lake = write_empty(tmp_path)
    write_rows(lake, "shopify/customers", [account(2, "b@mail.example")])
    before = build_identity(lake)["gid://shopify/Customer/2"]
    # a record with a smaller key joins: the name of a new component would change, the id of a known customer does not
    write_rows(lake, "hubspot/contacts", [contact(10, "b@mail.example")])
    changed = ["stg_hubspot__contacts", "record_identifiers", "guarded_identifiers", "identity_edges", "identity_links"]
    changed += [
        "identity_components",
        "identity_assignments",
        "customer_flows",
        "customer_history",
        "identity_clusters",
    ]
    dbt(lake, "run", "--select", *changed)
    after = dict(rows(f"SELECT record_id, customer_id FROM {mart(lake, 'identity_clusters')}"))
    assert after == {"gid://shopify/Customer/2": before, "10": before}
    assert history(lake) == []
