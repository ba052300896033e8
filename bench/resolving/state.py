"""The resolved state in a folder: `base`, written by a rebuild, and one file of changed rows for every day after it.

The base is one NumPy array a column, in the order of records, and an index of every identifier and of the customer. A
day maps them into memory and so touches only what its keys lead to; reading the whole state as Parquet four times cost
it 1.4 of its 1.7 s at ten million records.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bench.resolving.arrays import Array, Index, Rows, distinct, found_in, index_of, is_among, only, positions
from bench.resolving.guards import LIMITS

KINDS = tuple(LIMITS)
FIELDS = ("record", "name", *KINDS)
DECISIONS = tuple(f"{kind}_decision" for kind in KINDS)
COLUMNS = (*FIELDS, *DECISIONS, "customer")


class Kept:
    """The state in a folder, asked for the rows that carry certain values.

    A row's place is its number in the base, or the base's size and its number among the rows changed since.
    """

    def __init__(self, folder: Path) -> None:
        base = folder / "base"
        self.base = {name: _mapped(base / f"{name}.npy") for name in COLUMNS}
        self.size = len(self.base["record"])
        self.indexes = {
            key: Index(*(_mapped(base / f"{key}_index_{part}.npy") for part in Index._fields))
            for key in (*KINDS, "customer")
        }
        changed = {name: values[:0] for name, values in self.base.items()} | {"is_deleted": np.zeros(0, dtype=bool)}
        for path in _days(folder):
            changed = _overlaid(changed, _read_changes(path))
        # base rows that a later day changed or deleted
        at, is_known = positions(self.base["record"], changed["record"])
        self.is_past = np.zeros(self.size, dtype=bool)
        self.is_past[at[is_known]] = True
        self.later = only(changed, ~changed["is_deleted"])

    def find(self, key: str, wanted: Array) -> Array:
        """Places of the rows with a wanted value (distinct, sorted, without 0) in the key column, in order."""
        if key == "record":
            at, is_known = positions(self.base["record"], wanted)
            standing = at[is_known]
        else:
            standing = found_in(self.indexes[key], wanted)
        standing = standing[~self.is_past[standing]]
        return np.concatenate((standing, np.flatnonzero(is_among(self.later[key], wanted)) + self.size))

    def rows(self, places: Array, columns: Iterable[str]) -> Rows:
        """These columns of the rows at these places (in order), and their `place`."""
        count = np.searchsorted(places, self.size)
        standing, later = places[:count], places[count:] - self.size
        return {"place": places} | {
            name: np.concatenate((self.base[name][standing], self.later[name][later])) for name in columns
        }

    def customers_among(self, names: Array) -> Array:
        """Which of these (distinct, sorted) stand for a customer already, sorted."""
        return distinct(self.rows(self.find("customer", names), ["customer"])["customer"])


def write_base(rows: Rows, indexes: dict[str, Index], folder: Path) -> None:
    """The whole state, rows in the order of records, in the place of the base and the days there were."""
    aside = folder / "base.writing"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name in COLUMNS:
        np.save(aside / f"{name}.npy", rows[name])
    for key, index in (indexes | {"customer": index_of(rows["customer"])}).items():
        for part, values in index._asdict().items():
            np.save(aside / f"{key}_index_{part}.npy", values)
    shutil.rmtree(folder / "base", ignore_errors=True)
    for path in _days(folder):
        path.unlink()
    aside.rename(folder / "base")


def write_changes(rows: Rows, path: Path) -> None:
    """A day's changed rows, `is_deleted` with them, written aside and renamed."""
    aside = path.with_suffix(".writing")
    with aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **rows)
    aside.rename(path)


def read_base(folder: Path, columns: Iterable[str] = COLUMNS) -> Rows:
    """These columns of the base, without the days after it."""
    return {name: np.load(folder / "base" / f"{name}.npy") for name in columns}


def read_state(folder: Path) -> Rows:
    """The base with every later day laid over it, sorted by record."""
    state = read_base(folder)
    state["is_deleted"] = np.zeros(len(state["record"]), dtype=bool)
    for path in _days(folder):
        state = _overlaid(state, _read_changes(path))
    return only({name: state[name] for name in COLUMNS}, ~state["is_deleted"])


def _overlaid(rows: Rows, changed: Rows) -> Rows:
    """The rows with the changed ones in their place, sorted by record; the deleted stay, marked as such."""
    is_kept = ~is_among(rows["record"], np.sort(changed["record"]))
    together = {name: np.concatenate((values[is_kept], changed[name])) for name, values in rows.items()}
    return only(together, np.argsort(together["record"]))


def _days(folder: Path) -> list[Path]:
    return sorted(folder.glob("day-*.npz"))


def _read_changes(path: Path) -> Rows:
    with np.load(path) as file:
        return {name: file[name] for name in (*COLUMNS, "is_deleted")}


def _mapped(path: Path) -> Array:
    return np.asarray(np.load(path, mmap_mode="r"))
