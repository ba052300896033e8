"""How two person records are compared, which pairs are, and how often each finding is seen in one person and in two.

Fellegi and Sunter's model as Splink runs it. What is declared here: the levels of each comparison with the share of one
person's record pairs expected at each (m), and the keys two records must share one of to be compared at all.
"""

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Level:
    """One finding of a comparison. `expected` is its share among pairs of one person, before any data was seen."""

    label: str
    condition: str
    expected: float
    term_frequency: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Levels from closest to `different`, which is what remains; `missing` says when nothing can be compared.

    `most_different` bounds what share of one person's pairs training may call different: households, where all but the
    given name agrees, would otherwise be learned as persons.
    """

    name: str
    columns: tuple[str, ...]
    missing: str
    levels: tuple[Level, ...]
    different: float
    most_different: float


def _name(part: str, other: str) -> Comparison:
    column, foreign = f"{part}_l", f"{part}_r"
    cross = f"({part}_l = {other}_r or {other}_l = {part}_r or {part}_sound_l = {other}_sound_r)"
    near = f"({part}_is_kanji_l = {part}_is_kanji_r and greatest(jaro_winkler_similarity({column}, {foreign}), "
    near += f"jaro_winkler_similarity({part}_sound_l, {part}_sound_r)) >= "
    return Comparison(
        part,
        (part, f"{part}_sound", f"{part}_is_kanji", other, f"{other}_sound"),
        f"{column} is null or {foreign} is null or ({part}_is_kanji_l <> {part}_is_kanji_r "
        f"and ({part}_sound_l is null or {part}_sound_r is null))",
        (
            Level("same", f"{column} = {foreign} or {part}_sound_l = {part}_sound_r", 0.70, part),
            Level("typing error", f"{near} 0.92)", 0.12),
            Level("swapped", cross, 0.03),
            Level(
                "short form",
                f"(starts_with({column}, {foreign}) or starts_with({foreign}, {column})) "
                f"and (least(len({column}), len({foreign})) in (1, 3) or least(len({column}), len({foreign})) > 3)",
                0.03,
            ),
            Level("alike", f"{near} 0.8)", 0.06),
        ),
        0.06,
        0.12,
    )


COMPARISONS = (
    _name("given", "family"),
    _name("family", "given"),
    Comparison(
        "birth_date",
        ("birth_date",),
        "birth_date_l is null or birth_date_r is null",
        (
            Level("same", "birth_date_l = birth_date_r", 0.80, "birth_date"),
            Level(
                "typing error",
                "damerau_levenshtein(birth_date_l, birth_date_r) <= 1 "
                "or (left(birth_date_l, 4) = left(birth_date_r, 4) "
                "and substr(birth_date_l, 5, 2) = substr(birth_date_r, 7, 2) "
                "and substr(birth_date_l, 7, 2) = substr(birth_date_r, 5, 2))",
                0.12,
            ),
            Level("alike", "damerau_levenshtein(birth_date_l, birth_date_r) <= 2", 0.04),
        ),
        0.04,
        0.30,
    ),
    Comparison(
        "email",
        ("email", "email_user", "email_domain"),
        "email_l is null or email_r is null",
        (
            Level("same", "email_l = email_r", 0.60, "email"),
            Level(
                # a letter doubled, dropped or exchanged; a different digit is somebody else's address
                "typing error",
                "damerau_levenshtein(email_l, email_r) <= 1 and len(email_user_l) > 4 "
                "and regexp_replace(email_l, '[^0-9]', '', 'g') = regexp_replace(email_r, '[^0-9]', '', 'g')",
                0.10,
            ),
            Level("same user", "email_user_l = email_user_r and len(email_user_l) > 4", 0.05),
            Level("alike", "jaro_winkler_similarity(email_user_l, email_user_r) >= 0.9", 0.05),
        ),
        0.20,
        0.60,
    ),
    Comparison(
        "phone",
        ("phone",),
        "phone_l is null or phone_r is null",
        (
            Level("same", "phone_l = phone_r", 0.70, "phone"),
            Level("typing error", "damerau_levenshtein(phone_l, phone_r) <= 1", 0.08),
        ),
        0.22,
        0.60,
    ),
    Comparison(
        "address",
        ("address", "address_numbers"),
        "address_l is null or address_r is null",
        (
            Level("same", "address_l = address_r", 0.60, "address"),
            Level(
                "typing error",
                "address_numbers_l is not distinct from address_numbers_r "
                "and jaro_winkler_similarity(address_l, address_r) >= 0.9",
                0.15,
            ),
            Level("alike", "jaro_winkler_similarity(address_l, address_r) >= 0.85", 0.10),
        ),
        0.15,
        0.50,
    ),
    Comparison(
        "postal_code",
        ("postal_code",),
        "postal_code_l is null or postal_code_r is null",
        (
            Level("same", "postal_code_l = postal_code_r", 0.75, "postal_code"),
            Level("typing error", "damerau_levenshtein(postal_code_l, postal_code_r) <= 1", 0.10),
        ),
        0.15,
        0.40,
    ),
    Comparison(
        "city",
        ("city",),
        "city_l is null or city_r is null",
        (
            Level("same", "city_l = city_r", 0.75, "city"),
            Level("typing error", "jaro_winkler_similarity(city_l, city_r) >= 0.88", 0.12),
        ),
        0.13,
        0.40,
    ),
)

# Two records are compared when they share one of these. Each is (name, SQL of the key over the forms); a key that is
# null blocks nothing. Pairs found by several rules are compared once.
BLOCKING = (
    ("email", "email"),
    ("email_user", "case when len(email_user) > 4 then email_user end"),
    # all spellings of the address with one letter left out: two addresses one slip apart share one of them
    ("email_slip", "unnest(left_out(email_user, email_domain))"),
    ("phone", "phone"),
    ("phone_end", "right(phone, 6)"),
    ("full_name", "least(given, family) || '|' || greatest(given, family)"),
    ("full_sound", "least(given_sound, family_sound) || '|' || greatest(given_sound, family_sound)"),
    ("birth_date", "birth_date"),
    ("birth_day_and_given", "substr(birth_date, 5) || '|' || left(given, 3)"),
    ("birth_day_and_family", "substr(birth_date, 5) || '|' || left(family, 3)"),
    ("birth_year_and_given", "left(birth_date, 4) || '|' || given"),
    ("birth_year_and_family", "left(birth_date, 4) || '|' || family"),
    ("given_and_postal_code", "left(given, 4) || '|' || postal_code"),
    ("family_and_postal_code", "left(family, 4) || '|' || postal_code"),
    ("swapped_and_postal_code", "unnest([given, family]) || '|' || postal_code"),
    ("given_and_city", "given || '|' || city"),
    ("family_and_city", "family || '|' || city"),
    ("name_starts", "left(given, 3) || '|' || left(family, 3)"),
    ("address", "case when len(address) > 5 then address end"),
    ("address_and_postal_code", "left(address, 8) || '|' || postal_code"),
    ("family_and_given_start", "family || '|' || left(given, 1)"),
    ("given_and_family_start", "given || '|' || left(family, 1)"),
    ("family", "family"),
    ("given", "given"),
)


def candidate_pairs(connection: duckdb.DuckDBPyConnection, forms: str, pairs_a_record: int) -> None:
    """Write the table `candidates(join_key_l, join_key_r, match_key)` of the pairs worth comparing.

    Within each rule the rarest keys come first until `pairs_a_record` times the number of records are found, so that a
    value which ten thousand records share costs nothing: it says nothing either.
    """
    connection.execute("""
        CREATE OR REPLACE TEMP MACRO left_out(word, tail) AS
          CASE WHEN len(word) > 4 THEN list_distinct(list_append(
            list_transform(range(1, least(len(word), 40) + 1),
              lambda i: substr(word, 1, i - 1) || substr(word, i + 1) || '@' || tail), word || '@' || tail)) END""")
    connection.execute("CREATE OR REPLACE TEMP TABLE block_keys (rule INTEGER, key_hash UBIGINT, record BIGINT)")
    for position, (_, key) in enumerate(BLOCKING):
        connection.execute(
            f"INSERT INTO block_keys SELECT DISTINCT {position}, hash(key), unique_id "
            f"FROM (SELECT unique_id, {key} AS key FROM {forms}) WHERE key IS NOT NULL"
        )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE kept_keys AS
        SELECT rule, key_hash FROM (
          SELECT rule, key_hash, n, sum(n * (n - 1) / 2) OVER (PARTITION BY rule ORDER BY n, key_hash) AS pairs_so_far
          FROM (SELECT rule, key_hash, count(*) AS n FROM block_keys GROUP BY ALL HAVING count(*) > 1)
        ) WHERE pairs_so_far <= {pairs_a_record} * (SELECT count(*) FROM {forms}) + 10000""")
    connection.execute("""
        CREATE OR REPLACE TABLE candidates AS
        WITH blocked AS (SELECT k.* FROM block_keys AS k SEMI JOIN kept_keys USING (rule, key_hash))
        SELECT l.record AS join_key_l, r.record AS join_key_r, CAST(min(l.rule) AS VARCHAR) AS match_key
        FROM blocked AS l JOIN blocked AS r USING (rule, key_hash) WHERE l.record < r.record
        GROUP BY ALL ORDER BY ALL""")
    connection.execute("DROP TABLE block_keys; DROP TABLE kept_keys")


def usable(forms: pd.DataFrame) -> list[Comparison]:
    """The comparisons whose field at least two records have."""
    return [comparison for comparison in COMPARISONS if forms[comparison.columns[0]].notna().sum() > 1]


def splink_comparison(comparison: Comparison, shares: tuple[np.ndarray, np.ndarray] | None = None) -> dict[str, Any]:
    """The comparison as Splink takes it, with m and u by level (closest first) where they are known."""
    levels: list[dict[str, Any]] = [
        {"sql_condition": comparison.missing, "label_for_charts": "missing", "is_null_level": True}
    ]
    for position, level in enumerate((*comparison.levels, Level("different", "ELSE", comparison.different))):
        described: dict[str, Any] = {"sql_condition": level.condition, "label_for_charts": level.label}
        if shares is not None:
            described |= {
                "m_probability": float(shares[0][position]),
                "u_probability": float(shares[1][position]),
            }
        if level.term_frequency:
            described |= {"tf_adjustment_column": level.term_frequency, "disable_tf_exact_match_detection": True}
        levels.append(described)
    return {"output_column_name": comparison.name, "comparison_levels": levels}


@dataclass
class Shares:
    """What training has found: per comparison the shares of its levels in one person (m) and in two (u), closest first;
    per stratum the share of all its pairs that are one person (`prevalence`)."""

    m: list[np.ndarray]
    u: list[np.ndarray]
    prevalence: np.ndarray


# Pairs of one person that the expectation is worth against those in the data.
EXPECTATION_WEIGHT = 25.0
MOST_ROUNDS = 500


def train(
    comparisons: list[Comparison],
    patterns: np.ndarray,
    counts: np.ndarray,
    strata: np.ndarray,
    pairs: np.ndarray,
    drawn: list[np.ndarray],
    drawn_pairs: list[float],
    prevalence: float,
) -> Shares:
    """Expectation maximisation over the candidates' findings; what no rule has made a candidate counts as two persons.

    patterns: findings, one row a distinct combination; position of the level, -1 for missing. counts, strata: how often
    each occurs and in which stratum (say, accounts with contacts). pairs: all pairs of each stratum, candidates or not.
    drawn: shares of the levels among random pairs; drawn_pairs: from how many. prevalence: the expectation.

    Random pairs hold pairs of one person too; in a small file so many that u is m's shadow. u is what remains of the
    random pairs when the found share of m is taken out of them. With no pair of one person in sight m stays what was
    expected, so there is nothing that cannot converge.
    """
    expected = [np.array([*(level.expected for level in c.levels), c.different]) for c in comparisons]
    expected = [share / share.sum() for share in expected]
    m = [share.copy() for share in expected]
    floors = [np.full(len(share), 0.5 / max(n, 100.0)) for share, n in zip(expected, drawn_pairs, strict=True)]
    share_of_one = np.full(len(pairs), prevalence)
    alike = speaks_of_one(comparisons, patterns)
    u = list(drawn)
    for _ in range(MOST_ROUNDS):
        overall = float((share_of_one * pairs).sum() / max(pairs.sum(), 1))
        u = [
            normal(np.maximum((seen - overall * one) / (1 - overall), floor))
            for seen, one, floor in zip(drawn, m, floors, strict=True)
        ]
        weight = np.log(share_of_one / (1 - share_of_one))[strata]
        for k in range(len(comparisons)):
            found = patterns[:, k]
            weight = weight + np.where(found >= 0, np.log(m[k] / u[k])[found], 0.0)
        ones = counts * alike / (1 + np.exp(-np.clip(weight, -60, 60)))
        before = [*m]
        for k, comparison in enumerate(comparisons):
            found = patterns[:, k]
            seen = np.bincount(found[found >= 0], ones[found >= 0], len(m[k]))
            m[k] = bounded(
                (seen + EXPECTATION_WEIGHT * expected[k]) / (seen.sum() + EXPECTATION_WEIGHT), comparison.most_different
            )
        found_ones = np.bincount(strata, ones, len(pairs))
        share_of_one = np.clip((found_ones + 1) / (pairs + 1 / prevalence), 1e-12, 0.5)
        if max(float(np.abs(a - b).max()) for a, b in zip(m, before, strict=True)) < 1e-5:
            break
    return Shares(m, u, share_of_one)


# What two people of one household do not share: a finding among these, or the pair is no pair of one person.
OWN_FINDINGS = {
    "given": {"same", "typing error", "swapped", "short form", "alike"},
    "birth_date": {"same", "typing error"},
    "email": {"same", "typing error", "same user"},
}


def speaks_of_one(comparisons: list[Comparison], findings: np.ndarray) -> np.ndarray:
    """Whether a row of findings says anything of a person rather than of a household.

    Name, address, phone and postal code of a family agree together, which the model takes for four independent
    findings; without this a family is a person.
    """
    speaks = np.zeros(len(findings), dtype=bool)
    for k, comparison in enumerate(comparisons):
        own = OWN_FINDINGS.get(comparison.name)
        if own is None:
            continue
        for position, level in enumerate(comparison.levels):
            if level.label in own:
                speaks |= findings[:, k] == position
    return speaks


def normal(share: np.ndarray) -> np.ndarray:
    return share / share.sum()


def bounded(share: np.ndarray, most_different: float) -> np.ndarray:
    """`share` with its last entry at most `most_different`, the others scaled up."""
    if share[-1] <= most_different:
        return share
    rest = share[:-1] / share[:-1].sum() * (1 - most_different)
    return np.append(rest, most_different)
