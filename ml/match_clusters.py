"""Joins records pair by pair, the surest first, and refuses a pair that would join what cannot be one person.

Connected components alone let one bad pair join two big clusters. Here every join looks at both sides as a whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# A cluster larger than this is joined to nothing more; the warehouse raises its alarm at the same size.
LARGEST_CLUSTER = 12
# Two groups of records are joined when at least this share of the pairs between them speaks for it.
LEAST_SUPPORT = 0.34


def components(size: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """For each of `size` records the smallest position in its connected component."""
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    smallest = np.full(labels.max() + 1 if size else 0, size, dtype=np.int64)
    np.minimum.at(smallest, labels, np.arange(size))
    return smallest[labels]


@dataclass
class Clusters:
    """Records by the cluster they are in, and what is known of each cluster.

    groups: for each record its cluster to begin with. birth_dates: eight digits or None. said: which of a person's own
    fields a record has, one bit each; two records without one in common neither support nor weaken a join. apart: pairs
    of records that must never meet. are_birth_dates_sure: whether two that contradict are never one person's.
    """

    groups: Sequence[int]
    birth_dates: Sequence[str | None]
    said: Sequence[int]
    apart: Iterable[tuple[int, int]] = ()
    are_birth_dates_sure: bool = True
    members: dict[int, list[int]] = field(default_factory=dict, init=False)
    enemies: dict[int, set[int]] = field(default_factory=dict, init=False)
    parent: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.parent = list(self.groups)
        for record, group in enumerate(self.groups):
            self.members.setdefault(group, []).append(record)
        for left, right in self.apart:
            one, other = self.parent[left], self.parent[right]
            if one != other:
                self.enemies.setdefault(one, set()).add(other)
                self.enemies.setdefault(other, set()).add(one)

    def join(self, left: int, right: int, support: Mapping[tuple[int, int], float] | None = None) -> str | None:
        """Join the clusters of two records, or say why not. `support` has the probability of every pair compared; None
        is a person's decision, which only a hand-closed pair can stop."""
        one, other = self.parent[left], self.parent[right]
        if one == other:
            return None
        if other in self.enemies.get(one, ()):
            return "kept_apart"
        if support is not None and (reason := self._objection(one, other, support)):
            return reason
        if len(self.members[one]) < len(self.members[other]):
            one, other = other, one
        for record in self.members[other]:
            self.parent[record] = one
        self.members[one] += self.members.pop(other)
        for enemy in self.enemies.pop(other, set()):
            self.enemies[enemy].discard(other)
            self.enemies[enemy].add(one)
            self.enemies.setdefault(one, set()).add(enemy)
        return None

    def _objection(self, one: int, other: int, support: Mapping[tuple[int, int], float]) -> str | None:
        ours, theirs = self.members[one], self.members[other]
        if len(ours) + len(theirs) > LARGEST_CLUSTER:
            return "too_large"
        pairs = [(min(a, b), max(a, b)) for a in ours for b in theirs]
        if self.are_birth_dates_sure and any(contradict(self.birth_dates[a], self.birth_dates[b]) for a, b in pairs):
            return "birth_dates_contradict"
        known = [support.get(pair, 0.0) for pair in pairs if self.said[pair[0]] & self.said[pair[1]]]
        if len(known) > 1 and sum(known) / len(known) < LEAST_SUPPORT:
            return "too_little_support"
        return None


def contradict(left: str | None, right: str | None) -> bool:
    """Two birth dates (eight digits) that are not one slip apart: of year, month and day, turned round or not, fewer
    than two agree, and more than two digits differ."""
    if left is None or right is None or left == right:
        return False
    if sum(a != b for a, b in zip(left, right, strict=False)) <= 2:
        return False
    ours, theirs = (left[:4], left[4:6], left[6:]), (right[:4], right[4:6], right[6:])
    turned = (right[:4], right[6:], right[4:6])
    return max(sum(a == b for a, b in zip(ours, other, strict=True)) for other in (theirs, turned)) < 2
