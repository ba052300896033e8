"""The documents say what the code does: every command, vendor, model and audience is told, every variable is listed."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import ml
from connectors.destinations import DESTINATIONS
from connectors.settings import all_variables
from connectors.sources import SOURCES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
COMMANDS = re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE)
CONFIGS = [source.config for source in SOURCES] + [config for config, _ in DESTINATIONS.values()]
VARIABLES = {variable.name: variable for variable in all_variables(CONFIGS)}
LOCKS = ["requirements.txt", "requirements-test.txt"]

# What the machine gives every process, and what belongs to Dagster and dbt themselves.
NOT_OURS = {"PATH", "DBT_TARGET_PATH"}


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def audiences() -> list[str]:
    declared = yaml.safe_load((ROOT / "dbt_project/models/audiences/_audiences.yml").read_text("utf-8"))
    return [model["name"] for model in declared["models"]]


def example() -> dict[str, tuple[str, str, bool]]:
    """Variable of `.env.example` → (the comment above it, its value, whether it is commented out)."""
    found: dict[str, tuple[str, str, bool]] = {}
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if match := re.fullmatch(r"(#?)([A-Z][A-Z0-9_]*)=(.*)", line):
            assert match[2] not in found, f"{match[2]} is listed twice"
            found[match[2]] = (above, match[3], bool(match[1]))
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_lists_every_make_command(command):
    assert f"make {command}" in README


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "bench").glob("*.py") if "__main__" in p.read_text()))
def test_readme_lists_every_bench(name):
    assert f"| `bench/{name}`" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_make_command_is_phony_and_told_by_make_alone(command):
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony and command in phony[1].split()


@pytest.mark.parametrize("name", [source.name for source in SOURCES])
def test_readme_lists_every_source_with_its_streams(name):
    row = next((line for line in README.splitlines() if line.startswith(f"| `{name}`")), None)
    assert row, f"README.md has no row for the source {name}"
    source = next(source for source in SOURCES if source.name == name)
    assert all(stream.name in row for stream in source.streams), row


@pytest.mark.parametrize("name", sorted(DESTINATIONS))
def test_readme_lists_every_destination(name):
    assert re.search(rf"^\| `{name}`.*audience", README, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(ml.MODELS))
def test_readme_lists_every_model(name):
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", audiences())
def test_readme_lists_every_audience(name):
    assert f"`{name}`" in README


@pytest.mark.parametrize("folder", sorted({path.relative_to(ROOT).parts[0] for path in tracked_files()}))
def test_readme_says_what_every_folder_is_for(folder):
    if (ROOT / folder).is_dir() and not folder.startswith("."):
        assert f"`{folder}/`" in README


def test_every_path_that_readme_names_is_there():
    named = set(re.findall(r"`((?:connectors|dbt_project|ml|orchestration|bench|tests)/[\w./]*)`", README))
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_example_environment_lists_every_variable_with_its_meaning(name):
    comment, value, _ = example()[name]
    variable = VARIABLES[name]
    assert comment.startswith(f"# {variable.meaning}")
    if variable.is_secret or not name.startswith("KIZUNA_"):
        # An address alone would make a vendor half configured.
        assert value == ""
        assert not variable.default or f"(default: {variable.default})" in comment
    else:
        assert value == variable.default


def test_example_environment_lists_what_the_code_reads_and_nothing_else():
    reads = re.compile(r"""environ(?:\.get\(|\[|\.setdefault\()"([A-Z][A-Z0-9_]*)"|env_var\('([A-Z][A-Z0-9_]*)'""")
    read = {
        name
        for path in tracked_files()
        if path.suffix in (".py", ".sql", ".yml", ".yaml") and "tests" not in path.parts and "sandbox" not in path.parts
        for match in reads.findall(path.read_text("utf-8"))
        for name in match
        if name
    }
    assert set(example()) == (read | set(VARIABLES)) - NOT_OURS


def test_example_environment_gives_every_variable_one_line_of_meaning():
    for name, (comment, _, _) in example().items():
        assert comment.startswith("# ") and len(comment) > 12, f"{name} has no line of meaning"


def test_example_environment_as_it_stands_configures_no_vendor_and_breaks_nothing():
    environment = {name: value for name, (_, value, is_commented) in example().items() if not is_commented}
    assert all(config.load(environment) is None for config in CONFIGS)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_an_exact_version_and_hashes(lock):
    packages = re.split(r"\n(?=\S)", (ROOT / lock).read_text("utf-8").strip())
    for package in packages:
        head, *hashes = [line.strip().removesuffix("\\").strip() for line in package.splitlines()]
        assert re.match(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==[^\s;]+", head), head
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), head


def test_the_lock_holds_every_declared_dependency():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = [line for lines in project["optional-dependencies"].values() for line in lines]
    for lock, declared in zip(LOCKS, (project["dependencies"], project["dependencies"] + optional), strict=True):
        locked = set(re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==", (ROOT / lock).read_text("utf-8"), re.MULTILINE))
        names = {re.split(r"[\[<>=!~ ]", line)[0].lower().replace("_", "-").replace(".", "-") for line in declared}
        assert names <= {name.lower().replace("_", "-").replace(".", "-") for name in locked}


def test_no_tracked_file_names_a_registry_or_a_path_of_a_machine():
    forbidden = re.compile(
        rb"pypi\.org/simple|files\.pythonhosted\.org|--(?:extra-)?index-url|--find-links|"
        rb"(?<![\w.])/(?:root|home|work|Users)/\w"
    )
    here = Path(__file__).resolve()
    told = [
        f"{path.relative_to(ROOT)}: {found[0].decode(errors='replace')}"
        for path in tracked_files()
        if path != here and (found := forbidden.search(path.read_bytes()))
    ]
    assert not told
