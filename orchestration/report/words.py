"""The report's words, figures and dates in one language."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import yaml
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_name

LOCALES = {"en": "en_US", "ja": "ja_JP"}

Amount = int | float | Decimal


@cache
def texts() -> dict[str, dict[str, str]]:
    """Key → language → text."""
    loaded: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "texts.yml").read_text("utf-8"))
    return loaded


class Words:
    """`words("sales.title")` and everything else a sentence needs, in `language`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._locale = LOCALES[language]

    def __call__(self, key: str, **values: object) -> str:
        return texts()[key][self.language].format(**values)

    def name(self, kind: str, value: str | None) -> str:
        """What a value of a mart is called; one that nobody has named is shown as it is, underscores as spaces."""
        known = texts().get(f"name.{kind}.{value}")
        return known[self.language] if known else str(value or "–").replace("_", " ")

    def number(self, value: Amount, digits: int = 0) -> str:
        return format_decimal(round(float(value), digits) + 0.0, format=_pattern("#,##0", digits), locale=self._locale)

    def percent(self, share: float | None, digits: int = 1) -> str:
        return (
            "–" if share is None else format_percent(share, format=_pattern("#,##0", digits) + "%", locale=self._locale)
        )

    def money(self, value: Amount | None, currency: str, is_whole: bool = True) -> str:
        """Whole units for sums; as the currency is usually written for a price."""
        if value is None:
            return "–"
        if is_whole:
            return format_currency(value, currency, format="¤#,##0", locale=self._locale, currency_digits=False)
        return format_currency(value, currency, locale=self._locale)

    def currency(self, code: str) -> str:
        """US dollar (USD), 米ドル（USD）."""
        name = get_currency_name(code, locale=self._locale)
        return f"{name}（{code}）" if self.language == "ja" else f"{name} ({code})"

    def day(self, value: date) -> str:
        return format_date(value, "y年M月d日" if self.language == "ja" else "d MMMM y", locale=self._locale)

    def short_day(self, value: date) -> str:
        return format_date(value, "M月d日" if self.language == "ja" else "d MMM", locale=self._locale)

    def month(self, value: date) -> str:
        return format_date(value, "y年M月" if self.language == "ja" else "MMM y", locale=self._locale)

    def moment(self, value: datetime) -> str:
        pattern = "y年M月d日 HH:mm" if self.language == "ja" else "d MMMM y, HH:mm"
        return format_datetime(value, pattern, locale=self._locale)

    def span(self, length: timedelta) -> str:
        """About how long: 5 minutes, 3 hours, 12 days."""
        minutes = max(0, round(length.total_seconds() / 60))
        if minutes < 100:
            count, unit = minutes, 0
        elif minutes < 48 * 60:
            count, unit = round(minutes / 60), 1
        else:
            count, unit = round(minutes / 1440), 2
        if self.language == "ja":
            return f"{self.number(count)}{('分', '時間', '日')[unit]}"
        return f"{self.number(count)} {('minute', 'hour', 'day')[unit]}{'' if count == 1 else 's'}"


def _pattern(whole: str, digits: int) -> str:
    return whole + ("." + "0" * digits if digits else "")
