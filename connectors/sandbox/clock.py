"""When the world's year lies: real purchases of 2017, moved by whole weeks so that the last day is 18 October 2026."""

from datetime import datetime, timedelta

# 459 whole weeks, so every purchase keeps its day of the week.
YEAR_SHIFT_DAYS = 3213
SHOP_UTC_OFFSET_HOURS = 9
WORLD_START = datetime(2025, 10, 18, 15)  # 2025-10-19 00:00 in the shop, UTC without zone
WORLD_NOW = datetime(2026, 10, 18, 15)  # 2026-10-19 00:00 in the shop
LAST_DAY = "20261018"  # the shop's last full day, in the export's spelling


def moment(lowest: datetime, highest: datetime, share: float) -> datetime:
    """The instant `share` (0 to 1) of the way from lowest to highest, in whole seconds."""
    if highest <= lowest:
        return lowest
    return lowest + timedelta(seconds=int((highest - lowest).total_seconds() * share))
