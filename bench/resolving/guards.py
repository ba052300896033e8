"""What an identifier may link, on arrays: the limits of records and names, and the edges that are left."""

from dataclasses import dataclass

import numpy as np

from bench.resolving.arrays import Array, Index, mixed_hash, spans

NOTHING, ANYBODY, SAME_NAME = 0, 1, 2
"""The guard's decision about an identifier: it links nothing, every record that carries it, those of one name."""


@dataclass(frozen=True)
class Limit:
    """More records than this and an identifier links nothing; more names and it links only records of the same name."""

    records: int
    names: int


LIMITS = {"email": Limit(40, 3), "phone": Limit(20, 1), "external_id": Limit(100, 4)}


def decide(index: Index, names: Array, limit: Limit) -> Array:
    """The decision for every row's identifier; `index` is the identifier's, `names` are hashes, one a row."""
    decisions = np.full(len(names), NOTHING, dtype=np.int8)
    sizes = np.diff(index.starts)
    decisions[index.rows[np.repeat(sizes <= limit.records, sizes)]] = ANYBODY
    # nearly all identifiers are on few records of one name: only those with a difference are looked at further
    name = names[index.rows]
    differs = np.flatnonzero(_is_followed(index) & (name[1:] != name[:-1]))
    mixed = np.unique(np.searchsorted(index.starts, differs, side="right") - 1)
    mixed = mixed[sizes[mixed] <= limit.records]
    places = spans(index.starts[mixed], sizes[mixed])
    group = np.repeat(np.arange(len(mixed)), sizes[mixed])
    name = name[places][np.lexsort((name[places], group))]
    is_new = np.ones(len(places), dtype=bool)
    is_new[1:] = (group[1:] != group[:-1]) | (name[1:] != name[:-1])
    name_counts = np.bincount(group[is_new & (name != 0)], minlength=len(mixed))
    decisions[index.rows[places[name_counts[group] > limit.names]]] = SAME_NAME
    return decisions


def link_keys(values: Array, names: Array, decisions: Array) -> Array:
    """The node of the graph a row hangs on by this identifier; 0 when by none."""
    keys = np.where(decisions == ANYBODY, values, np.uint64(0))
    shared = np.flatnonzero((decisions == SAME_NAME) & (names != 0))
    keys[shared] = mixed_hash(values[shared], names[shared])
    return keys


def neighbours(index: Index, names: Array, decisions: Array) -> tuple[Array, Array]:
    """Edges between rows that hang on the same node, each to the next one; `decisions` and `names` have one a row."""
    decision = decisions[index.rows]
    places = np.flatnonzero(_is_followed(index) & (decision[1:] == ANYBODY))
    shared = np.flatnonzero(decision == SAME_NAME)
    rows = index.rows[shared]
    values = index.values[np.searchsorted(index.starts, shared, side="right") - 1]
    keys = link_keys(values, names[rows], decision[shared])
    order = np.argsort(keys)
    rows, keys = rows[order], keys[order]
    same = np.flatnonzero((keys[1:] == keys[:-1]) & (keys[1:] != 0))
    return (
        np.concatenate((index.rows[places], rows[same])),
        np.concatenate((index.rows[places + 1], rows[same + 1])),
    )


def _is_followed(index: Index) -> Array:
    """Which of the index's rows but the last is followed by one of the same value."""
    is_followed = np.ones(max(len(index.rows) - 1, 0), dtype=bool)
    is_followed[index.starts[1:-1] - 1] = False
    return is_followed
