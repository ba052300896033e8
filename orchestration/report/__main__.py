"""`python -m orchestration.report`: read the marts of the lake and write `report.html` beside them."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from connectors.lake import Lake
from connectors.settings import run_config
from orchestration.report import page, queries

DBT_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project" / "dbt_project.yml"


def main(arguments: list[str] | None = None) -> int:
    settings = run_config()
    parser = argparse.ArgumentParser(prog="make report", description=__doc__)
    parser.add_argument("--lake", default=settings.lake, help="the lake's root (default: KIZUNA_LAKE, else ./lake)")
    parser.add_argument("--out", type=Path, help="where to write the page (default: report.html in the lake)")
    options = parser.parse_args(arguments)
    lake, now = Lake(options.lake), datetime.now(UTC)
    try:
        figures = queries.read(lake, shop_zone(), settings.as_of or now)
    except queries.MissingMarts as error:
        print(error, file=sys.stderr)
        return 1
    html = page.render(figures, now)
    if options.out:
        options.out.write_text(html, "utf-8")
    else:
        lake.write_text("report.html", html)
    print(f"{options.out or lake.path('report.html')} ({len(html.encode()) / 1e6:.1f} MB): open it in any browser")
    return 0


def shop_zone() -> ZoneInfo:
    """The time zone of the shop's days, as dbt has it."""
    return ZoneInfo(yaml.safe_load(DBT_PROJECT.read_text("utf-8"))["vars"]["shop_time_zone"])


if __name__ == "__main__":
    sys.exit(main())
