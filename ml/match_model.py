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
    """One finding of a comparison. `expected` is its share among pairs of one person, before any data was seen.

    coincidence: its share among pairs of two people where a small file cannot show how rare it is.
    coincidence_like_same: at least as likely among two people as the same value is; names that are exchanged are seen
    by both name comparisons, each of which may only count its own.
    """

    label: str
    condition: str
    expected: float
    term_frequency: str | None = None
    coincidence: float | None = None
    coincidence_like_same: bool = False


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


def _alike(one: str, other: str) -> str:
    return f"(not {one}_is_kanji_l and not {other}_is_kanji_r and jaro_winkler_similarity({one}_l, {other}_r) >= 0.9)"


def _name(part: str, other: str) -> Comparison:
    column, foreign = f"{part}_l", f"{part}_r"
    # both ways round, or the one family name of a household would be found in the other's given name
    cross = (
        f"(({part}_l = {other}_r or {part}_sound_l = {other}_sound_r or {_alike(part, other)}) "
        f"and ({other}_l = {part}_r or {other}_sound_l = {part}_sound_r or {_alike(other, part)}))"
    )
    near = f"({part}_is_kanji_l = {part}_is_kanji_r and greatest(jaro_winkler_similarity({column}, {foreign}), "
    near += f"jaro_winkler_similarity({part}_sound_l, {part}_sound_r)) >= "
    return Comparison(
        part,
        (part,),
        f"{column} is null or {foreign} is null or ({part}_is_kanji_l <> {part}_is_kanji_r "
        f"and ({part}_sound_l is null or {part}_sound_r is null))",
        (
            Level("same", f"{column} = {foreign} or {part}_sound_l = {part}_sound_r", 0.70, part),
            Level("typing error", f"{near} 0.92)", 0.12),
            Level("swapped", cross, 0.03, coincidence_like_same=True),
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


_EMAIL_SAME = "email_l = email_r"
# a letter doubled, dropped or exchanged; a different digit is somebody else's address
_EMAIL_SLIP = (
    "damerau_levenshtein(email_l, email_r) <= 1 and len(email_user_l) > 4 "
    "and regexp_replace(email_l, '[^0-9]', '', 'g') = regexp_replace(email_r, '[^0-9]', '', 'g')"
)
_EMAIL_USER = "email_user_l = email_user_r and len(email_user_l) > 4 and regexp_matches(email_user_l, '[0-9]')"

COMPARISONS = (
    _name("given", "family"),
    _name("family", "given"),
    Comparison(
        "birth_date",
        ("birth_date",),
        "birth_date_l is null or birth_date_r is null",
        (
            Level("same", "birth_date_l = birth_date_r", 0.81, "birth_date"),
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
        0.03,
        0.30,
    ),
    Comparison(
        "email",
        ("email", "email_user", "email_domain"),
        # people make addresses from their names: one that is merely alike says what the names have said already
        f"email_l is null or email_r is null or (not ({_EMAIL_SAME}) and not ({_EMAIL_SLIP}) and not ({_EMAIL_USER}) "
        "and jaro_winkler_similarity(email_user_l, email_user_r) >= 0.9)",
        (
            Level("same", _EMAIL_SAME, 0.60, "email", coincidence=1e-7),
            Level("typing error", _EMAIL_SLIP, 0.10, coincidence=1e-6),
            Level("same user", _EMAIL_USER, 0.05),
        ),
        0.25,
        0.60,
    ),
    Comparison(
        "phone",
        ("phone",),
        "phone_l is null or phone_r is null",
        (
            Level("same", "phone_l = phone_r", 0.70, "phone", coincidence=1e-7),
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
    per stratum the share of its pairs that are one person and not known to be (`prevalence`)."""

    m: list[np.ndarray]
    u: list[np.ndarray]
    prevalence: np.ndarray


@dataclass
class Findings:
    """What comparing has found among the candidates, and among pairs drawn at random.

    patterns: one row a distinct combination of findings; position of the level, -1 for missing. counts: how often each
    occurs. strata: in which stratum (say, accounts with contacts). is_certain: whether the pair is one person already.
    pairs: all pairs of each stratum, candidates or not. drawn: per comparison how often its levels occur among random
    pairs. named_pairs: per comparison how many pairs have both its field and a given name.
    """

    patterns: np.ndarray
    counts: np.ndarray
    strata: np.ndarray
    is_certain: np.ndarray
    pairs: np.ndarray
    drawn: list[np.ndarray]
    named_pairs: list[float]


# Pairs of one person that the expectation is worth against those in the data, and pairs of two that a declared
# coincidence is worth.
EXPECTATION_WEIGHT = 25.0
COINCIDENCE_WEIGHT = 1e6
MOST_ROUNDS = 500
# What certain links are made of: the pairs they join were chosen by these and cannot tell how often these differ.
IDENTIFIERS = {"email", "phone"}


def train(comparisons: list[Comparison], found: Findings, prevalence: float) -> Shares:
    """Expectation maximisation over the candidates' findings; what no rule has made a candidate counts as two persons.

    prevalence: the share of pairs expected to be one person. With no pair of one person in sight m stays what was
    expected, so there is nothing that cannot converge.

    Random pairs hold pairs of one person too; in a small file so many that u is m's shadow. u is what remains of the
    random pairs when the share of m is taken out of them. A finding too rare for random pairs (`coincidence`) is
    counted among the candidates instead, which hold every pair of it, where names say that it is two people.
    """
    expected = [normal(np.array([*(level.expected for level in c.levels), c.different])) for c in comparisons]
    m = [share.copy() for share in expected]
    of_all = [share.copy() for share in expected]
    drawn = [counts / max(float(counts.sum()), 1.0) for counts in found.drawn]
    u = list(drawn)
    floors = [least_shares(c, float(counts.sum())) for c, counts in zip(comparisons, found.drawn, strict=True)]
    certain = np.where(found.is_certain, found.counts, 0.0)
    open_pairs = np.maximum(found.pairs - np.bincount(found.strata, certain, len(found.pairs)), 1.0)
    share_of_one = np.full(len(found.pairs), prevalence)
    may_be_one = speaks_of_one(comparisons, found.patterns)
    has_names = np.zeros(len(found.patterns), dtype=bool)
    for k, comparison in enumerate(comparisons):
        has_names |= (comparison.name == "given") & (found.patterns[:, k] >= 0)
    ones = np.zeros(len(found.patterns))
    for _ in range(MOST_ROUNDS):
        overall = float((certain.sum() + ones.sum()) / max(found.pairs.sum(), 1.0))
        overall = min(max(overall, 1e-12), 0.5)
        for k, comparison in enumerate(comparisons):
            u[k] = normal(np.maximum((drawn[k] - overall * of_all[k]) / (1 - overall), floors[k]))
            for position, level in enumerate(comparison.levels):
                if level.coincidence_like_same:
                    u[k][position] = max(u[k][position], u[k][0])
                if level.coincidence is not None:
                    is_here = (found.patterns[:, k] == position) & has_names & ~found.is_certain
                    others = float((found.counts - ones)[is_here].sum()) + level.coincidence * COINCIDENCE_WEIGHT
                    u[k][position] = others / (found.named_pairs[k] + COINCIDENCE_WEIGHT)
        weight = np.log(share_of_one / (1 - share_of_one))[found.strata]
        for k in range(len(comparisons)):
            places = found.patterns[:, k]
            weight = weight + np.where(places >= 0, np.log(m[k] / u[k])[places], 0.0)
        posterior = may_be_one / (1 + np.exp(-np.clip(weight, -60, 60)))
        ones = np.where(found.is_certain, 0.0, found.counts * posterior)
        before = [*m]
        for k, comparison in enumerate(comparisons):
            of_all[k] = share_of_levels(comparison, found.patterns[:, k], ones + certain, expected[k])
            m[k] = of_all[k]
            if comparison.name in IDENTIFIERS:
                m[k] = share_of_levels(comparison, found.patterns[:, k], ones, expected[k])
        share_of_one = (np.bincount(found.strata, ones, len(found.pairs)) + 1) / (open_pairs + 1 / prevalence)
        share_of_one = np.clip(share_of_one, 1e-12, 0.5)
        if max(float(np.abs(a - b).max()) for a, b in zip(m, before, strict=True)) < 1e-5:
            break
    return Shares(m, u, share_of_one)


def share_of_levels(
    comparison: Comparison, positions: np.ndarray, ones: np.ndarray, expected: np.ndarray
) -> np.ndarray:
    """The shares of a comparison's levels among pairs of one person, with the expectation as so many pairs more."""
    seen = np.bincount(positions[positions >= 0], ones[positions >= 0], len(expected))
    share = (seen + EXPECTATION_WEIGHT * expected) / (seen.sum() + EXPECTATION_WEIGHT)
    return bounded(share, comparison.most_different)


NAME_AGREES = {"same", "typing error", "swapped", "short form", "alike"}
BIRTH_DATE_AGREES = {"same", "typing error"}


def speaks_of_one(comparisons: list[Comparison], findings: np.ndarray) -> np.ndarray:
    """Whether a row of findings says anything of a person rather than of a household.

    The family name, address, phone, postal code and often an e-mail of a family agree together, which the model takes
    for so many independent findings; without this a family is a person. So the whole name agrees, or the birth date,
    or the e-mail under names that are not two names of one family.
    """
    given, gives_other = agreeing(comparisons, findings, "given", NAME_AGREES)
    family, is_other_family = agreeing(comparisons, findings, "family", NAME_AGREES)
    birth_date, _ = agreeing(comparisons, findings, "birth_date", BIRTH_DATE_AGREES)
    # the same e-mail alone has joined whom it may join already; what it left apart shares a mailbox
    same_email, _ = agreeing(comparisons, findings, "email", {"same"})
    near_email, _ = agreeing(comparisons, findings, "email", {"typing error", "same user"})
    email = (near_email | (same_email & (given | family))) & ~(gives_other & family)
    return (given & ~is_other_family) | birth_date | email


def agreeing(
    comparisons: list[Comparison], findings: np.ndarray, name: str, labels: set[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(agrees, differs) for each row of findings; neither where the field is missing or not compared."""
    for k, comparison in enumerate(comparisons):
        if comparison.name == name:
            positions = [place for place, level in enumerate(comparison.levels) if level.label in labels]
            return np.isin(findings[:, k], positions), findings[:, k] == len(comparison.levels)
    nowhere = np.zeros(len(findings), dtype=bool)
    return nowhere, nowhere


def least_shares(comparison: Comparison, drawn_pairs: float) -> np.ndarray:
    """How rare a level may be among two people, when so many random pairs have been drawn."""
    unseen = 0.5 / max(drawn_pairs, 100.0)
    known = [unseen if level.coincidence is None else min(unseen, level.coincidence) for level in comparison.levels]
    return np.array([*known, unseen])


def normal(share: np.ndarray) -> np.ndarray:
    return share / share.sum()


def bounded(share: np.ndarray, most_different: float) -> np.ndarray:
    """`share` with its last entry at most `most_different`, the others scaled up."""
    if share[-1] <= most_different:
        return share
    rest = share[:-1] / share[:-1].sum() * (1 - most_different)
    return np.append(rest, most_different)
