"""bench/identity_scale.py's resolution: a day's changes give what a rebuild gives, whatever the days were."""

from pathlib import Path

import numpy as np
import pytest

from bench.resolving import engine, guards, state
from bench.resolving.guards import Limit

DAYS = 120


def some_rows(chance: np.random.Generator, records: np.ndarray) -> state.Rows:
    """Records with few names and few identifiers, so that guards trip and clusters merge and split all the time."""
    size = len(records)
    rows = {"record": records.astype(np.uint64), "name": chance.integers(0, 4, size).astype(np.uint64)}
    for place, kind in enumerate(state.KINDS):
        carried = chance.integers(1, 30, size) * (chance.random(size) < 0.6) + 1000 * place
        rows[kind] = np.where(carried % 1000 == 0, 0, carried).astype(np.uint64)
    return rows


def partition(rows: state.Rows, limits: dict[str, Limit]) -> dict[int, frozenset[int]]:
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


def found(rows: state.Rows) -> dict[int, frozenset[int]]:
    groups: dict[int, set[int]] = {}
    for record, customer in zip(rows["record"].tolist(), rows["customer"].tolist(), strict=True):
        groups.setdefault(customer, set()).add(record)
    return {record: frozenset(group) for group in groups.values() for record in group}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_days_of_edits_equal_a_rebuild_ids_included(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"email": Limit(6, 2), "phone": Limit(4, 1), "external_id": Limit(8, 3)}
    monkeypatch.setattr(engine, "LIMITS", limits)
    monkeypatch.setattr(guards, "LIMITS", limits)
    monkeypatch.setattr(state, "PLACES_A_VALUE", 1)  # the exact look behind the table of bits is used too
    chance = np.random.default_rng(seed)
    rows = some_rows(chance, np.arange(1, 80))
    rebuilt = engine.rebuild(rows)
    state.write_rows(rebuilt, tmp_path / "base.parquet")
    merges = splits = 0
    for day in range(DAYS):
        edited = np.unique(chance.integers(1, 120, chance.integers(1, 8)))
        changes = some_rows(chance, edited) | {"is_deleted": chance.random(len(edited)) < 0.3}
        stays = ~np.isin(rows["record"], edited)
        live = ~changes["is_deleted"]
        rows = {name: np.concatenate((values[stays], changes[name][live])) for name, values in rows.items()}
        rows = {name: values[np.argsort(rows["record"])] for name, values in rows.items()}
        changed = engine.update(state.Kept(tmp_path), changes)
        state.write_rows(changed, tmp_path / f"day-{day:04d}.parquet")
        before, rebuilt = rebuilt, engine.rebuild(rows, rebuilt)
        updated = state.read_state(tmp_path)
        assert all(np.array_equal(updated[name], rebuilt[name]) for name in state.COLUMNS), (seed, day)
        now, then = found(rebuilt), found(before)
        assert now == partition(rows, limits), (seed, day)
        merges += sum(not now[record] <= then[record] for record in now.keys() & then.keys())
        splits += sum(not then[record] <= now[record] for record in now.keys() & then.keys())
        if day % 50 == 49:  # a rebuild takes the place of the days before it
            for path in tmp_path.glob("*.parquet"):
                path.unlink()
            state.write_rows(rebuilt, tmp_path / "base.parquet")
    assert merges > 50 and splits > 50
