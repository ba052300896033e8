"""Identity under the worst input of issue 3: no crash, no mega-person, nobody lost, each refusal with its reason."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.dbt_build import build, mart, rows
from tests.integration.test_dbt_over_time import account, contact
from tests.raw_lake import write_empty, write_rows

CROWD = 10_000
LONG = "x" * 1_000_000


def person(number: int, **properties: Any) -> dict[str, Any]:
    """A HubSpot contact of another name than everybody else's unless told otherwise."""
    one = contact(number)
    return one | {"properties": {"firstname": f"n{number}", "lastname": "family", **properties}}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_empty(tmp_path_factory.mktemp("identity-bad-input"))
    crowd = [person(100_000 + n, email="everybody@mail.example") for n in range(CROWD)]
    nameless = [
        person(200_000 + n, firstname=None, lastname=None, email="nameless@mail.example", phone="+819011112222")
        for n in range(100)
    ]
    # each shares its e-mail with the one before and its phone with the one after, or the other way round
    chain = [
        person(n, firstname="one", email=f"chain{(n + 1) // 2}@mail.example", phone=f"+81901234{n // 2:04d}")
        for n in range(50)
    ]
    cycle = [
        person(1001, email="cycle@mail.example", hs_merged_object_ids="1002"),
        person(1002, email="cycle2@mail.example", hs_merged_object_ids="1003"),
        person(1003, email="cycle3@mail.example", hs_merged_object_ids="1001;1003"),
    ]
    same = {"firstname": "太郎", "lastname": "佐藤", "phone": "+819055556666"}
    birthdays = [
        person(2001, date_of_birth="1950-01-02", **same),
        person(2002, date_of_birth="1980-03-04", **same),
        person(2003, date_of_birth="1950-01-02", **same),
        person(2004, date_of_birth="1970-01-01", email="twin@mail.example", firstname="a"),
        person(2005, date_of_birth="1971-01-01", email="twin@mail.example", firstname="a"),
    ]
    odd = [
        person(3001, firstname="😀👨‍👩‍👧", lastname="🎉", email="emoji@mail.example"),
        person(3002, firstname="😀👨‍👩‍👧", lastname="🎉", email="emoji@mail.example"),
        person(3003, firstname="\u202eمحمد", lastname="عبد الله", email="rtl@mail.example"),
        person(3004, firstname=LONG, lastname=LONG, email=LONG, phone=LONG, address=LONG, zip=LONG),
        person(3005, email=f"{LONG}@mail.example"),
        person(3006, email="noreply@mail.example", phone="000-0000-0000", country="JP"),
        person(3007, email="noreply@mail.example", phone="000-0000-0000", country="JP"),
    ]
    write_rows(root, "hubspot/contacts", [*crowd, *nameless, *chain, *cycle, *birthdays, *odd])
    write_rows(root, "shopify/customers", [account(1, "everybody@mail.example"), account(2, "rtl@mail.example")])
    build(root, "identity_clusters", "identity_alarms", "rejected_records")
    return root


@pytest.fixture(scope="module")
def customers(lake: Path) -> dict[str, str]:
    return dict(rows(f"SELECT record_id, customer_id FROM {mart(lake, 'identity_clusters')}"))


def test_nobody_is_lost(customers: dict[str, str]) -> None:
    assert len(customers) == CROWD + 100 + 50 + 3 + 5 + 7 + 2


def test_ten_thousand_on_one_address_are_no_mega_person(lake: Path, customers: dict[str, str]) -> None:
    sizes = Counter(customers[str(100_000 + n)] for n in range(CROWD))
    assert max(sizes.values()) == 1
    assert max(Counter(customers[str(200_000 + n)] for n in range(100)).values()) == 1
    judged = rows(f"""
        SELECT DISTINCT guard FROM {mart(lake, "identity_edges")} WHERE identifier_value = 'everybody@mail.example'""")
    assert judged == [("too_many_records",)]


def test_a_chain_of_fifty_links_is_one_customer_and_an_alarm(lake: Path, customers: dict[str, str]) -> None:
    (chained,) = {customers[str(n)] for n in range(50)}
    alarms = f"SELECT record_count FROM {mart(lake, 'identity_alarms')} WHERE reason = 'many_records' AND customer_id"
    assert rows(f"{alarms} = '{chained}'") == [(50,)]


def test_a_cycle_of_merges_at_the_vendor_is_one_customer(customers: dict[str, str]) -> None:
    assert len({customers[number] for number in ("1001", "1002", "1003")}) == 1


def test_birthdays_that_contradict_do_not_meet_on_a_phone(lake: Path, customers: dict[str, str]) -> None:
    assert customers["2001"] == customers["2003"] != customers["2002"]
    # one e-mail and one name: still one customer, and somebody is told
    assert customers["2004"] == customers["2005"]
    alarms = rows(f"SELECT customer_id FROM {mart(lake, 'identity_alarms')} WHERE reason = 'contradicting_birthdays'")
    assert alarms == [(customers["2004"],)]


def test_names_in_any_script_are_names(customers: dict[str, str]) -> None:
    assert customers["3001"] == customers["3002"]
    assert customers["3003"] != customers["3001"]


def test_dummies_link_nobody(lake: Path, customers: dict[str, str]) -> None:
    assert customers["3006"] != customers["3007"]
    assert ("dummy",) in rows(f"SELECT guard FROM {mart(lake, 'identity_edges')} WHERE record_id = '3006'")


def test_what_was_refused_has_its_reason(lake: Path) -> None:
    found = rows(f"SELECT record_id, reason FROM {mart(lake, 'rejected_records')} WHERE record_id = '3004'")
    assert {("3004", "not_an_email"), ("3004", "not_a_phone")} <= set(found)
