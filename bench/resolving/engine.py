"""The whole deterministic resolution on arrays: of all records, or of a day's changes against the kept state.

A day looks at: records that changed, records that carry an identifier of theirs (the guards' counts may have moved),
and all records of the customers whose links are touched by either. Everybody else's component cannot have changed.
"""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np

from bench.resolving.arrays import Array, Index, Rows, distinct, index_of, is_among, mixed_hash, only, positions
from bench.resolving.guards import LIMITS, decide, link_keys, neighbours
from bench.resolving.state import COLUMNS, DECISIONS, FIELDS, KINDS, Kept

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dbt_project" / "plugins"))
from identity_graph import component_labels, kept_ids

AGAIN = np.uint64(0x616761696E)
"""Salt of a name for a new customer when the first choice is taken."""


Decided = tuple[Array, Array, Array]
"""Places of the kept rows whose decision has changed, their new decisions, and those of the day's records."""


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


def rebuild(rows: Rows, previous: Rows | None = None) -> tuple[Rows, dict[str, Index]]:
    """The state from the records alone and the indexes of its identifiers; customers in `previous` keep their ids."""
    with ThreadPoolExecutor(2) as pool:
        indexes, decisions, left, right = zip(*pool.map(lambda kind: _linked(rows, kind), KINDS), strict=True)
    labels = component_labels(len(rows["record"]), np.concatenate(left), np.concatenate(right))
    before = np.zeros(len(labels), dtype=np.uint64)
    if previous is not None:
        at, is_known = positions(previous["record"], rows["record"])
        before[is_known] = previous["customer"][at[is_known]]

    def taken(names: Array) -> Array:
        return names[is_among(names, np.sort(previous["customer"]))] if previous else names[:0]

    customers = {"customer": _customers(rows["record"], labels, before, taken)}
    return rows | dict(zip(DECISIONS, decisions, strict=True)) | customers, dict(zip(KINDS, indexes, strict=True))


def _linked(rows: Rows, kind: str) -> tuple[Index, Array, Array, Array]:
    index = index_of(rows[kind])
    decisions = decide(index, rows["name"], LIMITS[kind])
    return index, decisions, *neighbours(index, rows["name"], decisions)


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
    stale = kept.find("record", changes["record"])
    old = kept.rows(stale, ("record", *KINDS, "customer"))
    old = only(old, np.argsort(old["record"]))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda kind: _touched(kept, kind, stale, old, fresh), KINDS))
    touched = [old["customer"], *(customers for customers, _ in found)]
    decided = {decision: decisions for decision, (_, decisions) in zip(DECISIONS, found, strict=True)}
    members = _others(kept, stale, "customer", distinct(np.concatenate(touched)), COLUMNS)
    at, is_known = positions(old["record"], fresh["record"])
    before = np.zeros(len(at), dtype=np.uint64)
    before[is_known] = old["customer"][at[is_known]]
    changed = _resolve_again(kept, members, fresh, before, decided)
    gone = {name: np.zeros(int(is_gone.sum()), dtype=changed[name].dtype) for name in COLUMNS}
    gone |= {"record": changes["record"][is_gone], "is_deleted": np.ones(int(is_gone.sum()), dtype=bool)}
    return {name: np.concatenate((changed[name], gone[name])) for name in (*COLUMNS, "is_deleted")}


def _others(kept: Kept, stale: Array, key: str, wanted: Array, columns: Iterable[str]) -> Rows:
    """Rows that the day leaves as they were and that carry a wanted value."""
    places = kept.find(key, wanted)
    return kept.rows(places[~is_among(places, stale)], columns)


def _touched(kept: Kept, kind: str, stale: Array, old: Rows, fresh: Rows) -> tuple[Array, Decided]:
    """The customers whose links by this identifier the day touches, and what the guard decides now."""
    decision = f"{kind}_decision"
    affected = distinct(np.concatenate((old[kind], fresh[kind])))
    # every record that carries these identifiers, so the guards' counts are those of a rebuild
    carriers = _others(kept, stale, kind, affected, ("name", kind, decision, "customer"))
    count = len(carriers["place"])
    values, names = (np.concatenate((carriers[name], fresh[name])) for name in (kind, "name"))
    decisions = decide(index_of(values), names, LIMITS[kind])
    is_moved = np.ones(len(values), dtype=bool)
    is_moved[:count] = decisions[:count] != carriers[decision]
    keys = link_keys(values, names, decisions)
    moved = is_moved[:count]
    is_met = is_among(keys[:count], distinct(keys[is_moved]))
    return carriers["customer"][moved | is_met], (carriers["place"][moved], decisions[:count][moved], decisions[count:])


def _resolve_again(kept: Kept, members: Rows, fresh: Rows, before_fresh: Array, decided: dict[str, Decided]) -> Rows:
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
    rows, before, is_changed = only(rows, order), before[order], is_changed[order]
    edges = [
        neighbours(index_of(rows[kind]), rows["name"], rows[decision])
        for kind, decision in zip(KINDS, DECISIONS, strict=True)
    ]
    labels = component_labels(len(before), *(np.concatenate(side) for side in zip(*edges, strict=True)))
    rows["customer"] = _customers(rows["record"], labels, before, kept.customers_among)
    rows["is_deleted"] = np.zeros(len(before), dtype=bool)
    return only(rows, is_changed | (rows["customer"] != before))
