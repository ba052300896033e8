"""What a merge or a split of customers does to the tools: the stricter consent wins, memberships follow, and nobody who
said no is ever written; and what an analyst says in the seeds is done by the next build."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors import sync
from connectors.audience import Audience
from connectors.lake import Lake
from tests.dbt_build import build, dbt, mart, rows
from tests.integration.test_dbt_over_time import account, contact
from tests.memory_tool import Tool
from tests.raw_lake import write_empty, write_rows
from tests.shop import AS_OF, write_audience

YES, NO = "yes@mail.example", "no@mail.example"
FIRST, SECOND = "gid://shopify/Customer/1", "gid://shopify/Customer/2"
AUDIENCE = Audience(name="vip", minimum_size=0, maximum_added_share=None, maximum_removed_share=None)


def consenting(number: int, email: str, state: str, name: str) -> dict[str, Any]:
    said = {
        "marketingState": state,
        "marketingOptInLevel": "SINGLE_OPT_IN",
        "marketingUpdatedAt": "2026-05-01 00:00:00",
    }
    return account(number, email, name, defaultEmailAddress={"emailAddress": email, **said})


def build_and_push(root: Path, tool: Tool) -> dict[str, str]:
    """Build who is who and who may be written, want everybody in the audience, push; record → customer."""
    build(root, "consents", "contact_points")
    found = dict(rows(f"SELECT record_id, customer_id FROM {mart(root, 'identity_clusters')}"))
    lake = Lake(root)
    write_audience(lake, "vip", dict.fromkeys(found.values(), 0.5))
    sync.apply(lake, sync.make_plan(lake, AUDIENCE, tool, AS_OF), tool)
    again = sync.apply(lake, sync.make_plan(lake, AUDIENCE, tool, AS_OF), tool)
    assert (again.added, again.updated, again.removed) == (0, 0, 0)
    return found


def test_the_stricter_consent_wins_a_merge_and_a_split_writes_nobody_who_said_no(tmp_path: Path) -> None:
    root, tool = write_empty(tmp_path), Tool()
    people = [consenting(1, YES, "SUBSCRIBED", "太郎"), consenting(2, NO, "UNSUBSCRIBED", "花子")]
    write_rows(root, "shopify/customers", people)
    write_rows(root, "hubspot/contacts", [contact(10, YES)])
    apart = build_and_push(root, tool)
    assert apart[FIRST] != apart[SECOND] and set(tool.members.values()) == {YES}

    # the CRM says that both are one person: their no counts for the whole, and the membership goes
    both = contact(10, YES, shopify=2, updatedAt="2026-06-01 00:00:00", _landed_at="2026-10-20 01:00:00")
    write_rows(root, "hubspot/contacts", [both], commit="0002")
    together = build_and_push(root, tool)
    assert together[FIRST] == together[SECOND] == apart[FIRST] and tool.members == {}
    assert rows(f"SELECT event, evidence FROM {mart(root, 'customer_history')}") == [("merged", "own_number")]

    # the CRM was wrong: who said yes comes back under the id they kept, who said no is written by nobody
    apart_again = contact(10, YES, updatedAt="2026-07-01 00:00:00", _landed_at="2026-10-21 01:00:00")
    write_rows(root, "hubspot/contacts", [apart_again], commit="0003")
    split = build_and_push(root, tool)
    assert split[FIRST] == apart[FIRST] != split[SECOND] and set(tool.members.values()) == {YES}
    assert NO not in {address for batch in tool.sent for address in batch}
    told = rows(f"SELECT event, evidence FROM {mart(root, 'customer_history')} ORDER BY sequence_number")
    assert told == [("merged", "own_number"), ("split", "link_gone")]


def decide(root: Path, seed: str, *values: str) -> None:
    """Put a row into a seed's table and build identity again without reading the seed files anew."""
    with duckdb.connect(str(root / "warehouse.duckdb")) as connection:
        connection.execute(f"INSERT INTO seeds.{seed} VALUES ({', '.join('?' * len(values))})", values)
    dbt(root, "run", "--select", "path:models/identity")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = write_empty(tmp_path)
    write_rows(root, "shopify/customers", [account(1, "a@mail.example"), account(2, "b@mail.example", name="花子")])
    write_rows(root, "hubspot/contacts", [contact(10, "a@mail.example", shopify=1), contact(11, "c@mail.example")])
    build(root, "identity_clusters", "identity_alarms")
    return root


def clusters(root: Path) -> dict[str, str]:
    return dict(rows(f"SELECT record_id, customer_id FROM {mart(root, 'identity_clusters')}"))


def test_an_analyst_joins_two_records_and_takes_two_apart(shop: Path) -> None:
    before = clusters(shop)
    assert before[FIRST] == before["10"] and len(set(before.values())) == 3
    who = ("said so on the phone", "analyst", "2026-10-18")
    decide(shop, "forced_identity_merges", "shopify.customers", SECOND, "hubspot.contacts", "11", *who)
    joined = clusters(shop)
    assert joined[SECOND] == joined["11"] and joined[FIRST] == before[FIRST]
    assert ("merged", "forced_merge") in rows(f"SELECT event, evidence FROM {mart(shop, 'customer_history')}")

    # all identifiers the pair shares are given up at once: the e-mail and the shop's number
    decide(shop, "separated_identity_records", "shopify.customers", FIRST, "hubspot.contacts", "10", *who)
    parted = clusters(shop)
    assert parted[FIRST] != parted["10"] and before[FIRST] in (parted[FIRST], parted["10"])
    assert ("split", "separated_by_hand") in rows(f"SELECT event, evidence FROM {mart(shop, 'customer_history')}")
