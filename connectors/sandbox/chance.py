"""Seeded chance: the same seed and key always draw the same numbers, on every machine and in any order."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


class Chance:
    """A stream of numbers that depends on nothing but its key, so one person's draws never move another's."""

    def __init__(self, *key: object) -> None:
        self._key = "|".join(str(part) for part in key).encode()
        self._drawn = 0

    def number(self) -> float:
        """The next number, uniform in [0, 1)."""
        self._drawn += 1
        digest = hashlib.blake2b(self._key + b"|%d" % self._drawn, digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) / (1 << 53)

    def happens(self, probability: float) -> bool:
        return self.number() < probability

    def whole(self, lowest: int, highest: int) -> int:
        """A whole number from lowest to highest, both included."""
        return lowest + int(self.number() * (highest - lowest + 1))

    def pick(self, choices: Sequence[Choice]) -> Choice:
        return choices[int(self.number() * len(choices))]

    def weighted(self, weights: Mapping[Choice, float]) -> Choice:
        """One key of `weights`, as likely as its share of their sum."""
        mark = self.number() * sum(weights.values())
        for choice, weight in weights.items():
            mark -= weight
            if mark < 0:
                return choice
        return list(weights)[-1]


def sql_chance(seed: int) -> str:
    """The same idea inside DuckDB: `chance(salt, key)` is uniform in [0, 1), `seconds(...)` an interval between two.

    The parts are joined to one text before hashing: DuckDB combines the hashes of several arguments by XOR, which
    would tie the draws of one key under two salts to each other.
    """
    return f"""
        CREATE OR REPLACE MACRO chance(salt, key) AS
            (hash('{int(seed)}|' || salt || '|' || key) >> 11)::DOUBLE / 9007199254740992.0;
        CREATE OR REPLACE MACRO seconds(salt, key, lowest, highest) AS
            to_seconds((lowest + chance(salt, key) * (highest - lowest))::BIGINT)
    """
