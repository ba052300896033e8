"""The normalising macros give the same text on Spark as on DuckDB, bad input included."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.macro_sql import ADDRESS_PARTS, compile_macros, load_municipalities
from tests.parity import java_home
from tests.raw_lake import write_empty

MACROS = {
    "fold": "{{ fold_width('a') }}",
    "email": "{{ normalise_email('a') }}",
    "email_key": "{{ email_key('a') }}",
    "phone": "{{ normalise_phone('a', 'cast(null as string)') }}",
    "country": "{{ normalise_country('a') }}",
    "date": "cast({{ normalise_date('a') }} as string)",
    "postal_code": "{{ normalise_postal_code('a') }}",
    "address": "{{ address_key('a') }}",
    "name": "{{ name_key('a', 'cast(null as string)') }}",
    "romaji": "{{ romaji_key('a', 'cast(null as string)') }}",
    "kana": "{{ kana_name('a', 'cast(null as string)') }}",
    "parts": ADDRESS_PARTS,
}
WRITTEN = """
ﾔﾏﾀﾞ ﾀﾛｳ|山田　太郎 様|Ōno Jirō|O’Brien, Patrick J.|佐々木 﨑|渡\U000e0102邊|İSTANBUL ΑΣ|José|Jose\u0301|さいとう ゆうこ
t.a.r.o+x@GMAIL.com|taro＠ｅｘａｍｐｌｅ．ｃｏｍ|"a..b."@docomo.ne.jp|taro@例え。jp|Taro@MÜNCHEN.de|a@b
x@me.com|ÀÖ@ÀÖ.com|K@x.com
０９０－１２３４－５６７８|+81(0)3-3210-0001|010-1-212-555-0123|03-1234-5678 内線12|+44 (0)20 7946 0958
+39 06 698 12345|tel: 9012345678
東京都渋谷区道玄坂３丁目１２番地の５ ビル301号室|千葉市川市八幡1-1-1|北海道札幌市中央区北3条西3丁目1-56
串本町串本千二百三十四
京都市中京区河原町二条下ル一之船入町537-50|府中市宮西町2-24|岩手花巻市１２丁目７０４|東京都千代田区永田町1-4-1-レジデンス億万101
渋谷区道玄坂
😀|👨\u200d👩|שלום עולם|\u202eabc|a\u0000b|\u0007|'";--|$1 \\1|゛|か゛゛|　|.
〒150−0043|1980年１月２日|日本|U.S.A.|1/2/1980
"""


def samples() -> list[str]:
    """What people write, and a few hundred mixtures of its pieces."""
    written = [piece for line in WRITTEN.strip().splitlines() for piece in line.split("|")]
    dice = random.Random(3)
    letters = "".join(written)
    mixed = ["".join(dice.choices(letters, k=dice.randint(1, 25))) for _ in range(250)]
    return [*written, *mixed, "ﾊﾟ" * 5000, "a@" + "a." * 100_000 + "com", "あ " * 100_000]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(java_home(home)))
        from pyspark.sql import SparkSession

        settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.driver.host": "127.0.0.1"}
        builder = SparkSession.builder.master("local[1]").config("spark.sql.warehouse.dir", str(home / "tables"))
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.mark.spark
@pytest.mark.slow
def test_both_engines_write_the_same(spark: Any, tmp_path: Path) -> None:
    lake = write_empty(tmp_path)
    compiled = {engine: compile_macros(lake, MACROS, "--target", engine) for engine in ("duckdb", "spark")}
    given = samples()
    with duckdb.connect() as connection:
        load_municipalities(connection)
        connection.execute(
            "CREATE TABLE cases AS SELECT *, a AS line, NULL::VARCHAR AS country, NULL::VARCHAR AS prefecture, "
            "NULL::VARCHAR AS city, NULL::VARCHAR AS second_line "
            "FROM (SELECT unnest($places)::BIGINT AS place, unnest($given)::VARCHAR AS a)",
            {"places": list(range(len(given))), "given": given},
        )
        for table in ("municipalities", "cases"):
            connection.execute(f"COPY {table} TO '{tmp_path}/{table}.parquet' (FORMAT parquet)")
            spark.read.parquet(f"{tmp_path}/{table}.parquet").createOrReplaceTempView(table)
        for name in MACROS:
            query = "SELECT place, {} AS value FROM cases" if name != "parts" else "{}"
            ours = sorted(map(tuple, connection.execute(query.format(compiled["duckdb"][name])).fetchall()), key=str)
            theirs = sorted(map(tuple, spark.sql(query.format(compiled["spark"][name])).collect()), key=str)
            differing = [(given[one[0]], one, other) for one, other in zip(ours, theirs, strict=True) if one != other]
            assert not differing, (name, differing[:5])
