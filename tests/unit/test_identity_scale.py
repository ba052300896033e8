"""bench/identity_scale.py's resolution: a day's changes give what a rebuild gives, whatever the days were, and ids go
where the product's model lets them go."""

import hashlib
from pathlib import Path

import duckdb
import numpy as np
import pytest

from bench.resolving import assignments, engine, guards, state
from bench.resolving.arrays import Rows, only
from bench.resolving.guards import Limit

DAYS = 120


def some_rows(chance: np.random.Generator, records: np.ndarray) -> Rows:
    """Records with few names and few identifiers, so that guards trip and clusters merge and split all the time."""
    size = len(records)
    rows = {"record": records.astype(np.uint64), "name": chance.integers(0, 4, size).astype(np.uint64)}
    for place, kind in enumerate(state.KINDS):
        carried = chance.integers(1, 30, size) * (chance.random(size) < 0.6) + 1000 * place
        rows[kind] = np.where(carried % 1000 == 0, 0, carried).astype(np.uint64)
    return rows


def partition(rows: Rows, limits: dict[str, Limit]) -> dict[int, frozenset[int]]:
    """Record → the records it hangs together with, by the shortest code that can say it."""
    fellows: dict[int, set[int]] = {int(record): {int(record)} for record in rows["record"]}
    for kind, limit in limits.items():
        for value in set(rows[kind].tolist()) - {0}:
            carriers = [place for place, one in enumerate(rows[kind]) if one == value]
            names = {int(rows["name"][place]) for place in carriers} - {0}
            if len(carriers) > limit.records:
                continue
            groups = [carriers]
            if len(names) > limit.names:
                groups = [[place for place in carriers if rows["name"][place] == name] for name in names]
            for group in groups:
                together = set().union(*(fellows[int(rows["record"][place])] for place in group))
                for record in together:
                    fellows[record] = together
    return {record: frozenset(group) for record, group in fellows.items()}


def found(rows: Rows) -> dict[int, frozenset[int]]:
    groups: dict[int, set[int]] = {}
    for record, customer in zip(rows["record"].tolist(), rows["customer"].tolist(), strict=True):
        groups.setdefault(customer, set()).add(record)
    return {record: frozenset(group) for group in groups.values() for record in group}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_days_of_edits_equal_a_rebuild_ids_included(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"email": Limit(6, 2), "phone": Limit(4, 1), "external_id": Limit(8, 3)}
    monkeypatch.setattr(engine, "LIMITS", limits)
    monkeypatch.setattr(guards, "LIMITS", limits)
    chance = np.random.default_rng(seed)
    rows = some_rows(chance, np.arange(1, 80))
    rebuilt, indexes = engine.rebuild(rows)
    state.write_base(rebuilt, indexes, tmp_path)
    merges = splits = 0
    for day in range(DAYS):
        edited = np.unique(chance.integers(1, 120, chance.integers(1, 8)))
        changes = some_rows(chance, edited) | {"is_deleted": chance.random(len(edited)) < 0.3}
        stays = ~np.isin(rows["record"], edited)
        live = ~changes["is_deleted"]
        rows = {name: np.concatenate((values[stays], changes[name][live])) for name, values in rows.items()}
        rows = {name: values[np.argsort(rows["record"])] for name, values in rows.items()}
        changed = engine.update(state.Kept(tmp_path), changes)
        state.write_changes(changed, tmp_path / f"day-{day:04d}.npz")
        before, (rebuilt, indexes) = rebuilt, engine.rebuild(rows, rebuilt)
        updated = state.read_state(tmp_path)
        assert all(np.array_equal(updated[name], rebuilt[name]) for name in state.COLUMNS), (seed, day)
        if day % 10 == 0:
            with duckdb.connect() as connection:
                is_right, _ = assignments.follow_the_rule(connection, before, rebuilt)
            assert is_right, (seed, day)
        now, then = found(rebuilt), found(before)
        assert now == partition(rows, limits), (seed, day)
        merges += sum(not now[record] <= then[record] for record in now.keys() & then.keys())
        splits += sum(not then[record] <= now[record] for record in now.keys() & then.keys())
        if day % 50 == 49:  # a rebuild takes the place of the days before it
            state.write_base(rebuilt, indexes, tmp_path)
    assert merges > 50 and splits > 50


def test_ids_are_kept_and_lost_as_the_products_model_says() -> None:
    chance = np.random.default_rng(5)
    with duckdb.connect() as connection:
        for size in (1, 2, *chance.integers(3, 60, 40)):
            groups = chance.integers(0, max(size // 2, 1), size)
            components = np.array([np.flatnonzero(groups == group)[0] for group in groups])
            previous = chance.integers(-1, max(size // 2, 1), size)
            kept, ids, losers, lost = engine.kept_ids(components, previous)
            winners = dict(zip(kept.tolist(), ids.tolist(), strict=True))
            left_behind = dict(zip(losers.tolist(), lost.tolist(), strict=True))
            expected = [
                f"{winners[one] + 1:016x}" if one in winners else new_id(one + 1, left_behind.get(one, -1) + 1)
                for one in components.tolist()
            ]
            numbers = (numbers.astype(np.uint64) for numbers in (np.arange(1, size + 1), components + 1, previous + 1))
            assert assignments.assigned(connection, *numbers).tolist() == expected, size


def new_id(component: int, lost: int) -> str:
    """The model's name for a new customer: after its smallest record and the smallest id it lost, if any (not 0)."""
    text = f"{assignments.RECORD_TYPE}|{component:016x}" + (f"|{lost:016x}" if lost else "")
    return "c_" + hashlib.md5(text.encode()).hexdigest()[:20]


def customers(*numbers: int) -> Rows:
    return {"record": np.arange(1, len(numbers) + 1, dtype=np.uint64), "customer": np.array(numbers, dtype=np.uint64)}


@pytest.mark.parametrize(
    ("now", "is_right"),
    [
        (customers(7, 7, 7, 9, 5), True),
        (customers(8, 8, 8, 9, 5), False),  # the same records, another id
        (customers(7, 7, 6, 9, 5), True),  # a part split off has a new id
        (customers(6, 6, 7, 9, 5), False),  # … and it is the smaller part
        (customers(7, 7, 9, 9, 5), True),  # a record goes over, both keep theirs
        (customers(7, 7, 7, 7, 5), True),  # the larger part of a merge keeps its id
        (customers(9, 9, 9, 9, 5), False),
        (customers(7, 7, 5, 9, 4), False),  # a new customer has an id that another had
        (only(customers(7, 7, 7, 9, 5), np.array([0, 1, 4])), True),
        (only(customers(6, 6, 7, 9, 5), np.array([0, 1, 4])), False),
    ],
)
def test_an_id_against_the_rule_is_noticed(now: Rows, is_right: bool) -> None:
    with duckdb.connect() as connection:
        assert assignments.follow_the_rule(connection, customers(7, 7, 7, 9, 5), now)[0] == is_right
