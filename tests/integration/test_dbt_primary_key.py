"""A model that breaks its primary key fails, whatever it is built as, and what the build before made of it stands."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.dbt_build import PROJECT, dbt, mart, rows
from tests.raw_lake import write_empty

KINDS = ("mart", "table", "view")
MODELS = "version: 2\nmodels:\n" + "".join(
    f"""
  - name: a_{kind}
    config: {{ contract: {{ enforced: {str(kind != "table").lower()} }} }}
    constraints:
      - {{ type: primary_key, columns: [a, b] }}
    columns:
      - {{ name: a, data_type: bigint }}
      - {{ name: b, data_type: varchar }}
"""
    for kind in KINDS
)
SOUND = "(1, 'x'), (1, 'y')"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with other models: one of each kind, with rows that the command line gives."""
    folder = tmp_path_factory.mktemp("keys") / "dbt_project"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("models", "tests", "seeds", "target", "logs"))
    (folder / "models").mkdir()
    (folder / "models" / "models.yml").write_text(MODELS)
    rows = "select cast(a as bigint) as a, cast(b as varchar) as b from (values {{ var('rows') }}) as given (a, b)"
    for kind in KINDS:
        (folder / "models" / f"a_{kind}.sql").write_text(f"{{{{ config(materialized='{kind}') }}}} {rows}")
    return folder


def run(project: Path, lake: Path, given: str) -> str:
    return dbt(lake, "run", "--vars", json.dumps({"rows": given}), project=project)


@pytest.mark.parametrize("broken", ["(2, 'x'), (2, 'x')", "(2, NULL)"])
def test_a_broken_key_fails_and_leaves_what_stood(project: Path, tmp_path: Path, broken: str) -> None:
    lake = write_empty(tmp_path / "lake")
    run(project, lake, SOUND)
    with pytest.raises(AssertionError) as failed:
        run(project, lake, broken)
    for kind in KINDS:
        assert f"a_{kind}: 1 values of its primary key (a, b) are null or come more than once" in str(failed.value)
    assert rows(f"FROM {mart(lake, 'a_mart')} ORDER BY b") == [(1, "x"), (1, "y")]
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as warehouse:
        assert warehouse.execute("FROM marts.a_table ORDER BY b").fetchall() == [(1, "x"), (1, "y")]
