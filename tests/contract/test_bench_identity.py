"""bench/identity.py's command line: any file, any subset of fields, one JSON object last, clear words on bad calls."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.test_matching import copies, people

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
FIGURES = {"pair_precision", "pair_recall", "pair_f1", "cluster_f1", "seconds", "peak_memory_mib"}


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bench" / "identity.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def figures(*arguments: str | Path) -> dict[str, float]:
    done = bench(*arguments)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert set(told) == FIGURES
    return told


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of 150 people and one of the first 40 of them again, without birth date and under another e-mail."""
    folder = tmp_path_factory.mktemp("people")
    originals = people(150).assign(person=lambda table: table["record_key"].str[2:])
    again = copies(originals.head(40), email=lambda mails: "x" + mails, given_name=lambda names: names.str.upper())
    originals.to_csv(folder / "crm.csv", index=False)
    again.to_parquet(folder / "shop.parquet")
    pd.concat([originals, again]).to_csv(folder / "all.csv", index=False)
    return folder


MAP = "id=record_key,given_name=given_name,family_name=family_name,birth_date=birth_date,email=email,phone=phone"


def test_two_files_are_linked(files: Path) -> None:
    told = figures(
        "--records", files / "crm.csv", "--records2", files / "shop.parquet", "--map", MAP, "--truth", "person"
    )
    assert told["pair_f1"] > 0.95 and told["cluster_f1"] > 0.95


def test_one_file_with_names_in_one_column_and_no_id(files: Path) -> None:
    told = figures(
        "--records", files / "all.csv", "--map", "full_name=given_name+family_name,phone=phone",
        "--truth", "record_key", "--truth-pattern", r"(\d+)$",
    )  # fmt: skip
    assert told["pair_f1"] > 0.9


def test_bad_calls_say_what_is_there(files: Path) -> None:
    done = bench("--records", files / "crm.csv", "--map", "email=mail", "--truth", "person")
    assert done.returncode == 2 and "no column mail; it has record_key" in done.stderr
    done = bench("--records", files / "crm.csv", "--map", "mail=email", "--truth", "person")
    assert done.returncode == 2 and "--map has 'mail=email'" in done.stderr
    done = bench("--records", files / "none.csv", "--map", "email=email", "--truth", "person")
    assert done.returncode == 2 and "there is no file" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "febrl_1_2_3").exists(), reason="../shared/data/febrl_1_2_3 is not there")
def test_febrl_is_resolved() -> None:
    told = figures(
        "--records", DATA / "febrl_1_2_3" / "febrl3.parquet", "--truth", "rec_id", "--map",
        "id=rec_id,given_name=given_name,family_name=surname,birth_date=date_of_birth,address=address_1,"
        "postal_code=postcode,city=suburb",
    )  # fmt: skip
    assert told["pair_f1"] >= 0.985, told


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "splink_fake_1000").exists(), reason="../shared/data/splink_fake_1000 is not there")
def test_splinks_own_example_is_resolved() -> None:
    told = figures(
        "--records", DATA / "splink_fake_1000" / "persons.parquet", "--truth", "cluster", "--map",
        "id=unique_id,given_name=first_name,family_name=surname,birth_date=dob,email=email,city=city",
    )  # fmt: skip
    assert told["pair_f1"] >= 0.85, told
