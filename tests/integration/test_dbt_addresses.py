"""Japanese addresses taken apart: the ways people write one, and the real cases and postal codes beside the project."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.macro_sql import ADDRESS_PARTS, compile_macros, load_municipalities
from tests.raw_lake import write_empty

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CASES = DATA / "jp_address_cases_dev" / "cases.parquet"
POSTAL_CODES = DATA / "jp_postal_codes" / "postal_codes.parquet"


class Parts(NamedTuple):
    prefecture: str | None
    city: str | None
    town: str | None
    block: str | None
    building: str | None
    block_key: str | None


TakeApart = Callable[..., list[Parts]]


@pytest.fixture(scope="module")
def take_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TakeApart]:
    """Lines (or tuples of prefecture, city, line, second line) to their parts."""
    sql = compile_macros(write_empty(tmp_path_factory.mktemp("addresses")), {"parts": ADDRESS_PARTS})["parts"]
    connection = duckdb.connect()
    load_municipalities(connection)

    def apply(*given_lines: str | tuple[str | None, ...], country: str | None = None) -> list[Parts]:
        rows = [(None, None, line, None) if isinstance(line, str) else line for line in given_lines]
        table: Any = {
            "place": list(range(len(rows))),
            **{
                name: [row[at] for row in rows] for at, name in enumerate(("prefecture", "city", "line", "second_line"))
            },
        }
        columns = ", ".join(f"unnest(${name})::VARCHAR AS {name}" for name in list(table)[1:])
        connection.execute(
            "CREATE OR REPLACE TABLE cases AS "
            f"SELECT unnest($place)::INT AS place, $country::VARCHAR AS country, {columns}",
            {**table, "country": country},
        )
        found = {row[0]: Parts(*row[1:]) for row in connection.execute(f"{sql}").fetchall()}
        assert len(found) == connection.execute(f"SELECT count(*) FROM ({sql})").fetchone()[0]  # type: ignore[index]
        return [found.get(place, Parts(*[None] * 6)) for place in range(len(rows))]

    yield apply
    connection.close()


DOGENZAKA = ("東京都", "渋谷区", "道玄坂", "3-12-5")


@pytest.mark.parametrize(
    "written",
    [
        "東京都渋谷区道玄坂3丁目12番5号",
        "東京都渋谷区道玄坂三丁目十二番五号",
        "東京都渋谷区道玄坂３－１２－５",
        "東京都渋谷区道玄坂3ー12ー5",
        "東京都 渋谷区 道玄坂 3 丁目 12 番地 5",
        "〒150-0043 東京都渋谷区道玄坂３丁目１２番地の５",
        "東京都渋谷区道玄坂3-12ノ5",
        "東京都渋谷区道玄坂3‐12−5",
        "東京渋谷区道玄坂三丁目12番地5",
        "渋谷区道玄坂三丁目一二番五号",
        "東京都渋谷区道玄坂03-012-05",
        (None, "渋谷区", "道玄坂3-12-5", None),
        ("東京都", "渋谷区", "渋谷区道玄坂3-12-5", None),
        ("東京都", "渋谷区", "東京都渋谷区道玄坂3-12-5", None),
        ("東京都", "Shibuya-ku", "渋谷区道玄坂3-12-5", None),
        ("東京都", "渋谷区", "道玄坂", "3-12-5"),
    ],
)
def test_one_house_however_written(take_apart: TakeApart, written: Any) -> None:
    (parts,) = take_apart(written)
    assert parts[:5] == (*DOGENZAKA, None)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("三重県四日市市諏訪町1-5", ("三重県", "四日市市", "諏訪町", "1-5", None)),
        ("広島県廿日市市下平良1-11-1", ("広島県", "廿日市市", "下平良", "1-11-1", None)),
        ("千葉県市川市八幡1-1-1", ("千葉県", "市川市", "八幡", "1-1-1", None)),
        ("千葉市川市八幡1-1-1", ("千葉県", "市川市", "八幡", "1-1-1", None)),
        ("奈良県大和郡山市北郡山町248-4", ("奈良県", "大和郡山市", "北郡山町", "248-4", None)),
        ("北海道余市町朝日町26", ("北海道", "余市郡余市町", "朝日町", "26", None)),
        ("群馬県佐波郡玉村町下新田201", ("群馬県", "佐波郡玉村町", "下新田", "201", None)),
        ("東京都府中市宮西町2-24", ("東京都", "府中市", "宮西町", "2-24", None)),
        ("府中市宮西町2-24", (None, "府中市", "宮西町", "2-24", None)),
        ("神奈川県茅ケ崎市茅ケ崎1-1-1", ("神奈川県", "茅ヶ崎市", "茅ケ崎", "1-1-1", None)),
        ("京都市中京区河原町通二条下ル一之船入町537-50", ("京都府", "京都市中京区", "一之船入町", "537-50", None)),
        ("北海道札幌市中央区北3条西3丁目1-56マルゲンビル3F",
         ("北海道", "札幌市中央区", "北三条西", "3-1-56", "マルゲンビル3F")),
        ("東京都港区麻布十番一丁目八番九号", ("東京都", "港区", "麻布十番", "1-8-9", None)),
        ("東京都千代田区一番町一番一号", ("東京都", "千代田区", "一番町", "1-1", None)),
        ("和歌山県東牟婁郡串本町串本千二百三十四番地", ("和歌山県", "東牟婁郡串本町", "串本", "1234", None)),
        ("東京都渋谷区道玄坂3-12-5 メゾン道玄坂 301号室",
         ("東京都", "渋谷区", "道玄坂", "3-12-5", "メゾン道玄坂 301号室")),
        ("東京都渋谷区道玄坂3-12-5-301", ("東京都", "渋谷区", "道玄坂", "3-12-5", "301")),
        ("大阪府堺市堺区南花田口町2丁3-20", ("大阪府", "堺市堺区", "南花田口町", "2-3-20", None)),
        ("岩手県盛岡市東見前第3地割22-5", ("岩手県", "盛岡市", "東見前第三地割", "22-5", None)),
        ("東京都渋谷区千駄ヶ谷千代田ビル", ("東京都", "渋谷区", "千駄ヶ谷千代田ビル", None, None)),
    ],
)  # fmt: skip
def test_cities_towns_blocks_and_buildings(take_apart: TakeApart, line: str, meant: tuple[str | None, ...]) -> None:
    assert take_apart(line)[0][:5] == meant


def test_addresses_abroad_and_in_latin_letters_are_left_alone(take_apart: TakeApart) -> None:
    assert take_apart("350 Fifth Avenue", country="US") == [Parts(*[None] * 6)]
    assert take_apart(("東京都", "渋谷区", "3-12-5 Dogenzaka", None))[0][:5] == ("東京都", "渋谷区", None, None, None)
    assert take_apart((None, None, None, None), "", "　") == [Parts(*[None] * 6)] * 3


def test_the_key_of_a_block_knows_the_town_however_spelt(take_apart: TakeApart) -> None:
    keys = {
        parts.block_key for parts in take_apart("越谷市大字蒲生3795-1", "越谷市蒲生3795番地1", "越谷市蒲生３７９５の１")
    }
    assert keys == {"蒲生 3795-1"}
    keys = {
        parts.block_key
        for parts in take_apart("渋谷区千駄ヶ谷5-1-2", "渋谷区千駄ケ谷五丁目1番2号", "渋谷区千駄が谷5-1-2")
    }
    assert len(keys) == 1


ODD = st.text(
    alphabet=st.sampled_from(
        "東京都渋谷区市町村郡道玄坂一二十百千丁目番地号条の-－ー0123５６ 　ﾋﾞﾙA😀\u202e\u0000\u0007'\"%\\゛"
    )
)


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(ODD, min_size=1, max_size=20))
def test_nothing_written_breaks_it_and_nothing_is_lost(take_apart: TakeApart, lines: list[str]) -> None:
    for parts in take_apart(*lines):
        assert parts.block is None or re.fullmatch(r"[0-9]+(-[0-9]+){0,3}", parts.block), parts


def test_a_megabyte_is_an_address_like_any_other(take_apart: TakeApart) -> None:
    (parts,) = take_apart("東京都渋谷区道玄坂3-12-5" + "長いビル" * 80_000)
    assert parts[:4] == DOGENZAKA


# The real cases: expected parts come from a register of towns, which writes the 丁目 into the town and leaves out
# the number of a house it does not list.
FLOORS = {"prefecture": 0.995, "city": 0.995, "town": 0.985, "block": 0.99, "building": 0.985}
KANJI = {kanji: value for value, kanji in enumerate("〇一二三四五六七八九")}


def _number(kanji: str) -> int:
    tens, ten, ones = kanji.rpartition("十")
    return (KANJI.get(tens, 1) * 10 if ten else 0) + (KANJI[ones] if ones else 0)


def _expected(town: str | None, block: str | None, rest: str | None) -> tuple[str | None, str | None, str | None]:
    chome = re.match(r"(.*[^一二三四五六七八九十])([一二三四五六七八九十]+)丁目?$", town or "")
    if not block and (listed := re.match(r"([0-9]+(?:-[0-9]+)*)-?(.*)$", rest or "")):
        block, rest = listed.groups()
    numbers = ([str(_number(chome[2]))] if chome else []) + ([block] if block else [])
    town = chome[1] if chome else town
    return town, "-".join(numbers) or None, re.sub(r"^[-、,・ ，]+", "", rest or "").translate(WIDE) or None


WIDE = str.maketrans("，（）", ",()")


@pytest.mark.skipif(not CASES.exists(), reason="the address cases are not beside the project")
def test_real_addresses_meet_the_floor(take_apart: TakeApart) -> None:
    with duckdb.connect() as connection:
        cases = connection.execute(
            f"SELECT 住所, 都道府県, 市区町村, 町字, 番地号, その他 FROM '{CASES}' ORDER BY row_id"
        ).fetchall()
    found = take_apart(*(case[0] for case in cases))
    hits = dict.fromkeys(FLOORS, 0)
    for (_, prefecture, city, *rest), parts in zip(cases, found, strict=True):
        for part, wanted, got in zip(FLOORS, (prefecture, city, *_expected(*rest)), parts[:5], strict=True):
            hits[part] += wanted == got
    shares = {part: round(count / len(cases), 4) for part, count in hits.items()}
    print(f"{len(cases)} addresses, exact: {shares}")
    assert all(shares[part] >= floor for part, floor in FLOORS.items()), shares


@pytest.mark.skipif(not POSTAL_CODES.exists(), reason="the postal codes are not beside the project")
def test_every_municipality_and_town_of_the_post_office_is_found(take_apart: TakeApart) -> None:
    with duckdb.connect() as connection:
        known = connection.execute(f"SELECT DISTINCT prefecture, city FROM '{POSTAL_CODES}' ORDER BY ALL").fetchall()
        towns = connection.execute(f"""
            SELECT prefecture, city, neighborhood FROM '{POSTAL_CODES}'
            WHERE neighborhood <> '' AND NOT regexp_matches(neighborhood, '[0-9０-９（、〜]') AND NOT partial
            GROUP BY ALL HAVING hash(ANY_VALUE(postal_code)) % 20 = 0 ORDER BY ALL
        """).fetchall()
    missed = [
        city
        for (prefecture, city), parts in zip(known, take_apart(*(p + c + "本町1-2" for p, c in known)), strict=True)
        if parts[:5] != (prefecture, city, "本町", "1-2", None)
    ]
    assert not missed
    found = take_apart(*(f"{prefecture}{city}{town}12番地3" for prefecture, city, town in towns))
    share = sum(parts[:4] == (*place, "12-3") for place, parts in zip(towns, found, strict=True)) / len(towns)
    print(f"{len(towns)} towns of the post office, exact: {share:.4f}")
    assert share >= 0.99
