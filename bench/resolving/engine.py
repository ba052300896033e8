"""The whole deterministic resolution on arrays: of all records, or of a day's changes against the kept state.

A day looks at: records that changed, records that carry an identifier of theirs (the guards' counts may have moved),
and all records of the customers whose links are touched by either. Everybody else's component cannot have changed.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np

from bench.resolving.guards import LIMITS, Array, decide, link_keys, mixed_hash, neighbours
from bench.resolving.state import COLUMNS, DECISIONS, FIELDS, KINDS, Kept, Rows, distinct, is_among, places

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dbt_project" / "plugins"))
from identity_graph import component_labels, kept_ids

AGAIN = np.uint64(0x616761696E)
"""Salt of a name for a new customer when the first choice is taken."""


def read_people(connection: duckdb.DuckDBPyConnection, path: Path) -> Rows:
    """A file of records as hashes, sorted by record; `is_deleted` too where the file has it."""
    hashes = ", ".join(
        f"CASE WHEN {column} IS NULL THEN 0::UBIGINT ELSE hash({column}) END AS {name}"
        for name, column in zip(FIELDS, ("record_key", "name_key", *KINDS), strict=True)
    )
    columns = {row[0] for row in connection.execute(f"DESCRIBE FROM read_parquet('{path}')").fetchall()}
    more = ", is_deleted" if "is_deleted" in columns else ""
    found = connection.execute(f"SELECT {hashes}{more} FROM read_parquet('{path}')").fetchnumpy()
    order = np.argsort(found["record"])
    return {name: np.asarray(values)[order] for name, values in found.items()}


def rebuild(rows: Rows, previous: Rows | None = None) -> Rows:
    """Everything from the records alone; customers known to `previous` keep their ids."""
    size = len(rows["record"])
    with ThreadPoolExecutor(2) as pool:
        decided = list(pool.map(lambda kind: _decide_and_link(rows, kind), KINDS))
    resolved = rows | {name: one[0] for name, one in zip(DECISIONS, decided, strict=True)}
    labels = component_labels(size, *(np.concatenate([one[side] for one in decided]) for side in (1, 2)))
    before = np.zeros(size, dtype=np.uint64)
    if previous is not None:
        at, is_known = places(previous["record"], rows["record"])
        before[is_known] = previous["customer"][at[is_known]]

    def taken(names: Array) -> Array:
        return distinct(previous["customer"][is_among(previous["customer"], names)]) if previous else names[:0]

    return resolved | {"customer": _customers(rows["record"], labels, before, taken)}


def _decide_and_link(rows: Rows, kind: str) -> tuple[Array, Array, Array]:
    decisions = decide(rows[kind], rows["name"], LIMITS[kind])
    return decisions, *neighbours(link_keys(rows[kind], rows["name"], decisions))


def _customers(records: Array, labels: Array, before: Array, taken: Callable[[Array], Array]) -> Array:
    """Every record's customer: the id its component keeps, or a new one after its smallest record and what it lost.
    `taken` says which of some names stand for a customer already."""
    ids, previous = np.unique(before, return_inverse=True)
    components, kept, losers, lost = kept_ids(labels, np.where(before != 0, previous, -1))
    customer_of = np.zeros(len(records), dtype=np.uint64)
    customer_of[losers] = ids[lost]
    is_new = np.zeros(len(records), dtype=bool)
    is_new[labels] = True
    is_new[components] = False
    new = np.flatnonzero(is_new)
    named = mixed_hash(records[new], customer_of[new])
    is_taken = is_among(named, taken(distinct(named)))
    customer_of[new] = np.where(is_taken, mixed_hash(named, np.full(len(named), AGAIN)), named)
    customer_of[components] = ids[kept]
    return customer_of[labels]


def update(kept: Kept, changes: Rows) -> Rows:
    """The rows of the state that a day's changes change, with `is_deleted`; the rest stands as it is."""
    is_gone = changes["is_deleted"].astype(bool)
    fresh = {name: changes[name][~is_gone] for name in FIELDS}
    old = kept.pick(("record",), (changes["record"],), (*KINDS, "customer"))
    old = _only(old, np.argsort(old["record"]))
    is_stale = np.zeros(kept.size, dtype=bool)
    is_stale[old["place"]] = True
    affected = tuple(distinct(np.concatenate((old[kind], fresh[kind]))) for kind in KINDS)
    carriers = kept.pick(KINDS, affected, ("name", *KINDS, *DECISIONS, "customer"))
    carriers = _only(carriers, ~is_stale[carriers["place"]])
    touched, decided = [old["customer"]], {}
    for kind, decision, values in zip(KINDS, DECISIONS, affected, strict=True):
        mine = _only(carriers, is_among(carriers[kind], values))
        count = len(mine["place"])
        # every record that carries these identifiers, so the guards' counts are those of a rebuild
        both, names = (np.concatenate((mine[name], fresh[name])) for name in (kind, "name"))
        decisions = decide(both, names, LIMITS[kind])
        is_moved = np.ones(len(both), dtype=bool)
        is_moved[:count] = decisions[:count] != mine[decision]
        keys = link_keys(both, names, decisions)
        is_met = is_among(keys[:count], distinct(keys[is_moved]))
        touched.append(mine["customer"][is_moved[:count] | is_met])
        moved = is_moved[:count]
        decided[decision] = (mine["place"][moved], decisions[:count][moved], decisions[count:])
    members = kept.pick(("customer",), (distinct(np.concatenate(touched)),), COLUMNS)
    members = _only(members, ~is_stale[members["place"]])
    at, is_known = places(old["record"], fresh["record"])
    before = np.zeros(len(at), dtype=np.uint64)
    before[is_known] = old["customer"][at[is_known]]
    changed = _resolve_again(kept, members, fresh, before, decided)
    gone = {name: np.zeros(int(is_gone.sum()), dtype=changed[name].dtype) for name in COLUMNS}
    gone |= {"record": changes["record"][is_gone], "is_deleted": np.ones(int(is_gone.sum()), dtype=bool)}
    return {name: np.concatenate((changed[name], gone[name])) for name in (*COLUMNS, "is_deleted")}


def _resolve_again(
    kept: Kept, members: Rows, fresh: Rows, before_fresh: Array, decided: dict[str, tuple[Array, Array, Array]]
) -> Rows:
    """Components and customers of the members and the day's records; the rows that differ from the state's."""
    count = len(members["place"])
    rows = {name: np.concatenate((members[name], fresh[name])) for name in FIELDS}
    before = np.concatenate((members["customer"], before_fresh))
    is_changed = np.arange(len(before)) >= count
    for decision, (moved, of_moved, of_fresh) in decided.items():
        rows[decision] = np.concatenate((members[decision], of_fresh))
        spots = np.searchsorted(members["place"], moved)  # the moved are members: their customers were touched
        rows[decision][spots] = of_moved
        is_changed[spots] = True
    # in the order of keys, so that the smallest number is the smallest key
    order = np.argsort(rows["record"])
    rows, before, is_changed = _only(rows, order), before[order], is_changed[order]
    edges = [
        neighbours(link_keys(rows[kind], rows["name"], rows[decision]))
        for kind, decision in zip(KINDS, DECISIONS, strict=True)
    ]
    labels = component_labels(len(before), *(np.concatenate(side) for side in zip(*edges, strict=True)))
    rows["customer"] = _customers(rows["record"], labels, before, kept.customers_among)
    rows["is_deleted"] = np.zeros(len(before), dtype=bool)
    return _only(rows, is_changed | (rows["customer"] != before))


def _only(rows: Rows, chosen: Array) -> Rows:
    return {name: values[chosen] for name, values in rows.items()}
