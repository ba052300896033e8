"""The lake: whole commits or nothing, on a disk and at a URL."""

import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import duckdb
import fsspec
import pytest

from connectors.lake import Lake


@pytest.fixture(params=["path", "file", "memory"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    """A lake on a path, at a file:// URL, at a memory:// URL."""
    root = {
        "path": str(tmp_path / "lake"),
        "file": f"file://{tmp_path}/lake",
        "memory": f"memory://lake-{uuid.uuid4().hex}",
    }
    yield Lake(root[request.param])
    fsspec.filesystem("memory").store.clear()


def write(lake: Lake, dataset: str, value: int, name: str | None = None) -> None:
    with lake.commit(dataset, name) as path:
        duckdb.connect().sql(f"SELECT {value} AS value").write_parquet(path)


def values(lake: Lake, dataset: str) -> list[int]:
    with lake.connect() as connection:
        found = connection.sql(f"SELECT value FROM read_parquet('{lake.glob(dataset)}') ORDER BY value").fetchall()
    return [value for (value,) in found]


def test_commit_is_seen_whole_by_listing_and_glob(anywhere: Lake) -> None:
    assert anywhere.files("raw/shop/orders") == []
    write(anywhere, "raw/shop/orders", 1)
    write(anywhere, "raw/shop/orders", 2)
    assert len(anywhere.files("raw/shop/orders")) == 2
    assert values(anywhere, "raw/shop/orders") == [1, 2]


def test_commits_are_listed_in_the_order_they_were_made(anywhere: Lake) -> None:
    for value in range(5):
        write(anywhere, "raw/shop/orders", value)
    with anywhere.connect() as connection:
        order = [
            connection.sql(f"FROM read_parquet('{f}')").fetchall()[0][0] for f in anywhere.files("raw/shop/orders")
        ]
    assert order == [0, 1, 2, 3, 4]


def test_named_commit_replaces_its_file(anywhere: Lake) -> None:
    write(anywhere, "raw/ga4/events", 1, "20261018")
    write(anywhere, "raw/ga4/events", 2, "20261018.parquet")
    assert [path.rsplit("/", 1)[1] for path in anywhere.files("raw/ga4/events")] == ["20261018.parquet"]
    assert values(anywhere, "raw/ga4/events") == [2]


def test_schema_file_is_read_but_not_listed(anywhere: Lake) -> None:
    write(anywhere, "raw/shop/orders", 1, "schema")
    assert anywhere.files("raw/shop/orders") == []
    assert values(anywhere, "raw/shop/orders") == [1]


def test_failed_writer_publishes_nothing(anywhere: Lake) -> None:
    with pytest.raises(RuntimeError), anywhere.commit("raw/shop/orders") as path:
        Path(path).write_bytes(b"half")
        raise RuntimeError
    assert anywhere.files("raw/shop/orders") == []


def test_json_is_replaced_at_once_and_missing_is_an_error(anywhere: Lake) -> None:
    anywhere.write_json("scores/churn/card.json", {"auc": 0.7})
    anywhere.write_json("scores/churn/card.json", {"auc": 0.8, "name": "絆"})
    assert anywhere.read_json("scores/churn/card.json") == {"auc": 0.8, "name": "絆"}
    assert anywhere.exists("scores", "churn", "card.json")
    with pytest.raises(FileNotFoundError):
        anywhere.read_json("scores/nobody/card.json")


def test_fingerprint_changes_with_every_commit_and_only_then(anywhere: Lake) -> None:
    empty = anywhere.fingerprint("raw/shop/orders")
    write(anywhere, "raw/shop/orders", 1)
    one = anywhere.fingerprint("raw/shop/orders", "raw/shop/customers")
    assert one == anywhere.fingerprint("raw/shop/orders", "raw/shop/customers") != empty
    write(anywhere, "raw/shop/orders", 1)
    assert anywhere.fingerprint("raw/shop/orders", "raw/shop/customers") != one


def test_removed_file_is_gone_and_may_be_removed_again(anywhere: Lake) -> None:
    write(anywhere, "raw/ga4/events", 1, "intraday_20261018")
    anywhere.remove("raw/ga4/events/intraday_20261018.parquet")
    anywhere.remove("raw/ga4/events/intraday_20261018.parquet")
    assert anywhere.files("raw/ga4/events") == []


def test_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KIZUNA_LAKE", str(tmp_path / "elsewhere"))
    assert Lake().root == str(tmp_path / "elsewhere")
    monkeypatch.delenv("KIZUNA_LAKE")
    assert Lake().root == str(Path("lake").absolute())


def _die_while_writing(root: str, is_ready: "multiprocessing.synchronize.Event") -> None:
    with Lake(root).commit("raw/shop/orders") as path:
        Path(path).write_bytes(b"half a file")
        is_ready.set()
        time.sleep(60)


def test_killed_writer_leaves_nothing_visible_and_is_swept_later(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    context = multiprocessing.get_context("spawn")
    is_ready = context.Event()
    writer = context.Process(target=_die_while_writing, args=(lake.root, is_ready))
    writer.start()
    assert is_ready.wait(30)
    assert writer.pid
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert lake.files("raw/shop/orders") == []
    left = list(Path(lake.path("_writing")).iterdir())
    assert len(left) == 1
    assert lake.sweep() == 0
    two_days_ago = time.time() - 48 * 3600
    os.utime(left[0], (two_days_ago, two_days_ago))
    assert lake.sweep() == 1
    assert list(Path(lake.path("_writing")).iterdir()) == []
