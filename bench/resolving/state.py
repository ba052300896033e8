"""The resolved state as Parquet: a base from the last rebuild and one file of changed rows a day after it.

A day reads it as a stream, a row group at a time into the same memory: on the machine this was made on, touching new
memory cost five times as much as reading the file.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.resolving.guards import LIMITS, Array

KINDS = tuple(LIMITS)
FIELDS = ("record", "name", *KINDS)
DECISIONS = tuple(f"{kind}_decision" for kind in KINDS)
COLUMNS = (*FIELDS, *DECISIONS, "customer")
Rows = dict[str, Array]

ROW_GROUP = 1 << 18
PLACES_A_VALUE = 16
"""Room in the table of low bits for every wanted value: one row in sixteen passes by chance, the table stays small."""


class Kept:
    """The state in a folder, asked for the rows that carry certain values."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "base.parquet"
        with pq.ParquetFile(self.base) as file:
            self.metadata = file.metadata
        counts = [self.metadata.row_group(group).num_rows for group in range(self.metadata.num_row_groups)]
        self.starts = np.cumsum([0, *counts])
        self.later: Rows | None = None
        for day in sorted(folder.glob("day-*.parquet")):
            rows = read_columns(day)
            self.later = rows if self.later is None else overlaid(self.later, rows, keep_deleted=True)
        self.is_dead = np.zeros(int(self.starts[-1]), dtype=bool)
        if self.later is not None:
            self.later = {name: values[np.argsort(self.later["record"])] for name, values in self.later.items()}
            self.is_dead[self.pick(("record",), (self.later["record"],), (), only_base=True)["place"]] = True

    @property
    def size(self) -> int:
        """Places there are: the base's rows, then the later ones."""
        return len(self.is_dead) + (0 if self.later is None else len(self.later["record"]))

    def pick(
        self, keys: Sequence[str], wanted: Sequence[Array], columns: Sequence[str], only_base: bool = False
    ) -> Rows:
        """Rows with a wanted value (sorted, without 0) in any of the key columns: their `place` and these columns."""
        tables = []
        for values in wanted:
            table = np.zeros(1 << (max(len(values), 1) * PLACES_A_VALUE).bit_length(), dtype=bool)
            table[values.view(np.int64) & (len(table) - 1)] = True
            tables.append(table)
        named = dict.fromkeys((*keys, *("decisions" if name in DECISIONS else name for name in columns)))

        def matching(rows: Rows, first: int) -> Rows:
            is_hit = np.zeros(len(rows[keys[0]]), dtype=bool)
            for key, values, table in zip(keys, wanted, tables, strict=True):
                # the low bits first, for most rows have none of the values
                maybe = np.flatnonzero(table.take(rows[key].view(np.int64) & (len(table) - 1)))
                is_hit[maybe[is_among(rows[key][maybe], values)]] = True
            places = np.flatnonzero(is_hit)
            return {"place": places + first} | {name: rows[name][places] for name in named}

        def read(group: int) -> Rows:
            with pq.ParquetFile(self.base, metadata=self.metadata, memory_map=True) as one:
                table = one.read_row_group(group, columns=list(named), use_threads=False)
            found = matching({name: table.column(name).to_numpy() for name in named}, int(self.starts[group]))
            is_alive = ~self.is_dead[found["place"]]
            return {name: values[is_alive] for name, values in found.items()}

        with ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(read, range(len(self.starts) - 1)))
        if self.later is not None and not only_base:
            found = matching(_packed(self.later), len(self.is_dead))
            is_there = ~self.later["is_deleted"].astype(bool)[found["place"] - len(self.is_dead)]
            parts.append({name: values[is_there] for name, values in found.items()})
        return _unpacked({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def customers_among(self, names: Array) -> Array:
        """Which of these stand for a customer already, sorted."""
        return distinct(self.pick(("customer",), (names,), ())["customer"])


def places(keys: Array, wanted: Array) -> tuple[Array, Array]:
    """Where the wanted keys stand in the sorted keys, and whether they do."""
    at = np.searchsorted(keys, wanted)
    return at, is_among(wanted, keys)


def is_among(values: Array, chosen: Array) -> Array:
    """Which values are among the sorted chosen ones."""
    if not len(chosen):
        return np.zeros(len(values), dtype=bool)
    return chosen[np.minimum(np.searchsorted(chosen, values), len(chosen) - 1)] == values


def distinct(values: Array) -> Array:
    """The different values, sorted, without 0."""
    ordered = np.sort(values)
    is_first = np.concatenate((ordered[:1] != 0, (ordered[1:] != ordered[:-1]) & (ordered[1:] != 0)))
    return ordered[is_first]


def _packed(rows: Rows) -> Rows:
    """The decisions as one column, two bits each: a column less to read costs less than the shifts."""
    packed = {name: values for name, values in rows.items() if name not in DECISIONS}
    decisions = np.zeros(len(rows["record"]), dtype=np.uint8)
    for place, name in enumerate(DECISIONS):
        decisions |= rows[name].astype(np.uint8) << np.uint8(2 * place)
    return packed | {"decisions": decisions}


def _unpacked(rows: Rows) -> Rows:
    if "decisions" not in rows:
        return rows
    rest = {name: values for name, values in rows.items() if name != "decisions"}
    return rest | {
        name: ((rows["decisions"] >> np.uint8(2 * place)) & np.uint8(3)).astype(np.int8)
        for place, name in enumerate(DECISIONS)
    }


def write_rows(rows: Rows, path: Path) -> None:
    """One file of the state, written aside and renamed; plain encoding, for hashes do not compress."""
    table = pa.table({name: pa.array(values) for name, values in _packed(rows).items()})
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


def overlaid(state: Rows, changed: Rows, keep_deleted: bool = False) -> Rows:
    """The state with the changed rows in it and the deleted ones gone, or kept as such."""
    at, is_known = places(state["record"], changed["record"])
    is_kept = np.ones(len(state["record"]), dtype=bool)
    is_kept[at[is_known]] = False
    is_there = ~changed["is_deleted"].astype(bool) | keep_deleted
    names = COLUMNS if not keep_deleted else (*COLUMNS, "is_deleted")
    together = {name: np.concatenate((state[name][is_kept], changed[name][is_there])) for name in names}
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
    return _unpacked(rows)
