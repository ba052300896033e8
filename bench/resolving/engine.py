"""The whole deterministic resolution on arrays, from everything or from a day's changes, with its state in Parquet.

State: one row a record (64-bit hashes of its key, name and identifiers, the guards' decisions, its customer), sorted by
record; `base.parquet` from the last rebuild and one file of changed rows a day after it. A day looks at: records that
changed, records that carry an identifier of theirs (the guards' counts may have moved), and all records of the
customers whose links are touched by either. Everybody else's component cannot have changed.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.resolving.guards import LIMITS, Array, decide, link_keys, mixed_hash, neighbours

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dbt_project" / "plugins"))
from identity_graph import component_labels, kept_ids

KINDS = tuple(LIMITS)
FIELDS = ("record", "name", *KINDS)
DECISIONS = tuple(f"{kind}_decision" for kind in KINDS)
COLUMNS = (*FIELDS, *DECISIONS, "customer")
Rows = dict[str, Array]

ROW_GROUP = 1 << 20
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
    taken = np.zeros(0, dtype=np.uint64) if previous is None else previous["customer"]
    return resolved | {"customer": _customers(rows["record"], labels, before, taken)}


def _decide_and_link(rows: Rows, kind: str) -> tuple[Array, Array, Array]:
    decisions = decide(rows[kind], rows["name"], LIMITS[kind])
    return decisions, *neighbours(link_keys(rows[kind], rows["name"], decisions))


def _customers(records: Array, labels: Array, before: Array, taken: Array) -> Array:
    """Every record's customer: the id its component keeps, or a new one after its smallest record and what it lost."""
    ids, previous = np.unique(before, return_inverse=True)
    components, kept, losers, lost = kept_ids(labels, np.where(before != 0, previous, -1))
    customer_of = np.zeros(len(records), dtype=np.uint64)
    customer_of[losers] = ids[lost]
    is_new = np.zeros(len(records), dtype=bool)
    is_new[labels] = True
    is_new[components] = False
    new = np.flatnonzero(is_new)
    named = mixed_hash(records[new], customer_of[new])
    is_taken = np.isin(named, taken) if len(named) * 20 > len(taken) else np.isin(named, taken[_carriers(taken, named)])
    customer_of[new] = np.where(is_taken, mixed_hash(named, np.full(len(named), AGAIN)), named)
    customer_of[components] = ids[kept]
    return customer_of[labels]


def update(state: Rows, changes: Rows) -> Rows:
    """The rows of the state that a day's changes change, with `is_deleted`; the rest stands as it is."""
    at, is_known = places(state["record"], changes["record"])
    old = at[is_known]
    is_gone = changes["is_deleted"].astype(bool)
    fresh = {name: changes[name][~is_gone] for name in FIELDS}
    is_stale = np.zeros(len(state["record"]), dtype=bool)
    is_stale[old] = True
    touched, decisions = [old], {}
    for kind, decision in zip(KINDS, DECISIONS, strict=True):
        affected = np.concatenate((state[kind][old], fresh[kind]))
        carriers = _carriers(state[kind], affected[affected != 0])
        carriers = carriers[~is_stale[carriers]]
        # every record that carries these identifiers, so the guards' counts are those of a rebuild
        values = np.concatenate((state[kind][carriers], fresh[kind]))
        names = np.concatenate((state["name"][carriers], fresh["name"]))
        decided = decide(values, names, LIMITS[kind])
        count = len(carriers)
        is_moved = np.ones(len(values), dtype=bool)
        is_moved[:count] = decided[:count] != state[decision][carriers]
        keys = link_keys(values, names, decided)
        is_met = _is_among(keys[:count], np.unique(keys[is_moved & (keys != 0)]))
        touched.append(carriers[is_moved[:count] | is_met])
        decisions[decision] = (carriers[is_moved[:count]], decided[:count][is_moved[:count]], decided[count:])
    customers = np.unique(state["customer"][np.concatenate(touched)])
    members = _carriers(state["customer"], customers)
    members = members[~is_stale[members]]
    return _resolve_again(state, changes, members, decisions)


def _resolve_again(
    state: Rows, changes: Rows, members: Array, decisions: dict[str, tuple[Array, Array, Array]]
) -> Rows:
    """Components and customers of the members and the day's records; the rows that differ from the state's."""
    is_gone = changes["is_deleted"].astype(bool)
    rows = {name: np.concatenate((state[name][members], changes[name][~is_gone])) for name in FIELDS}
    at, is_known = places(state["record"], changes["record"][~is_gone])
    before = np.zeros(len(rows["record"]), dtype=np.uint64)
    before[: len(members)] = state["customer"][members]
    before[len(members) :][is_known] = state["customer"][at[is_known]]
    is_changed = np.ones(len(before), dtype=bool)
    is_changed[: len(members)] = False
    for decision, (moved, decided, of_fresh) in decisions.items():
        rows[decision] = np.concatenate((state[decision][members], of_fresh))
        spots = np.searchsorted(members, moved)  # the moved are members: their customers were touched
        rows[decision][spots] = decided
        is_changed[spots] = True
    # in the order of keys, so that the smallest number is the smallest key
    order = np.argsort(rows["record"])
    rows, before, is_changed = {n: v[order] for n, v in rows.items()}, before[order], is_changed[order]
    edges = [
        neighbours(link_keys(rows[kind], rows["name"], rows[decision]))
        for kind, decision in zip(KINDS, DECISIONS, strict=True)
    ]
    labels = component_labels(len(before), *(np.concatenate(side) for side in zip(*edges, strict=True)))
    rows["customer"] = _customers(rows["record"], labels, before, state["customer"])
    is_changed |= rows["customer"] != before
    changed = {name: values[is_changed] for name, values in rows.items()}
    gone = changes["record"][is_gone]
    blank = {name: np.zeros(len(gone), dtype=changed[name].dtype) for name in COLUMNS} | {"record": gone}
    return {name: np.concatenate((changed[name], blank[name])) for name in COLUMNS} | {
        "is_deleted": np.concatenate((np.zeros(len(changed["record"]), dtype=bool), np.ones(len(gone), dtype=bool)))
    }


def places(keys: Array, wanted: Array) -> tuple[Array, Array]:
    """Where the wanted keys stand in the sorted keys, and whether they do."""
    at = np.searchsorted(keys, wanted)
    return at, keys[np.minimum(at, len(keys) - 1)] == wanted if len(keys) else np.zeros(len(wanted), dtype=bool)


def _carriers(values: Array, wanted: Array) -> Array:
    """Rows with one of the wanted values, ascending: by a table of their low bits, then exactly."""
    bits = np.int64((1 << 24) - 1)
    table = np.zeros(bits + 1, dtype=bool)
    table[wanted.view(np.int64) & bits] = True
    chosen = np.unique(wanted)

    def scan(first: int) -> Array:
        part = values[first : first + ROW_GROUP]
        rows = np.flatnonzero(table.take(part.view(np.int64) & bits))
        return rows[_is_among(part[rows], chosen)] + first

    with ThreadPoolExecutor(2) as pool:
        return np.concatenate([np.zeros(0, dtype=np.int64), *pool.map(scan, range(0, len(values), ROW_GROUP))])


def _is_among(values: Array, chosen: Array) -> Array:
    """Which values are among the sorted chosen ones."""
    if not len(chosen):
        return np.zeros(len(values), dtype=bool)
    return chosen[np.minimum(np.searchsorted(chosen, values), len(chosen) - 1)] == values


def write_rows(rows: Rows, path: Path) -> None:
    """One file of the state, written aside and renamed; plain encoding, for hashes do not compress."""
    table = pa.table({name: pa.array(values) for name, values in rows.items()})
    aside = path.with_suffix(".writing")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table, aside, row_group_size=ROW_GROUP, use_dictionary=False, compression="none", write_statistics=False
    )
    aside.rename(path)


def read_state(folder: Path) -> Rows:
    """The base with every later day laid over it, sorted by record."""
    state = read_columns(folder / "base.parquet")
    for day in sorted(folder.glob("day-*.parquet")):
        state = overlaid(state, read_columns(day))
    return state


def overlaid(state: Rows, changed: Rows) -> Rows:
    """The state with the changed rows in it and the deleted ones gone."""
    at, is_known = places(state["record"], changed["record"])
    is_kept = np.ones(len(state["record"]), dtype=bool)
    is_kept[at[is_known]] = False
    is_there = ~changed["is_deleted"].astype(bool)
    together = {name: np.concatenate((state[name][is_kept], changed[name][is_there])) for name in COLUMNS}
    order = np.argsort(together["record"])
    return {name: values[order] for name, values in together.items()}


def read_columns(path: Path, wanted: list[str] | None = None) -> Rows:
    """The file's columns as arrays, a row group a thread straight into its place."""
    with pq.ParquetFile(path) as file:
        starts = np.cumsum([0, *(file.metadata.row_group(g).num_rows for g in range(file.num_row_groups))])
        names = wanted or file.schema_arrow.names
        rows = {name: np.empty(starts[-1], file.schema_arrow.field(name).type.to_pandas_dtype()) for name in names}

    def read(group: int) -> None:
        with pq.ParquetFile(path, memory_map=True) as one:
            table = one.read_row_group(group, columns=names, use_threads=False)
        for name in names:
            rows[name][starts[group] : starts[group + 1]] = table.column(name).to_numpy()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read, range(len(starts) - 1)))
    return rows
