"""A reader of the store meets the model in use, whole, or a clear message; whatever died while writing."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import ml
from ml.store import MODEL_FILE, ModelStore, StoreError
from tests.made_snapshots import NEWEST, STEP_DAYS, make_snapshots, read, write


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_snapshots(tmp_path_factory.mktemp("snapshots"), customers=150, windows=10)


@pytest.fixture(scope="module")
def undisturbed(snapshots: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which one training ran through; tests read it or work on a copy."""
    directory = tmp_path_factory.mktemp("undisturbed")
    assert ml.train("churn", snapshots, str(directory)).promoted
    return directory


@pytest.fixture
def earlier(snapshots: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same shop a month before: the newest snapshot is not there yet and its outcomes are not known."""
    rows = read(snapshots["customer_snapshots"])
    then = NEWEST - timedelta(days=STEP_DAYS)
    rows = rows[rows["as_of"] <= then]
    for outcome, days in (("outcome_churned", 60), ("outcome_ordered", 30)):
        known = rows["as_of"] + timedelta(days=days) <= then
        rows[outcome] = rows[outcome].where(known, None)
    return {"customer_snapshots": write(rows, tmp_path / "earlier.parquet")}


def _killed_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies when the file of this name would be published; its temporary file stays, as after SIGKILL."""
    replace: Callable[..., None] = os.replace

    def dying(source: Any, target: Any) -> None:
        if str(target).endswith(name):
            monkeypatch.setattr("ml.store.Path.unlink", lambda *_, **__: None)
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("ml.store.os.replace", dying)


@pytest.mark.parametrize(
    "moment", [*(pytest.param(name, marks=pytest.mark.slow) for name in (MODEL_FILE, "card.json")), "current.json"]
)
def test_killed_training_leaves_no_trace_after_the_next(
    moment: str, snapshots: dict[str, str], undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disturbed = tmp_path / "disturbed"
    with monkeypatch.context() as patched:
        _killed_at(moment, patched)
        with pytest.raises(KeyboardInterrupt):
            ml.train("churn", snapshots, str(disturbed))
    assert ml.card_in_use("churn", str(disturbed)) is None
    ml.train("churn", snapshots, str(disturbed))
    assert _content(disturbed) == _content(undisturbed)


@pytest.mark.slow
def test_new_data_is_a_new_version_and_the_one_before_is_kept(
    snapshots: dict[str, str], earlier: dict[str, str], tmp_path: Path
) -> None:
    models_dir = str(tmp_path / "models")
    first = ml.train("churn", earlier, models_dir)
    second = ml.train("churn", snapshots, models_dir)
    assert first.promoted and first.version != second.version
    assert second.compared_with == first.version
    headline = second.headline
    assert headline is not None and headline.model_in_use is not None
    kept = {path.name for path in (tmp_path / "models" / "churn").iterdir()}
    assert kept == {"current.json", first.version, second.version}


def test_model_that_knows_the_future_is_no_yardstick(
    undisturbed: Path, earlier: dict[str, str], tmp_path: Path
) -> None:
    """The as-of time was moved back: what is in use has learned from days that have not happened."""
    models_dir = str(shutil.copytree(undisturbed, tmp_path / "models"))
    future = ml.card_in_use("churn", models_dir)
    assert future is not None
    card = ml.train("churn", earlier, models_dir)
    assert f"the model in use, {future.version}, knows outcomes from after" in card.reason
    assert card.headline is not None and card.headline.model_in_use is None
    assert card.promoted and card.in_use == card.version


def test_altered_model_file_is_refused(snapshots: dict[str, str], undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    card = ml.card_in_use("churn", str(tmp_path))
    assert card is not None
    path = tmp_path / "churn" / card.version / MODEL_FILE
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(StoreError, match=r"is not the file that was promoted; delete .* and train again"):
        ml.score("churn", snapshots, str(tmp_path), str(tmp_path / "scores.parquet"))
    path.unlink()
    with pytest.raises(StoreError, match=r"is missing although current\.json points at it"):
        ml.score("churn", snapshots, str(tmp_path), str(tmp_path / "scores.parquet"))


def test_torn_pointer_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn" / "current.json").write_text('{"version": "ab')
    with pytest.raises(StoreError, match=r"current\.json is no JSON"):
        ml.card_in_use("churn", str(tmp_path))


def test_store_lives_at_any_fsspec_url(snapshots: dict[str, str], tmp_path: Path) -> None:
    models_dir = f"memory://{tmp_path.name}/models"
    card = ml.train("churn", snapshots, models_dir)
    assert ml.score("churn", snapshots, models_dir, str(tmp_path / "scores.parquet")).version == card.version
    assert ml.train("churn", snapshots, models_dir).to_json() == card.to_json()


def test_unknown_model_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="churn, propensity"):
        ml.card_in_use("chrun", str(tmp_path))


def test_card_in_use_is_the_stored_one(undisturbed: Path) -> None:
    card = ml.card_in_use("churn", str(undisturbed))
    assert card is not None and card.version == ModelStore(str(undisturbed), "churn").version_in_use()
    assert card.to_json() == json.loads((undisturbed / "churn" / card.version / "card.json").read_text())


def _content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }
