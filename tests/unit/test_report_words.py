"""Every word of the report stands in both languages, and figures are written as each of them does."""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from orchestration.report import parts
from orchestration.report.people import segment_name
from orchestration.report.words import LOCALES, Words, texts

ROOT = Path(__file__).resolve().parents[2]
CODE = "".join(path.read_text("utf-8") for path in (ROOT / "orchestration/report").glob("*.[ph][yt]*"))


@pytest.mark.parametrize("key", sorted(texts()))
def test_both_languages_have_every_text_with_the_same_places_to_fill(key: str) -> None:
    said = texts()[key]
    assert set(said) == set(LOCALES) and all(text.strip() for text in said.values())
    places = {language: set(re.findall(r"{(\w+)}", text)) for language, text in said.items()}
    assert len({frozenset(names) for names in places.values()}) == 1


def test_texts_that_the_code_asks_for_are_there() -> None:
    asked = set(re.findall(r'words\("([a-z]+\.\w+)"', CODE))
    assert len(asked) > 60
    assert asked <= set(texts())


@pytest.mark.parametrize("language", LOCALES)
def test_stages_models_channels_segments_and_families_have_names(language: str) -> None:
    project = yaml.safe_load((ROOT / "dbt_project/dbt_project.yml").read_text("utf-8"))["vars"]
    named = {"stage": parts.STAGES, "stage_meaning": parts.STAGES, "model": parts.MODELS}
    named |= {"model_meaning": parts.MODELS, "channel": (*parts.CHANNELS, *parts.REACH)}
    named |= {"standing": parts.STANDINGS, "rfm": parts.RFM}
    named |= {"segment": tuple(project["segments"]), "family": tuple(project["segment_families"])}
    missing = [
        f"name.{kind}.{value}" for kind, values in named.items() for value in values
        if language not in texts().get(f"name.{kind}.{value}", {})
    ]  # fmt: skip
    assert not missing


def test_figures_and_dates_are_written_as_the_language_does() -> None:
    english, japanese = Words("en"), Words("ja")
    day = date(2026, 10, 9)
    assert (english.day(day), japanese.day(day)) == ("9 October 2026", "2026年10月9日")
    assert (english.month(day), japanese.month(day)) == ("Oct 2026", "2026年10月")
    assert english.money(1234567.8, "USD") == "$1,234,568"
    assert (english.money(1234, "JPY", False), japanese.money(1234, "JPY", False)) == ("¥1,234", "￥1,234")
    assert (english.percent(0.1234), english.percent(None)) == ("12.3%", "–")
    assert english.number(-0.2) == "0"


@pytest.mark.parametrize(
    ("length", "english", "japanese"),
    [
        (timedelta(minutes=1), "1 minute", "1分"),
        (timedelta(hours=5), "5 hours", "5時間"),
        (timedelta(days=12), "12 days", "12日"),
        (timedelta(seconds=-5), "0 minutes", "0分"),
    ],
)
def test_spans_of_time_are_round(length: timedelta, english: str, japanese: str) -> None:
    assert (Words("en").span(length), Words("ja").span(length)) == (english, japanese)


def test_a_segment_nobody_has_named_is_shown_as_it_is() -> None:
    assert segment_name("tea_lovers", Words("ja")) == "tea lovers"
    assert segment_name("rfm.champions", Words("en")) == "Buying pattern: Champions"
    assert segment_name("behaviour.frequent, small baskets", Words("ja")) == "行動：購入頻度が高い、少量購入"
