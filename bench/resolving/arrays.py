"""Look-ups on arrays of 64-bit hashes, where 0 means "none"."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Rows = dict[str, Array]
"""Columns of equal length by name."""


class Index(NamedTuple):
    """Which rows carry a value: `values`, distinct and in order, without 0; the rows (32-bit) of all values, one value
    after the other; and where each value's rows begin among them, with the end as one number more."""

    values: Array
    starts: Array
    rows: Array


def index_of(column: Array) -> Index:
    """The column's index."""
    rows = np.argsort(column)
    rows = rows[int((column == 0).sum()) :]
    ordered = column[rows]
    starts = run_starts(ordered)
    return Index(ordered[starts], np.append(starts, len(rows)).astype(np.int32), rows.astype(np.int32))


def found_in(index: Index, wanted: Array) -> Array:
    """The rows that carry a wanted value (distinct, sorted), sorted."""
    at, is_known = positions(index.values, wanted)
    at = at[is_known]
    first = index.starts[at].astype(np.int64)
    return np.sort(index.rows[spans(first, index.starts[at + 1] - first)]).astype(np.int64)


def spans(first: Array, counts: Array) -> Array:
    """The numbers first, first + 1, … of every span, one span after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(first - before, counts) + np.arange(int(counts.sum()))


def run_starts(ordered: Array) -> Array:
    """Places where a run of equal values begins."""
    return np.flatnonzero(np.concatenate((np.ones(min(len(ordered), 1), dtype=bool), ordered[1:] != ordered[:-1])))


def positions(keys: Array, wanted: Array) -> tuple[Array, Array]:
    """Where the wanted keys stand in the sorted keys, and whether they do."""
    at = np.searchsorted(keys, wanted)
    if not len(keys):
        return at, np.zeros(len(wanted), dtype=bool)
    return at, keys[np.minimum(at, len(keys) - 1)] == wanted


def is_among(values: Array, chosen: Array) -> Array:
    """Which values are among the sorted chosen ones."""
    return positions(chosen, values)[1]


def distinct(values: Array) -> Array:
    """The different values, sorted, without 0."""
    ordered = np.sort(values)
    ordered = ordered[run_starts(ordered)]
    return ordered[ordered != 0]


def only(rows: Rows, chosen: Array) -> Rows:
    """The chosen rows (a mask or places)."""
    return {name: values[chosen] for name, values in rows.items()}


def mixed_hash(left: Array, right: Array) -> Array:
    """One 64-bit hash of two, by the finaliser of SplitMix64 (Steele, Lea and Flood 2014); never 0."""
    mixed = left ^ (right * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.maximum(mixed ^ (mixed >> np.uint64(31)), np.uint64(1))
