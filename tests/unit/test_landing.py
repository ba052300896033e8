"""Landing: typed, nothing lost, nothing twice, clear about what does not fit."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.http import ContractError
from connectors.lake import Lake
from connectors.landing import Landed, Landing, declare
from connectors.stream import Page, Stream, columns

LINE = "STRUCT(id VARCHAR, quantity BIGINT, price DECIMAL(18,4))[]"
STREAM = Stream(
    "orders",
    columns(
        {
            "id": "VARCHAR",
            "updatedAt": "TIMESTAMP",
            "email": "VARCHAR",
            "total": "DECIMAL(18,4)",
            "test": "BOOLEAN",
            "tags": "VARCHAR[]",
            "customer": "STRUCT(id VARCHAR)",
            "lineItems": LINE,
        },
        required=("id", "updatedAt"),
        personal=("email",),
    ),
    cursor="updatedAt",
)
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def order(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "id": f"o{number}",
        "updatedAt": "2026-10-01T09:00:00+09:00",
        "email": f"p{number}@example.com",
        "total": "12.50",
        "test": False,
        "tags": ["a"],
        "customer": {"id": "c1"},
        "lineItems": [{"id": f"l{number}", "quantity": 2, "price": "6.25"}],
    }
    return row | changes


def page(*rows: dict[str, Any]) -> Page:
    body = {"data": {"orders": {"nodes": list(rows), "pageInfo": {"hasNextPage": False}}}}
    return Page(json.dumps(body, indent=1).encode(), path=("data", "orders", "nodes"))


def land(lake: Lake, *pages: Page, stream: Stream = STREAM, at: datetime = NOW) -> Landed:
    declare("shop", [stream], lake)
    with Landing("shop", stream, lake, at) as landing:
        for one in pages:
            landing.add(one)
        return landing.land()


def rows(lake: Lake, dataset: str = "raw/shop/orders", select: str = "*") -> list[tuple[Any, ...]]:
    with lake.connect() as connection:
        return connection.sql(
            f"SELECT {select} FROM read_parquet('{lake.glob(dataset)}', union_by_name=true) ORDER BY ALL"
        ).fetchall()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_page_lands_typed_in_utc(lake: Lake) -> None:
    landed = land(lake, page(order(1)))
    assert (landed.seen, landed.rows, landed.rejected, len(landed.commits)) == (1, 1, 0, 1)
    found = rows(
        lake, select="id, updatedAt, total::VARCHAR, lineItems[1].price::VARCHAR, customer.id, _is_deleted, _extra"
    )
    assert found == [("o1", datetime(2026, 10, 1), "12.5000", "6.2500", "c1", False, None)]


def test_landed_columns_are_the_declared_ones(lake: Lake) -> None:
    land(lake, page(order(1)))
    with lake.connect() as connection:
        for file in [*lake.files("raw/shop/orders"), lake.path("raw/shop/orders/schema.parquet")]:
            found = connection.execute(f"DESCRIBE FROM read_parquet('{file}')").fetchall()
            assert [name for name, *_ in found] == list(STREAM.table_types)
            assert {name: kind for name, kind, *_ in found}["lineItems"].replace(" ", "") == LINE.replace(" ", "")


def test_same_page_again_commits_nothing(lake: Lake) -> None:
    land(lake, page(order(1), order(2)))
    again = land(lake, page(order(1), order(2)), at=NOW + timedelta(days=1))
    assert (again.seen, again.rows, again.commits) == (2, 0, [])


def test_page_twice_in_one_read_lands_once(lake: Lake) -> None:
    landed = land(lake, page(order(1), order(2)), page(order(1), order(2)), page(order(2), order(3)))
    assert landed.rows == 3
    assert [row[0] for row in rows(lake, select="id")] == ["o1", "o2", "o3"]


def test_changed_row_lands_as_new_version(lake: Lake) -> None:
    land(lake, page(order(1), order(2)))
    landed = land(lake, page(order(1, total="13.00"), order(2)), at=NOW + timedelta(days=1))
    assert landed.rows == 1
    assert len(rows(lake)) == 3


def test_row_that_went_back_to_an_old_state_lands_again(lake: Lake) -> None:
    for day, total in enumerate(["12.50", "13.00", "12.50"]):
        assert land(lake, page(order(1, total=total)), at=NOW + timedelta(days=day)).rows == 1


@pytest.mark.parametrize(
    "empty",
    [
        page(),
        Page(b"", is_lines=True),
        Page([]),
        Page(b'{"data":{"orders":{"nodes":[]}}}', ("data", "orders", "nodes")),
    ],
)
def test_empty_page_is_harmless(lake: Lake, empty: Page) -> None:
    assert land(lake, empty).commits == []
    assert land(lake, page(order(1)), empty, page(order(2))).rows == 2


def test_undeclared_fields_are_kept_wherever_they_are(lake: Lake) -> None:
    extra = order(1, note="later", born="2026-01-02T03:04:05.123456789Z", shipping={"zip": "1", "x": [1, {"y": None}]})
    extra["customer"] = {"id": "c1", "tier": {"name": "gold"}}
    extra["lineItems"] = [
        {"id": "l1", "quantity": 1, "price": "1", "gift": True},
        {"id": "l2", "quantity": 1, "price": "1"},
    ]
    land(lake, page(order(2), extra, order(3, note=None)))
    found = dict(rows(lake, select="id, _extra"))
    assert found["o2"] is None
    assert found["o3"] is None
    kept = json.loads(found["o1"])
    assert kept["note"] == "later"
    assert kept["born"] == "2026-01-02T03:04:05.123456789Z"
    assert kept["shipping"]["zip"] == "1"
    assert kept["customer.tier"] == {"name": "gold"}
    assert kept["lineItems[].gift"] == [True, None]


def test_undeclared_fields_of_mixed_types_are_kept(lake: Lake) -> None:
    land(lake, page(order(1, odd=1), order(2, odd="text"), order(3, odd={"a": 1})))
    assert [json.loads(e) for _, e in rows(lake, select="id, _extra")] == [
        {"odd": 1},
        {"odd": "text"},
        {"odd": {"a": 1}},
    ]


def test_numbers_sent_as_text_land_as_numbers(lake: Lake) -> None:
    row = order(1, test="true", total=12.5)
    row["lineItems"][0]["quantity"] = "2"
    landed = land(lake, page(row, order(2)))
    assert (landed.rows, landed.rejected) == (2, 0)
    assert rows(lake, select="lineItems[1].quantity, total::VARCHAR, updatedAt")[0] == (
        2,
        "12.5000",
        datetime(2026, 10, 1),
    )


def test_fast_and_careful_way_agree(tmp_path: Path) -> None:
    fast, careful = Lake(tmp_path / "a"), Lake(tmp_path / "b")
    odd = order(9)
    odd["lineItems"][0]["quantity"] = "2"
    good = [order(n, updatedAt=f"2026-10-0{n + 1}T00:00:00.5Z", new=n) for n in range(5)]
    land(fast, page(*good, order(9)))
    land(careful, page(*good, odd))
    assert rows(fast) == rows(careful)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"total": "a lot"}, "total"),
        ({"email": {"address": "x"}}, "email"),
        ({"email": 5}, "email"),
        ({"updatedAt": "yesterday"}, "updatedAt"),
        ({"lineItems": {"id": "l"}}, "lineItems"),
        ({"lineItems": [{"id": "l", "quantity": "two", "price": "1"}]}, "lineItems[].quantity"),
        ({"customer": "c1"}, "customer"),
        ({"updatedAt": None}, "updatedAt"),
        ({"id": None}, "id"),
    ],
)
def test_single_bad_row_is_rejected_with_reason(lake: Lake, changes: dict[str, Any], field: str) -> None:
    landed = land(lake, page(*[order(n) for n in range(9)], order(9, **changes)))
    assert (landed.rows, landed.rejected) == (9, 1)
    [(found_field, reason, row)] = rows(lake, "rejected/shop/orders", "_field, _reason, _row")
    assert found_field == field
    assert reason
    assert json.loads(row)
    again = land(lake, page(*[order(n) for n in range(9)], order(9, **changes)))
    assert (again.rows, again.rejected) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "field", "shown"),
    [
        ({"total": "a lot"}, "total", '"a lot"'),
        ({"email": 5}, "email", "a number (personal, not shown)"),
        ({"customer": "c1"}, "customer", '"c1"'),
        ({"lineItems": [{"quantity": "two"}]}, "lineItems[].quantity", '"two"'),
    ],
)
def test_retyped_field_is_a_broken_contract(lake: Lake, changes: dict[str, Any], field: str, shown: str) -> None:
    with pytest.raises(ContractError) as caught:
        land(lake, page(*[order(n, **changes) for n in range(5)], order(5)))
    assert str(caught.value).startswith(f"shop.orders.{field}: ")
    assert shown in str(caught.value)
    assert lake.files("raw/shop/orders") == []
    assert lake.files("rejected/shop/orders") == []


def test_missing_required_field_is_a_broken_contract(lake: Lake) -> None:
    gone = [{k: v for k, v in order(n).items() if k != "updatedAt"} for n in range(4)]
    with pytest.raises(ContractError, match=r"shop\.orders\.updatedAt: required but empty in 4 of 4 rows"):
        land(lake, page(*gone))


def test_missing_optional_field_is_null(lake: Lake) -> None:
    slim = {"id": "o1", "updatedAt": "2026-10-01T00:00:00Z"}
    assert land(lake, page(slim)).rows == 1
    assert rows(lake, select="total, lineItems, customer") == [(None, None, None)]


def test_broken_line_is_rejected(lake: Lake) -> None:
    lines = b"\n".join(json.dumps(order(n)).encode() for n in range(5)) + b'\n{"id": "o9", "upd'
    landed = land(lake, Page(lines, is_lines=True))
    assert (landed.rows, landed.rejected) == (5, 1)


def test_unwrapped_connection_and_constants(lake: Lake) -> None:
    row = order(1)
    row["lineItems"] = {"nodes": row["lineItems"], "pageInfo": {"hasNextPage": False}}
    del row["email"]
    body = json.dumps([row]).encode()[1:-1]
    land(lake, Page(body, is_lines=True, unwrap={"lineItems": "nodes"}, constants={"email": "it's"}))
    assert rows(lake, select="lineItems[1].id, email, _extra") == [("l1", "it's", None)]


def test_rows_listed_as_deleted_are_marked(lake: Lake) -> None:
    land(lake, page(order(1)))
    gone = Page([order(1)], is_deleted=True)
    assert land(lake, gone, at=NOW + timedelta(days=1)).rows == 1
    assert land(lake, gone, at=NOW + timedelta(days=2)).rows == 0
    back = land(lake, page(order(1)), at=NOW + timedelta(days=3))
    assert back.rows == 1


BULK = {"lineItems": "l"}


def bulk(tmp_path: Path, *lines: dict[str, Any]) -> Page:
    path = tmp_path / f"bulk-{len(list(tmp_path.iterdir()))}.jsonl"
    path.write_bytes(b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines))
    return Page(path, is_lines=True, children=BULK)


def parent(number: int, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in order(number, **changes).items() if name != "lineItems"}


def child(number: int, of: int, **changes: Any) -> dict[str, Any]:
    return {"id": f"l{number}", "quantity": number, "price": "1.5", "__parentId": f"o{of}"} | changes


LINES = [parent(1), child(11, 1), child(12, 1), parent(2), parent(3), child(31, 3)]


@pytest.mark.parametrize("order_of_lines", [(0, 1, 2, 3, 4, 5), (0, 3, 4, 1, 2, 5), (1, 5, 2, 4, 3, 0)])
def test_nested_lines_find_their_parents_in_any_order(
    lake: Lake, tmp_path: Path, order_of_lines: tuple[int, ...]
) -> None:
    landed = land(lake, bulk(tmp_path, *(LINES[at] for at in order_of_lines)))
    assert (landed.rows, landed.rejected) == (3, 0)
    found = rows(lake, select="id, list_transform(lineItems, lambda x: x.id), lineItems[1].quantity, _extra")
    assert found == [("o1", ["l11", "l12"], 11, None), ("o2", [], None, None), ("o3", ["l31"], 31, None)]


def test_bulk_and_page_give_the_same_row(lake: Lake, tmp_path: Path) -> None:
    one = order(1)
    one["lineItems"] = [{"id": "l11", "quantity": 11, "price": "1.5"}, {"id": "l12", "quantity": 12, "price": "1.5"}]
    land(lake, bulk(tmp_path, *LINES[:3]))
    assert land(lake, page(one), at=NOW + timedelta(days=1)).rows == 0


def test_child_without_parent_and_parent_with_bad_child_are_rejected(lake: Lake, tmp_path: Path) -> None:
    good = [line for n in range(20, 40) for line in (parent(n), child(n, n))]
    bad = child(12, 1, quantity="two")
    landed = land(lake, bulk(tmp_path, parent(1), child(11, 1), bad, child(99, 98), *good))
    assert landed.rows == 20
    assert [row[0] for row in rows(lake, "rejected/shop/orders", "_reason")] == [
        "a nested row is bad",
        "is not BIGINT",
        "its parent is not in the file",
    ]


def test_undeclared_fields_of_nested_lines_are_kept(lake: Lake, tmp_path: Path) -> None:
    land(lake, bulk(tmp_path, parent(1, note="x"), child(11, 1, gift=True), child(12, 1), parent(2), child(21, 2)))
    found = dict(rows(lake, select="id, _extra"))
    assert json.loads(found["o1"]) == {"note": "x", "lineItems[]": [{"gift": True}, None]}
    assert found["o2"] is None


PARTITIONED = Stream(
    "events", columns({"_table": "VARCHAR", "name": "VARCHAR"}), key=(), partition_by="_table", sweep_every=None
)


def day(name: str, *events: str) -> Page:
    return Page([{"name": event, "_table": name} for event in events], partitions={name: str(len(events))})


def test_partition_is_replaced_only_when_different(lake: Lake) -> None:
    first = land(lake, day("20261017", "a", "b"), day("20261018", "c"), stream=PARTITIONED)
    assert first.commits == ["20261017.parquet", "20261018.parquet"] or len(first.commits) == 2
    before = lake.fingerprint("raw/shop/events")
    assert land(lake, day("20261017", "b", "a"), stream=PARTITIONED).commits == []
    assert lake.fingerprint("raw/shop/events") == before
    assert land(lake, day("20261018", "c", "d"), stream=PARTITIONED).rows == 2
    assert [row[1] for row in rows(lake, "raw/shop/events", "_table, name")] == ["a", "b", "c", "d"]


VALUES = st.fixed_dictionaries(
    {
        "updatedAt": st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)).map(lambda t: t.isoformat() + "Z"),
        "email": st.none() | st.text(max_size=20),
        "total": st.none() | st.decimals(-(10**12), 10**12, places=4, allow_nan=False).map(str),
        "test": st.none() | st.booleans(),
        "tags": st.none() | st.lists(st.text(max_size=5), max_size=3),
        "customer": st.none() | st.fixed_dictionaries({"id": st.none() | st.text(max_size=5)}),
        "lineItems": st.lists(
            st.fixed_dictionaries(
                {"id": st.text(max_size=5), "quantity": st.none() | st.integers(-(2**62), 2**62), "price": st.none()}
            ),
            max_size=3,
        ),
        "note": st.none() | st.text(max_size=5) | st.integers(-5, 5),
    }
)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(VALUES, min_size=1, max_size=10))
def test_fast_and_careful_way_agree_on_anything(found: list[dict[str, Any]], tmp_path: Path) -> None:
    one = page(*({"id": f"o{number}"} | row for number, row in enumerate(found)))
    lakes = [Lake(tmp_path / uuid.uuid4().hex) for _ in range(2)]
    land(lakes[0], one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connectors.parsing.parsed", _refused)
        land(lakes[1], one)
    assert rows(lakes[0]) == rows(lakes[1])
    assert len(rows(lakes[0])) == len(found)


def _refused(*_: Any) -> Any:
    raise pa.ArrowInvalid("no")


def test_thousands_of_misfits_are_told_quickly(lake: Lake) -> None:
    bad = [order(n, total={"amount": "1"}) for n in range(3000)]
    with pytest.raises(ContractError, match=r"shop\.orders\.total: is not .* in 29\d\d of 3001 rows"):
        land(lake, page(*bad, order(9999)))
