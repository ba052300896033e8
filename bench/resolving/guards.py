"""What an identifier may link, on arrays: the limits of records and names, and the edges that are left."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NOTHING, ANYBODY, SAME_NAME = 0, 1, 2
"""The guard's decision about an identifier: it links nothing, every record that carries it, those of one name."""


@dataclass(frozen=True)
class Limit:
    """More records than this and an identifier links nothing; more names and it links only records of the same name."""

    records: int
    names: int


LIMITS = {"email": Limit(40, 3), "phone": Limit(20, 1), "external_id": Limit(100, 4)}


def decide(values: Array, names: Array, limit: Limit) -> Array:
    """The decision for every row's identifier; `values` and `names` are 64-bit hashes, 0 when there is none."""
    decisions = np.where(values != 0, ANYBODY, NOTHING).astype(np.int8)
    rows = np.argsort(values)
    rows = rows[np.searchsorted(values[rows], 1) :] if len(rows) else rows
    sorted_values = values[rows]
    same = sorted_values[1:] == sorted_values[:-1]
    # nearly all identifiers are on few records of one name: only those with a difference are looked at further
    group = np.concatenate((np.zeros(min(len(rows), 1), dtype=np.int64), np.cumsum(~same)))
    sizes = np.bincount(group)
    decisions[rows[sizes[group] > limit.records]] = NOTHING
    sorted_names = names[rows]
    differs = np.flatnonzero(same & (sorted_names[1:] != sorted_names[:-1]))
    is_mixed = np.zeros(len(sizes), dtype=bool)
    is_mixed[group[differs]] = True
    is_mixed &= sizes <= limit.records
    mixed = np.flatnonzero(is_mixed[group])
    mixed = mixed[np.lexsort((sorted_names[mixed], group[mixed]))]
    name, of = sorted_names[mixed], group[mixed]
    is_new = np.ones(len(mixed), dtype=bool)
    is_new[1:] = (of[1:] != of[:-1]) | (name[1:] != name[:-1])
    name_counts = np.bincount(of[is_new & (name != 0)], minlength=len(sizes))
    decisions[rows[mixed[name_counts[of] > limit.names]]] = SAME_NAME
    return decisions


def link_keys(values: Array, names: Array, decisions: Array) -> Array:
    """The node of the graph a row hangs on by this identifier; 0 when by none."""
    keys = np.where(decisions == ANYBODY, values, np.uint64(0))
    shared = np.flatnonzero((decisions == SAME_NAME) & (names != 0))
    keys[shared] = mixed_hash(values[shared], names[shared])
    return keys


def neighbours(keys: Array) -> tuple[Array, Array]:
    """Edges between rows of the same key, each to the next one; a row without a key has none."""
    rows = np.argsort(keys)
    ordered = keys[rows]
    places = np.flatnonzero((ordered[1:] == ordered[:-1]) & (ordered[1:] != 0))
    return rows[places].astype(np.int32), rows[places + 1].astype(np.int32)


def mixed_hash(left: Array, right: Array) -> Array:
    """One 64-bit hash of two, by the finaliser of SplitMix64 (Steele, Lea and Flood 2014); never 0."""
    mixed = left ^ (right * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.maximum(mixed ^ (mixed >> np.uint64(31)), np.uint64(1))
