"""Resolves any file of people at the product's fixed thresholds and measures the result against a column of the truth.

    python bench/identity.py --records people.csv --map given_name=first,family_name=last,email=mail --truth person
    python bench/identity.py --records crm.csv --records2 shop.parquet --map full_name=name,phone=tel --truth person

One file is freed of duplicates, two are linked (and each freed of its own). Every field of --map is optional; columns
joined by + are read as one text with spaces (address=house+street). Two records are one person where the column of
--truth is equal and not empty; --truth-pattern takes its first group out of it. Without a pattern, values that are all
like rec-123-org and rec-123-dup-4 (the Febrl generator's) count by their number. The truth is read after everything is
decided. Both scores are over all records of both files: pairs of records, and whole clusters that are exactly right.

The last line is one JSON object.
"""

import argparse
import json
import re
import resource
import sys
import time
from functools import reduce
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

# Run as a script from any folder: `python bench/identity.py`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ml.certain_links import certain_links
from ml.match_clusters import components
from ml.matching import match_people
from ml.person_forms import FIELDS

FEBRL = r"^rec-(\d+)-(?:org|dup-\d+)$"


class BadCall(Exception):
    """A call that cannot be answered: what is missing, and what there is."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", required=True, type=Path, help="CSV or Parquet, one row a record")
    parser.add_argument("--records2", type=Path, help="a second file, to be linked with the first")
    parser.add_argument("--map", required=True, help=f"field=column,...; fields: {', '.join((*FIELDS, 'id'))}")
    parser.add_argument("--truth", required=True, help="the column that is equal for records of one person")
    parser.add_argument("--truth-pattern", help="a regular expression whose first group is the truth")
    options = parser.parse_args(arguments)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    try:
        files = [file for file in (options.records, options.records2) if file]
        columns = mapping(options.map)
        records = pd.concat(
            [read_records(file, columns, options.truth, f"file {n}") for n, file in enumerate(files, 1)],
            ignore_index=True,
        )
        people = records.drop(columns="truth")
        say(f"{len(people):,} records of {len(files)} file{'s' * (len(files) - 1)} read; fields: {', '.join(columns)}")
        certain = certain_links(people)
        say(f"{len(certain):,} certain links")
        matches = match_people(people, certain, progress=say)
        linked = int((matches["decided"] == "linked").sum())
        say(f"{linked:,} pairs linked, {len(matches) - linked:,} left to a person")
        clusters = resolve(people["record_key"], certain, matches)
        say(f"{len(set(clusters.tolist())):,} people")
        figures = measure(clusters, truth_of(records["truth"], options.truth_pattern))
    except BadCall as problem:
        print(f"bench/identity.py: {problem}", file=sys.stderr)
        return 2
    figures["seconds"] = round(time.monotonic() - began, 2)
    figures["peak_memory_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps(figures))
    return 0


def mapping(text: str) -> dict[str, list[str]]:
    """field → the columns it is read from."""
    columns: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        field, is_given, names = part.partition("=")
        if field not in (*FIELDS, "id") or not is_given or not names:
            raise BadCall(f"--map has {part!r}; it takes field=column with the fields {', '.join((*FIELDS, 'id'))}")
        columns[field] = names.split("+")
    return columns


def read_records(file: Path, columns: dict[str, list[str]], truth: str, source: str) -> pd.DataFrame:
    """One file as record_key, record_type, truth and the mapped fields, all text."""
    if not file.exists():
        raise BadCall(f"there is no file {file}")
    is_csv = file.suffix.lower() in (".csv", ".tsv", ".txt")
    with duckdb.connect() as connection:
        reader = (
            f"read_csv($file, all_varchar = true, header = true{csv_options(file)})"
            if is_csv
            else "read_parquet($file)"
        )
        try:
            table = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {reader}", {"file": str(file)}).df()
        except duckdb.Error as problem:
            raise BadCall(f"{file} cannot be read: {str(problem).splitlines()[0]}") from problem
    missing = sorted({name for names in (*columns.values(), [truth]) for name in names} - set(table.columns))
    if missing:
        raise BadCall(f"{file} has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    table = table.astype(object).where(table.notna(), None)
    records = pd.DataFrame({"record_type": source, "truth": table[truth]}, index=table.index)
    for field, names in columns.items():
        if field != "id":
            parts = [table[name].fillna("") for name in names]
            joined = reduce(lambda before, part: before + " " + part, parts).str.strip()
            records[field] = joined.where(joined != "", None)
    own = columns.get("id", [""])[0]
    is_key = own in table and table[own].notna().all() and table[own].is_unique
    numbers = table[own].astype(str) if is_key else pd.Series(range(len(table)), table.index).map("{:09d}".format)
    records["record_key"] = f"{source}|" + numbers
    return records


def csv_options(file: Path) -> str:
    return r", delim = '\t'" if file.suffix.lower() == ".tsv" else ""


def resolve(keys: pd.Series, certain: pd.DataFrame, matches: pd.DataFrame) -> np.ndarray:
    """For each record the number of its cluster, over certain links and linked pairs."""
    position = pd.Series(np.arange(len(keys)), keys)
    left = position[certain["record_key"]].to_numpy()
    first = pd.Series(left).groupby(certain["link_key"].to_numpy()).transform("min").to_numpy()
    linked = matches[matches["decided"] == "linked"]
    return components(
        len(keys),
        np.concatenate([left, position[linked["record_key_left"]].to_numpy()]).astype(np.int64),
        np.concatenate([first, position[linked["record_key_right"]].to_numpy()]).astype(np.int64),
    )


def truth_of(values: pd.Series, pattern: str | None) -> np.ndarray:
    """For each record the number of its person; a record without truth is a person of its own."""
    text = values.fillna("").astype(str)
    if pattern is None and text.str.match(FEBRL).all():
        pattern = FEBRL
    if pattern is not None:
        text = text.map(lambda value: found.group(1) if (found := re.search(pattern, value)) else "")
    alone = pd.Series([f"\0{number}" for number in range(len(text))], text.index)
    codes, _ = pd.factorize(text.where(text != "", alone))
    return codes


def measure(clusters: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Pairs by counting (Hubert and Arabie 1985) and clusters that hold exactly one person's records."""
    table = pd.DataFrame({"cluster": clusters, "truth": truth})
    cells = table.groupby(["cluster", "truth"]).size()
    claimed, actual = table.groupby("cluster").size(), table.groupby("truth").size()
    found, claims, wanted = (float((sizes * (sizes - 1) / 2).sum()) for sizes in (cells, claimed, actual))
    whole = cells.reset_index(name="size")
    is_exact = (whole["size"] == whole["cluster"].map(claimed)) & (whole["size"] == whole["truth"].map(actual))
    pair = f_score(found, claims, wanted)
    cluster = f_score(float(is_exact.sum()), len(claimed), len(actual))
    return {
        "pair_precision": pair[0],
        "pair_recall": pair[1],
        "pair_f1": pair[2],
        "cluster_f1": cluster[2],
    }


def f_score(found: float, claimed: float, actual: float) -> tuple[float, float, float]:
    """(precision, recall, F1); nothing claimed has no fault, nothing to find is all found."""
    precision = found / claimed if claimed else 1.0
    recall = found / actual if actual else 1.0
    both = precision + recall
    return round(precision, 6), round(recall, 6), round(2 * precision * recall / both if both else 0.0, 6)


if __name__ == "__main__":
    sys.exit(main())
