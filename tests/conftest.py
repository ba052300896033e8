"""What every test may ask for: the small world, a sandbox on a fresh state, its variables, a lake of its own."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.lake import Lake
from connectors.sandbox import google_key, state
from connectors.sandbox.server import Sandbox, environment
from connectors.sandbox.world import World
from tests.built_world import built_world

# Tests that are not about limits must not wait for them.
PACE = 200.0


def pytest_collection_finish() -> None:
    """What the imports have made stays: looking through it again and again was a tenth of the tests' time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_vendor_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may meet the variables of a real shop that happen to be set where it runs."""
    prefixes = tuple(
        f"{vendor}_" for vendor in ("SHOPIFY", "HUBSPOT", "GA4", "MAILCHIMP", "META", "GOOGLE_ADS", "KIZUNA")
    )
    for name in [name for name in os.environ if name.startswith(prefixes)]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _bulk_operations_are_polled_often() -> Iterator[None]:
    """The sandbox answers at once; the shop's patience would be most of a pull's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connectors.sources.shopify.BULK_POLL_SECONDS", 0.02)
        yield


@pytest.fixture(scope="session")
def world() -> World:
    """The small world of about 200 people, built once and kept on disk."""
    return World.small()


@pytest.fixture(scope="session")
def prepared_state(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder nobody runs on; `sandbox` copies it."""
    directory = tmp_path_factory.mktemp("prepared-state")
    Sandbox(world, directory).stop()
    google_key.private_key(directory)
    return directory


@pytest.fixture(scope="session")
def built_lake(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world's lake with everything built, for tests that only read it; one for all workers."""
    folder = tmp_path_factory.getbasetemp()
    return built_world(world, folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


@pytest.fixture
def sandbox(world: World, prepared_state: Path, tmp_path: Path) -> Iterator[Sandbox]:
    """A running sandbox whose vendors hold exactly what the world says."""
    directory = tmp_path / "sandbox"
    state.copy_prepared(prepared_state, directory)
    with Sandbox(world, directory, pace=PACE) as running:
        yield running


@pytest.fixture(scope="session")
def standing_sandbox(world: World, prepared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for every test that only reads; a test that writes, or counts requests, takes `sandbox`."""
    directory = tmp_path_factory.mktemp("standing") / "sandbox"
    state.copy_prepared(prepared_state, directory)
    with Sandbox(world, directory, pace=PACE) as running:
        yield running


@pytest.fixture
def environment_of_sandbox(sandbox: Sandbox) -> dict[str, str]:
    """The variables that point the connectors at the sandbox, not set anywhere."""
    return environment(sandbox.url, sandbox.state.directory)


@pytest.fixture(name="environment")
def _environment(environment_of_sandbox: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that point the connectors at the sandbox, set for this test."""
    for name, value in environment_of_sandbox.items():
        monkeypatch.setenv(name, value)
    return environment_of_sandbox


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of vendors' specifications beside the project; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "vendor-specs").is_dir():
        pytest.skip("the vendors' specifications (../shared/vendor-specs) are not here")
    return folder
