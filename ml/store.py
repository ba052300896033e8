"""Where models live: a folder a version, and one pointer that says which version scores."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ml.calibration import Calibrated
from ml.card import ModelCard
from ml.declaration import Model
from ml.models import find

MODEL_FILE = "model.joblib"


class StoreError(RuntimeError):
    """A stored model that cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class Fitted:
    """One target as it is stored.

    `judged` is the fit whose figures stand on the card and `judged_until` the moment its newest outcome was known;
    `deployed` has learned from every closed window, up to `deployed_until`, and scores. `texts` are the values of each
    text column seen in training.
    """

    judged: Calibrated
    judged_until: datetime
    deployed: Calibrated
    deployed_until: datetime
    texts: dict[str, frozenset[str]]


class StoredCard(Protocol):
    """What the store needs of a card: its version, the versions that must be kept beside it, and its JSON."""

    @property
    def version(self) -> str: ...
    @property
    def in_use(self) -> str | None: ...
    @property
    def compared_with(self) -> str | None: ...
    def to_json(self) -> dict[str, Any]: ...


class ModelStore:
    """The versions of one model under `<models_dir>/<model>/`.

    A version's files are complete before `current.json` points at them, so a reader never meets half a model and a
    killed training leaves the model in use where it was.
    """

    def __init__(self, models_dir: str, model: str) -> None:
        self.filesystem, root = fsspec.core.url_to_fs(models_dir)
        self.root = f"{root.rstrip('/')}/{model}"

    def version_in_use(self) -> str | None:
        pointer = self._read_json("current.json")
        return pointer["version"] if pointer else None

    def card(self, version: str) -> ModelCard | None:
        content = self._read_json(f"{version}/card.json")
        return ModelCard.from_json(content) if content else None

    def load(self, version: str) -> dict[str, Any]:
        """The fitted targets of the version in use; raises `StoreError` for a file that is not what was promoted."""
        pointer = self._read_json("current.json") or {}
        path = f"{self.root}/{version}/{MODEL_FILE}"
        if not self.filesystem.exists(path):
            raise StoreError(
                f"{path} is missing although current.json points at it; delete {self.root} and train again"
            )
        content = self.filesystem.cat_file(path)
        if hashlib.sha256(content).hexdigest() != pointer.get("sha256"):
            raise StoreError(f"{path} is not the file that was promoted; delete {self.root} and train again")
        return dict(pickle.loads(zlib.decompress(content)))

    def save_card(self, card: StoredCard) -> None:
        self._write(f"{card.version}/card.json", _json(card.to_json()))

    def promote(self, card: StoredCard, fitted: Mapping[str, Any]) -> None:
        """Store a version and point at it."""
        # What joblib.load reads, pickled at once: joblib.dump took 3 s for the many small arrays of a forest.
        content = zlib.compress(pickle.dumps(dict(fitted), protocol=5), level=1)
        self._write(f"{card.version}/{MODEL_FILE}", content)
        self.save_card(card)
        pointer = {"version": card.version, "sha256": hashlib.sha256(content).hexdigest()}
        self._write("current.json", _json(pointer))

    def tidy(self, card: StoredCard) -> None:
        """Keep this card's version, the one in use and the one before it; older ones and torn writes go.

        Called after every verdict, cached ones too, so that a training killed at any moment leaves no trace after the
        next.
        """
        kept = {"current.json", card.version, card.in_use, card.compared_with}
        for path in self.filesystem.ls(self.root, detail=False):
            if path.rstrip("/").rsplit("/", 1)[-1] not in kept:
                self.filesystem.rm(path, recursive=True)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        path = f"{self.root}/{name}"
        if not self.filesystem.exists(path):
            return None
        try:
            return dict(json.loads(self.filesystem.cat_file(path)))
        except json.JSONDecodeError as broken:
            raise StoreError(f"{path} is no JSON; delete {self.root} and train again") from broken

    def _write(self, name: str, content: bytes) -> None:
        path = f"{self.root}/{name}"
        if not isinstance(self.filesystem, LocalFileSystem):
            self.filesystem.pipe_file(path, content)  # one PUT is atomic on object stores
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=self.root, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(aside, path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise


def card_in_use(model: Model | str, models_dir: str) -> ModelCard | None:
    """The card of the version that scores now; None when no version has ever been promoted."""
    store = ModelStore(models_dir, find(model).name)
    version = store.version_in_use()
    return store.card(version) if version else None


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
