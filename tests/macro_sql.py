"""The warehouse's macros as the SQL that dbt makes of them, to try them on values without building a model."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import duckdb

from tests.dbt_build import PROJECT, dbt

ADDRESS_PARTS = (
    "{{ address_parts('cases', 'place', country='country', prefecture='prefecture', city='city', line='line',"
    " second_line='second_line') }}"
)


def compile_macros(lake: Path, macros: Mapping[str, str], *options: str) -> dict[str, str]:
    """Each macro call as SQL; seeds lose their schema, so that a test can put its own table there."""
    wrapped = " ".join(f"[[{name}]] {macro}" for name, macro in macros.items())
    # what stands in the warehouse says nothing about a macro, and to look would start Spark
    blind = ("--no-introspect", "--no-populate-cache")
    printed = dbt(lake, "compile", "--inline", wrapped, "--output", "json", *blind, *options)
    text = json.loads(printed[printed.index("{\n") :])["compiled"]
    text = re.sub(r"[`\"\w.]*municipalities[`\"]?", "municipalities", text)
    found = dict(re.findall(r"\[\[(\w+)]]\s(.*?)(?=\s*\[\[\w+]]|\s*\Z)", text, flags=re.DOTALL))
    assert set(found) == set(macros)
    return found


def load_municipalities(connection: duckdb.DuckDBPyConnection) -> None:
    seed = PROJECT / "seeds" / "municipalities.csv"
    connection.execute(f"CREATE TABLE municipalities AS FROM read_csv('{seed}', all_varchar = true)")
