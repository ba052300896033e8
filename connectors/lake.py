"""The lake: Parquet datasets under one root, on a disk or at any fsspec URL, written so that nobody sees half a file.

A commit is one Parquet file. It is written aside and then renamed into place (on object stores: one PUT), so a reader
that globs `<dataset>/*.parquet` sees all of it or nothing, and a killed writer leaves nothing visible: its file stays
under `<root>/_writing/` and is swept a day later.
"""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec

# The zero-row file that gives every declared dataset its columns before (and after) any data has come.
SCHEMA_FILE = "schema.parquet"

# Stores whose PUT is atomic by itself; anything else that is remote gets a file aside and a rename.
ATOMIC_PUT = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "r2", "memory"}

STALE_AFTER_SECONDS = 24 * 3600


class Lake:
    """Addresses, commits and listings under one root (`KIZUNA_LAKE` when none is given, else `./lake`)."""

    def __init__(self, root: str | Path | None = None) -> None:
        given = str(root if root is not None else os.environ.get("KIZUNA_LAKE") or "lake")
        self.filesystem, path = fsspec.core.url_to_fs(given)
        protocol = self.filesystem.protocol
        protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        self.is_local = bool(protocols & {"file", "local"})
        self._puts_atomically = bool(protocols & ATOMIC_PUT)
        # fsspec already made local paths absolute; a URL keeps its scheme so that DuckDB and Spark can open it.
        self.root = path.rstrip("/") if self.is_local else self.filesystem.unstrip_protocol(path).rstrip("/")

    def __repr__(self) -> str:
        return f"Lake({self.root!r})"

    def path(self, *parts: str) -> str:
        """The address of a dataset or file: `lake.path("marts", "customers")`, `lake.path("marts/customers")`."""
        return "/".join([self.root, *(part.strip("/") for part in parts)])

    def glob(self, dataset: str) -> str:
        """The pattern that DuckDB's `read_parquet` takes for a dataset (schema file included)."""
        return self.path(dataset, "*.parquet")

    def files(self, dataset: str) -> list[str]:
        """The dataset's committed files in the order of their names, without the schema file; none is an empty list."""
        return [path for path in self._listing(dataset) if not path.endswith("/" + SCHEMA_FILE)]

    def exists(self, *parts: str) -> bool:
        return bool(self.filesystem.exists(self.path(*parts)))

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A fresh in-memory DuckDB in UTC that can read this lake wherever it lies; the caller closes it."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        if not self.is_local:
            connection.register_filesystem(self.filesystem)
        return connection

    @contextmanager
    def commit(self, dataset: str, name: str | None = None) -> Iterator[str]:
        """A local path to write one Parquet file at; leaving the block publishes it, an error or a kill does not.

        `name` (with or without `.parquet`) replaces that file; without it the commit gets a new, time-ordered name.
        """
        with self._written_aside(self.path(dataset, parquet_name(name or commit_name()))) as aside:
            yield aside

    def write_json(self, path: str, content: Any) -> None:
        """Replace one small JSON file at once; readers see the old or the new text."""
        self.write_text(path, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")

    def write_text(self, path: str, content: str) -> None:
        """Replace one text file at once."""
        with self._written_aside(self.path(path)) as aside:
            Path(aside).write_text(content, "utf-8")

    def read_json(self, path: str) -> Any:
        """The content of a JSON file; FileNotFoundError when there is none."""
        with self.filesystem.open(self.path(path), "rb") as file:
            return json.loads(file.read())

    def remove(self, path: str) -> None:
        """Delete one committed file; one that is not there is already removed."""
        if self.filesystem.exists(self.path(path)):
            self.filesystem.rm_file(self.path(path))

    def fingerprint(self, *datasets: str) -> str:
        """A digest of the datasets' files (names, sizes, entity tags or times): equal means nothing was committed."""
        digest = hashlib.sha256()
        for dataset in datasets:
            for path in self._listing(dataset):
                facts = self.filesystem.info(path)
                stamp = facts.get("ETag") or facts.get("etag") or facts.get("mtime") or facts.get("created") or ""
                relative = path.removeprefix(self.root)
                digest.update(f"{relative}|{facts.get('size')}|{stamp}\n".encode())
        return digest.hexdigest()

    def sweep(self, older_than_seconds: float = STALE_AFTER_SECONDS) -> int:
        """Delete what killed writers left under `_writing` (files in use are younger); returns how many files went."""
        writing = self.path("_writing")
        if not self.filesystem.exists(writing):
            return 0
        swept = 0
        for facts in self.filesystem.ls(writing, detail=True):
            changed = facts.get("mtime") or facts.get("created") or facts.get("LastModified") or 0
            age = time.time() - (changed.timestamp() if isinstance(changed, datetime) else float(changed))
            if age >= older_than_seconds:
                self.filesystem.rm(facts["name"], recursive=facts.get("type") == "directory")
                swept += 1
        return swept

    def _listing(self, dataset: str) -> list[str]:
        folder = self.path(dataset)
        # Object stores cache listings; a listing from before another process's commit would hide that commit.
        self.filesystem.invalidate_cache(folder)
        found = self.filesystem.glob(f"{folder}/*.parquet")
        return sorted(path if self.is_local else self.filesystem.unstrip_protocol(path) for path in found)

    @contextmanager
    def _written_aside(self, target: str) -> Iterator[str]:
        if self.is_local:
            aside = Path(self.path("_writing")) / f"{secrets.token_hex(8)}-{Path(target).name}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield str(aside)
                _flush_to_disk(aside)
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                os.replace(aside, target)
            finally:
                aside.unlink(missing_ok=True)
            return
        folder = tempfile.mkdtemp(prefix="kizuna-commit-")
        try:
            aside = Path(folder) / target.rsplit("/", 1)[-1]
            yield str(aside)
            if self._puts_atomically:
                self.filesystem.put_file(str(aside), target)
            else:
                upload = self.path("_writing", f"{secrets.token_hex(8)}-{aside.name}")
                self.filesystem.makedirs(self.path("_writing"), exist_ok=True)
                self.filesystem.put_file(str(aside), upload)
                self.filesystem.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                self.filesystem.mv(upload, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def commit_name() -> str:
    """A file name that sorts by time and never repeats: UTC stamp and random tail."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}.parquet"


def parquet_name(name: str) -> str:
    return name if name.endswith(".parquet") else f"{name}.parquet"


def _flush_to_disk(path: Path) -> None:
    # A rename may reach the disk before the bytes do; after a power cut that would be an empty file under a good name.
    with path.open("rb") as file:
        os.fsync(file.fileno())
