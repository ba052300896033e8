"""Finds records of one person that no shared identifier joins: Splink on DuckDB, without labels, at fixed thresholds.

`match_people` takes records as they come (every field optional) and the clusters that are certain, and says which pairs
are linked and which a person should look at. The same records give the same rows, to the last digit.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

from ml.match_clusters import Clusters, components
from ml.match_model import (
    COMPARISONS,
    Comparison,
    Findings,
    Shares,
    candidate_pairs,
    speaks_of_one,
    splink_comparison,
    train,
    usable,
)
from ml.person_forms import compare_forms

# The product's thresholds: at least LINKED is joined, at least REVIEW is shown to a person.
LINKED = 0.90
REVIEW = 0.50
# Birth dates forbid a join only where hardly anybody's own two differ; in a file full of slips they only weigh.
SURE_BIRTH_DATES = 0.04
SEED = 20261018
# Pairs drawn at random for each field.
DRAWN_PAIRS = 80_000
TRAINING_PAIRS = 1_000_000
PAIRS_A_RECORD = 20
COLUMNS = ("record_key_left", "record_key_right", "match_probability", "match_weight", "evidence", "decided", "reason")
TEXT_COLUMNS = ("record_key_left", "record_key_right", "evidence", "decided", "reason")

# What is a person's own rather than a household's.
OWN_FIELDS = ("given", "birth_date", "email")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class People:
    """Distinct records of one certain cluster: position = `unique_id` for Splink."""

    keys: np.ndarray
    forms: pd.DataFrame
    sources: np.ndarray
    groups: np.ndarray
    position_of: pd.Series


def match_people(
    records: pd.DataFrame,
    certain: pd.DataFrame | None = None,
    decisions: pd.DataFrame | None = None,
    progress: Progress = lambda _: None,
) -> pd.DataFrame:
    """Pairs of records at least as likely as not to be one person and not in one certain cluster, as `COLUMNS`.

    records: `record_key` (text, unique) and any of `person_forms.FIELDS`; `record_type`, when there, says where a
    record comes from: how many pairs are one person is learned for each two types apart. certain: `record_key,
    link_key`; two records on one link key are one person already. decisions: `record_key_left, record_key_right,
    decision`, 'same' or 'different', which win over every probability.

    decided is 'linked' or 'review'; a linked pair never joins what is decided different, birth dates that contradict
    each other, or more than `LARGEST_CLUSTER` records (reason says which of these sent a likely pair to review).
    """
    people = gather(records, certain)
    progress(f"{len(records):,} records, {len(people.keys):,} of them different from each other within their cluster")
    return decide(people, score(people, progress), decisions)


def match_files(people_records: str, identity_edges: str, decided_pairs: str, out: str) -> dict[str, int]:
    """The warehouse's records matched, Parquet to Parquet; how many pairs were linked and how many wait for a person.

    people_records, identity_edges, decided_pairs: the marts of these names, as paths or globs. out: a local file, the
    score dataset that the warehouse reads.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        records = connection.execute(
            """SELECT record_key, record_type, first_name AS given_name, last_name AS family_name,
              first_name_kana AS given_kana, last_name_kana AS family_kana, birth_date::VARCHAR AS birth_date, email,
              phone, address_key AS address, postal_code, city
            FROM read_parquet(?) WHERE NOT is_deleted ORDER BY record_key""",
            [people_records],
        ).df()
        certain = connection.execute(
            """SELECT DISTINCT record_type || '|' || record_id AS record_key, link_key FROM read_parquet(?)
            WHERE link_key IS NOT NULL ORDER BY ALL""",
            [identity_edges],
        ).df()
        decisions = connection.execute("SELECT * FROM read_parquet(?) ORDER BY ALL", [decided_pairs]).df()
        matches = match_people(records, certain, decisions)
        connection.register("matches", matches.astype(dict.fromkeys(TEXT_COLUMNS, object)))
        columns = ", ".join(f"{name}::{'VARCHAR' if name in TEXT_COLUMNS else 'DOUBLE'} AS {name}" for name in COLUMNS)
        connection.execute(f"COPY (SELECT {columns} FROM matches ORDER BY ALL) TO '{out}' (FORMAT parquet)")
    return {decision: int((matches["decided"] == decision).sum()) for decision in ("linked", "review")}


def gather(records: pd.DataFrame, certain: pd.DataFrame | None) -> People:
    """Records in the order of their keys, those that say the same within one certain cluster once."""
    records = records.sort_values("record_key", kind="stable").reset_index(drop=True)
    keys = records["record_key"].astype(str)
    if keys.duplicated().any():
        raise ValueError(f"record_key must be unique; {keys[keys.duplicated()].iloc[0]!r} is not")
    size = len(keys)
    groups = np.arange(size)
    if certain is not None and len(certain) and size:
        known = certain[certain["record_key"].isin(keys)]
        position = pd.Series(np.arange(size), keys)
        left = position[known["record_key"].astype(str)].to_numpy()
        codes, _ = pd.factorize(known["link_key"], sort=True)
        first = pd.Series(left).groupby(codes).transform("min").to_numpy()
        groups = components(size, left, first)
    forms = compare_forms(records)
    sources = (records["record_type"] if "record_type" in records else pd.Series("", records.index)).astype(str)
    said = forms.astype(str).assign(source=sources, group=groups)
    numbers = said.groupby(list(said.columns), sort=False, dropna=False).ngroup().to_numpy()
    _, firsts = np.unique(numbers, return_index=True)
    order = np.argsort(firsts)
    firsts = firsts[order]
    place = np.empty(len(firsts), dtype=np.int64)
    place[order] = np.arange(len(firsts))
    of_record = place[numbers] if size else np.array([], dtype=np.int64)
    # a cluster is known here by its first position
    first_of_group = pd.Series(np.arange(len(firsts))).groupby(groups[firsts]).transform("min").to_numpy()
    return People(
        keys.to_numpy()[firsts],
        forms.iloc[firsts].reset_index(drop=True),
        sources.to_numpy()[firsts],
        first_of_group.astype(np.int64),
        pd.Series(of_record, keys.to_numpy()),
    )


@dataclass(frozen=True)
class Scored:
    """Candidate pairs (left, right as positions, probability, weight, one finding a column), and how often the birth
    dates of one person's two records differ, by what training found."""

    pairs: pd.DataFrame
    differing_birth_dates: float = 0.0


def score(people: People, progress: Progress) -> Scored:
    """Every candidate pair that is not hopeless, with its probability of being one person."""
    comparisons = usable(people.forms)
    nothing = Scored(
        pd.DataFrame({"left": [], "right": [], "probability": [], "weight": []}).astype({"left": int, "right": int})
    )
    if len(people.keys) < 2 or not comparisons:
        return nothing
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET preserve_insertion_order = true")
        table = people.forms.assign(unique_id=np.arange(len(people.keys)))
        connection.register("arriving", table)
        text = ", ".join(
            f'"{name}"::VARCHAR AS "{name}"' for name in map(str, people.forms) if not name.endswith("is_kanji")
        )
        flags = ", ".join(name for name in map(str, people.forms) if name.endswith("is_kanji"))
        connection.execute(
            f"CREATE TABLE forms AS SELECT unique_id::BIGINT AS unique_id, {text}, {flags} FROM arriving"
        )
        connection.unregister("arriving")
        candidate_pairs(connection, "forms", PAIRS_A_RECORD)
        found = connection.execute("SELECT count(*) FROM candidates").fetchall()[0][0]
        progress(f"{found:,} candidate pairs")
        if not found:
            return nothing
        model = Model(connection, comparisons)
        drawn = model.draw(people.forms)
        strata, pairs = stratify(people.sources)
        sampled = model.predict(
            f"SELECT * FROM candidates WHERE hash(join_key_l, join_key_r) % {found} < {TRAINING_PAIRS}"
        )
        names = [f"gamma_{comparison.name}" for comparison in comparisons]
        findings = np.column_stack([levels_of(sampled[name], c) for name, c in zip(names, comparisons, strict=True)])
        stratum = strata[sampled["left"], sampled["right"]]
        is_certain = people.groups[sampled["left"].to_numpy()] == people.groups[sampled["right"].to_numpy()]
        patterns, where = np.unique(np.column_stack([findings, stratum, is_certain]), axis=0, return_inverse=True)
        is_named = people.forms["given"].notna()
        named = [float((people.forms[c.columns[0]].notna() & is_named).sum()) for c in comparisons]
        found_all = Findings(
            patterns[:, :-2],
            np.bincount(where.ravel()) * max(1.0, found / TRAINING_PAIRS),
            patterns[:, -2],
            patterns[:, -1].astype(bool),
            pairs,
            drawn,
            [count * (count - 1) / 2 for count in named],
        )
        shares = train(comparisons, found_all, 1 / len(people.keys))
        progress(f"trained; {float((shares.prevalence * pairs).sum()):,.0f} pairs to be found")
        model.learn(shares, people, sampled, findings, stratum)
        scored = model.predict("SELECT * FROM candidates")
        stratum = strata[scored["left"], scored["right"]]
        odds = np.log2(shares.prevalence / (1 - shares.prevalence))
        weight = scored["match_weight"].to_numpy() - model.prior + odds[stratum]
        scored["weight"] = weight.round(4)
        scored["probability"] = (1 / (1 + np.exp2(-np.clip(weight, -60, 60)))).round(6)
        for name, comparison in zip(names, comparisons, strict=True):
            scored[comparison.name] = levels_of(scored[name], comparison)
        findings = np.column_stack([scored[comparison.name] for comparison in comparisons])
        kept = scored[(scored["probability"] >= REVIEW / 50) & speaks_of_one(comparisons, findings)]
        differing = [float(m[-1]) for c, m in zip(comparisons, shares.m, strict=True) if c.name == "birth_date"]
        return Scored(kept.drop(columns=names).sort_values(["left", "right"]).reset_index(drop=True), *differing)


class Model:
    """Splink's linker over the forms: draws random pairs, scores registered pairs."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, comparisons: list[Comparison]) -> None:
        self.connection, self.comparisons = connection, comparisons
        self.prior = 0.0
        logging.getLogger("splink").setLevel(logging.ERROR)
        self.linker = self._linker([splink_comparison(c) for c in comparisons])

    def _linker(self, described: list[Any]) -> Linker:
        settings = SettingsCreator(
            link_type="dedupe_only",
            comparisons=described,
            # Splink wants one; the pairs it scores are registered
            blocking_rules_to_generate_predictions=[block_on("unique_id")],
            probability_two_random_records_match=0.5,
            retain_matching_columns=True,  # the findings come with them
        )
        self.api = DuckDBAPI(connection=self.connection)
        return Linker(self.api.register("forms"), settings, log_level=None)

    def draw(self, forms: pd.DataFrame) -> list[np.ndarray]:
        """How often each comparison's levels, closest first, occur among random pairs of records that have its field.

        Splink's own drawing is of all records, most of which may lack a field, and took most of a run's time.
        """
        chance = np.random.default_rng(SEED)
        counts = []
        for comparison in self.comparisons:
            present = np.flatnonzero(forms[comparison.columns[0]].notna().to_numpy())
            one, other = chance.choice(present, DRAWN_PAIRS), chance.choice(present, DRAWN_PAIRS)
            pair = np.unique(np.column_stack([np.minimum(one, other), np.maximum(one, other)])[one != other], axis=0)
            drawn = pd.DataFrame({"join_key_l": pair[:, 0], "join_key_r": pair[:, 1], "match_key": "0"})
            self.connection.register("drawn", drawn)
            # these pairs are looked at with this comparison alone; with all of them they take ten times as long
            alone = Model(self.connection, [comparison])
            found = alone.predict("SELECT join_key_l, join_key_r, match_key::VARCHAR AS match_key FROM drawn")
            levels = levels_of(found[f"gamma_{comparison.name}"], comparison)
            counts.append(np.bincount(levels[levels >= 0], minlength=len(comparison.levels) + 1).astype(float))
        return counts

    def learn(
        self, shares: Shares, people: People, sampled: pd.DataFrame, findings: np.ndarray, stratum: np.ndarray
    ) -> None:
        """Take what training found, with the frequency of each value counted in persons."""
        weight = np.log2(shares.prevalence / (1 - shares.prevalence))[stratum]
        for k in range(len(self.comparisons)):
            found = findings[:, k]
            weight = weight + np.where(found >= 0, np.log2(shares.m[k] / shares.u[k])[found], 0.0)
        sure = weight > np.log2(0.99 / 0.01)
        left = np.concatenate([np.arange(len(people.keys)), sampled["left"].to_numpy()[sure]])
        right = np.concatenate([people.groups, sampled["right"].to_numpy()[sure]])
        persons = components(len(people.keys), left, right)
        self.linker = self._linker(
            [splink_comparison(c, (m, u)) for c, m, u in zip(self.comparisons, shares.m, shares.u, strict=True)]
        )
        for comparison, u in zip(self.comparisons, shares.u, strict=True):
            column = next(level.term_frequency for level in comparison.levels if level.term_frequency)
            frequency = frequencies(people.forms[column], persons, float(u[0]), column in ("given", "family", "city"))
            self.linker.table_management.register_term_frequency_lookup(self.api.register(frequency), column)

    def predict(self, pairs: str) -> pd.DataFrame:
        self.connection.execute(f"CREATE OR REPLACE TABLE pairs_to_score AS {pairs}")
        self.linker.table_management.register_blocked_pairs_for_predict(self.api.register("pairs_to_score"))
        predicted = self.linker.inference.predict(warning_mode="never")
        columns = ", ".join(f"gamma_{c.name}" for c in self.comparisons)
        frame = self.connection.execute(
            f"SELECT unique_id_l AS left, unique_id_r AS right, match_key, match_weight, {columns} "
            f"FROM {predicted.physical_name} ORDER BY ALL"
        ).df()
        predicted.drop_table_from_database_and_remove_from_cache()
        return frame


def frequencies(values: pd.Series, persons: np.ndarray, usual: float, is_common: bool) -> pd.DataFrame:
    """How likely somebody else has this value too: the other persons who have it, among all persons.

    Splink's own count is of records: the four records of one person would make their e-mail look shared. A name that is
    seen once is taken for half a person's more; a value of one person's own has its field's usual share (u).
    """
    known = pd.DataFrame({"value": values, "person": persons}).dropna().drop_duplicates()
    holders = known.groupby("value").size()
    others = (holders - (0.5 if is_common else 1.0)) / max(known["person"].nunique(), 1)
    share = others.clip(lower=1e-9 if is_common else usual, upper=1.0)
    return pd.DataFrame({str(values.name): holders.index, f"tf_{values.name}": share.to_numpy(dtype=float)})


def levels_of(gamma: pd.Series, comparison: Comparison) -> np.ndarray:
    """Splink counts from the bottom, -1 for missing; here the closest level is 0."""
    found = gamma.to_numpy(dtype=np.int64)
    return np.where(found < 0, -1, len(comparison.levels) - found)


class Strata:
    """Which stratum a pair falls in, by the types of its records."""

    def __init__(self, codes: np.ndarray, kinds: int) -> None:
        self.codes, self.kinds = codes, kinds

    def __getitem__(self, pair: tuple[pd.Series, pd.Series]) -> np.ndarray:
        left, right = (self.codes[side.to_numpy(dtype=np.int64)] for side in pair)
        return np.minimum(left, right) * self.kinds + np.maximum(left, right)


def stratify(sources: np.ndarray) -> tuple[Strata, np.ndarray]:
    """The strata and how many pairs each has, compared or not."""
    codes, _ = pd.factorize(sources, sort=True)
    sizes = np.bincount(codes).astype(float)
    pairs = np.triu(np.outer(sizes, sizes), 1) + np.diag(sizes * (sizes - 1) / 2)
    return Strata(codes, len(sizes)), pairs.ravel()


def decide(people: People, result: Scored, decisions: pd.DataFrame | None) -> pd.DataFrame:
    """Which of the scored pairs are linked, by guarded joins from the surest down; a person's decisions come first."""
    scored = result.pairs
    same, different = decided(people, decisions)
    clusters = Clusters(
        people.groups.tolist(),
        [date if isinstance(date, str) else None for date in people.forms["birth_date"]],
        (people.forms[list(OWN_FIELDS)].notna().to_numpy() @ (1 << np.arange(len(OWN_FIELDS)))).tolist(),
        different,
        result.differing_birth_dates < SURE_BIRTH_DATES,
    )
    for left, right in same:
        clusters.join(left, right)
    support = dict(zip(zip(scored["left"], scored["right"], strict=True), scored["probability"], strict=True))
    likely = scored[scored["probability"] >= REVIEW].sort_values(
        ["weight", "left", "right"], ascending=[False, True, True], kind="stable"
    )
    is_news = people.groups[likely["left"].to_numpy()] != people.groups[likely["right"].to_numpy()]
    likely = likely[is_news]
    pairs = list(zip(likely["left"].tolist(), likely["right"].tolist(), strict=True))
    reasons = [
        clusters.join(left, right, support) if probability >= LINKED else "borderline"
        for (left, right), probability in zip(pairs, likely["probability"], strict=True)
    ]
    keys = [sorted((str(people.keys[left]), str(people.keys[right]))) for left, right in pairs]
    told = pd.DataFrame(
        {
            "record_key_left": [key[0] for key in keys],
            "record_key_right": [key[1] for key in keys],
            "match_probability": likely["probability"].to_numpy(dtype=float),
            "match_weight": likely["weight"].to_numpy(dtype=float),
            "evidence": evidence(likely),
            "decided": ["review" if reason else "linked" for reason in reasons],
            "reason": [reason or "" for reason in reasons],
        }
    )
    # nobody need look at what other pairs have joined meanwhile, or what a person has decided
    is_settled = [
        bool(reason) and (reason == "kept_apart" or clusters.parent[left] == clusters.parent[right])
        for (left, right), reason in zip(pairs, reasons, strict=True)
    ]
    return told[~np.array(is_settled, dtype=bool)].sort_values(list(COLUMNS[:2])).reset_index(drop=True)


def evidence(pairs: pd.DataFrame) -> list[str]:
    """Per pair what was found of each field that both records have: `given=same birth_date=typing_error`."""
    told = [""] * len(pairs)
    for comparison in COMPARISONS:
        if comparison.name in pairs:
            labels = [level.label.replace(" ", "_") for level in comparison.levels] + ["different"]
            for row, position in enumerate(pairs[comparison.name].astype(int)):
                if position >= 0:
                    told[row] += f" {comparison.name}={labels[position]}"
    return [text.strip() for text in told]


def decided(people: People, decisions: pd.DataFrame | None) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Positions of the pairs that a person has decided the same, and different."""
    if decisions is None or not len(decisions):
        return [], []
    of: dict[str, list[tuple[int, int]]] = {"same": [], "different": []}
    for left, right, decision in sorted(
        decisions[["record_key_left", "record_key_right", "decision"]].itertuples(index=False, name=None)
    ):
        if left in people.position_of.index and right in people.position_of.index and decision in of:
            of[decision].append((int(people.position_of[left]), int(people.position_of[right])))
    return of["same"], of["different"]
