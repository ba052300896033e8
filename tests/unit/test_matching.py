"""Matching says the same twice, survives whatever a file holds, and never joins what may not be one person."""

import random

import numpy as np
import pandas as pd
import pytest

from ml import matching
from ml.certain_links import certain_links
from ml.match_clusters import LARGEST_CLUSTER, Clusters, contradict
from ml.person_forms import birth_dates, compare_forms, fold, name, phone, romaji, sound, split_name

GIVEN = ["mary", "john", "haruto", "yui", "peter", "anna", "kenji", "sofia", "liam", "emma", "noah", "olivia"]
FAMILY = ["smith", "tanaka", "suzuki", "miller", "sato", "brown", "kobayashi", "jones", "garcia", "yamamoto", "lee"]


def people(count: int, seed: int = 1) -> pd.DataFrame:
    """Invented people, one record each."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        given, family = chance.choice(GIVEN), chance.choice(FAMILY)
        rows.append(
            {
                "record_key": f"a|{number:06d}",
                "given_name": given,
                "family_name": family,
                "birth_date": f"{chance.randint(1940, 2005)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}",
                "email": f"{given}.{family}{chance.randint(1, 9999)}@example.com",
                "phone": f"090{chance.randint(10_000_000, 99_999_999)}",
                "postal_code": f"{chance.randint(100, 999)}-{chance.randint(1000, 9999)}",
                "city": chance.choice(["tokyo", "osaka", "nagoya", "kyoto", "sapporo"]),
            }
        )
    return pd.DataFrame(rows)


def copies(originals: pd.DataFrame, **changes: object) -> pd.DataFrame:
    """The same people again, from somewhere else, with these fields replaced."""
    again = originals.copy()
    again["record_key"] = again["record_key"].str.replace("a|", "b|", regex=False)
    for field, value in changes.items():
        again[field] = value(again[field]) if callable(value) else value
    return again


def linked(matches: pd.DataFrame) -> set[tuple[str, str]]:
    return set(
        matches.loc[matches["decided"] == "linked", ["record_key_left", "record_key_right"]].itertuples(
            index=False, name=None
        )
    )


@pytest.fixture(scope="module")
def doubled() -> pd.DataFrame:
    """300 people, the first 60 of them twice with a slip in the e-mail and a new phone."""
    originals = people(300)
    slipped = copies(
        originals.head(60), email=lambda mails: mails.str[0] + mails, phone=lambda phones: phones.str[::-1].str[:9]
    )
    return pd.concat([originals, slipped], ignore_index=True)


@pytest.fixture(scope="module")
def matches(doubled: pd.DataFrame) -> pd.DataFrame:
    return matching.match_people(doubled)


def test_people_are_found_again_behind_typing_errors(matches: pd.DataFrame) -> None:
    wanted = {(f"a|{number:06d}", f"b|{number:06d}") for number in range(60)}
    assert linked(matches) == wanted
    assert list(matches.columns) == list(matching.COLUMNS)
    assert matches["match_probability"].between(matching.REVIEW, 1).all()


def test_the_evidence_names_fields_and_no_values(matches: pd.DataFrame) -> None:
    told = matches.loc[matches["decided"] == "linked", "evidence"].iloc[0]
    assert "given=same" in told and "email=typing_error" in told and "phone=different" in told
    assert not matches["evidence"].str.contains("example.com|smith", regex=True).any()


@pytest.mark.slow
def test_the_same_records_in_another_order_give_the_same_rows(doubled: pd.DataFrame, matches: pd.DataFrame) -> None:
    shuffled = doubled.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(matching.match_people(shuffled), matches)


@pytest.mark.parametrize(
    "records",
    [
        pd.DataFrame({"record_key": []}),
        pd.DataFrame({"record_key": ["a", "b"]}),
        pd.DataFrame({"record_key": ["a", "b"], "email": [None, None], "given_name": [None, ""]}),
        pd.DataFrame({"record_key": ["a"], "email": ["x@example.com"]}),
    ],
    ids=["no records", "no fields", "nothing but nulls", "one record"],
)
def test_nothing_to_compare_is_no_pair(records: pd.DataFrame) -> None:
    found = matching.match_people(records)
    assert len(found) == 0 and list(found.columns) == list(matching.COLUMNS)


def test_a_key_that_stands_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="record_key must be unique; 'a' is not"):
        matching.match_people(pd.DataFrame({"record_key": ["a", "a"], "email": ["x@example.com", None]}))


def test_ten_thousand_records_of_one_email_are_ten_thousand_people() -> None:
    crowd = pd.DataFrame({"record_key": [f"a|{number:06d}" for number in range(10_000)]})
    crowd["given_name"] = [f"{number * 7919 % 99991:05d}" for number in range(10_000)]
    crowd["email"], crowd["city"] = "everybody@example.com", "tokyo"
    assert len(certain_links(crowd)) == 0
    assert not linked(matching.match_people(crowd))


@pytest.mark.slow
def test_birth_dates_that_contradict_keep_two_people_apart() -> None:
    originals = people(200)
    twice = pd.concat([originals, copies(originals.head(50), email=None)], ignore_index=True)
    namesakes = copies(originals.iloc[50:51], birth_date="1899-12-31", email=None)
    found = matching.match_people(pd.concat([twice, namesakes], ignore_index=True))
    assert {(f"a|{number:06d}", f"b|{number:06d}") for number in range(50)} <= linked(found)
    assert not {pair for pair in linked(found) if any(int(key[2:]) == 50 for key in pair)}


@pytest.mark.slow
def test_strange_names_and_a_megabyte_harm_nobody(doubled: pd.DataFrame) -> None:
    strange = pd.DataFrame(
        {
            "record_key": ["c|1", "c|2", "c|3", "c|4", "c|5", "c|6"],
            "given_name": ["🎉😀", "\u202eמשה", "x" * 1_000_000, "\x00\u200b", "'; DROP TABLE forms; --", "ﾀﾛｳ"],
            "family_name": ["🎉", "كوهين", "y" * 1_000_000, " ", "%_\\", "ﾔﾏﾀﾞ"],
            "email": ["🎉@example.com", "@", "z" * 1_000_000 + "@example.com", "no", "a@b@c", None],
            "birth_date": ["9999-99-99", "yesterday", "0", "-1", "31/02/1980", "昭和55年1月2日"],
            "phone": ["0", "☎", "1" * 1_000_000, None, "+", "０９０－１２３４－５６７８"],
        }
    )
    found = matching.match_people(pd.concat([doubled, strange], ignore_index=True))
    assert len(linked(found)) == 60


@pytest.mark.slow
def test_decisions_win_over_probabilities(doubled: pd.DataFrame) -> None:
    decisions = pd.DataFrame(
        {
            "record_key_left": ["a|000000", "a|000200"],
            "record_key_right": ["b|000000", "a|000201"],
            "decision": ["different", "same"],
        }
    )
    found = matching.match_people(doubled, decisions=decisions)
    assert ("a|000000", "b|000000") not in linked(found)
    assert not ((found["record_key_left"] == "a|000000") & (found["record_key_right"] == "b|000000")).any()
    assert ("a|000001", "b|000001") in linked(found)


@pytest.mark.slow
def test_what_is_one_person_already_is_not_told_again(doubled: pd.DataFrame, matches: pd.DataFrame) -> None:
    certain = pd.DataFrame({"record_key": ["a|000000", "b|000000"], "link_key": ["known", "known"]})
    found = matching.match_people(doubled, certain)
    assert ("a|000000", "b|000000") in linked(matches) and ("a|000000", "b|000000") not in linked(found)


def clusters(size: int, dates: list[str | None] | None = None, apart: list[tuple[int, int]] | None = None) -> Clusters:
    return Clusters(list(range(size)), dates or [None] * size, [1] * size, apart or [])


def test_one_pair_does_not_join_two_big_clusters() -> None:
    built = clusters(8)
    within = {(a, b): 0.99 for half in (range(4), range(4, 8)) for a in half for b in half if a < b}
    support = within | {(3, 4): 0.99}
    assert [built.join(a, b, support) for a, b in within] == [None] * len(within)
    assert built.join(3, 4, support) == "too_little_support"
    assert len(set(built.parent)) == 2


def test_a_chain_stops_at_the_largest_cluster() -> None:
    built = clusters(50)
    support = {(a, b): 0.99 for a in range(50) for b in range(a + 1, 50)}
    reasons = [built.join(number, number + 1, support) for number in range(49)]
    assert "too_large" in reasons
    assert np.unique(built.parent, return_counts=True)[1].max() == LARGEST_CLUSTER


def test_what_is_kept_apart_stays_apart_through_others() -> None:
    built = clusters(3, apart=[(0, 2)])
    support = {(0, 1): 0.99, (1, 2): 0.99}
    assert built.join(0, 1, support) is None
    assert built.join(1, 2, support) == "kept_apart"
    assert built.join(1, 2) == "kept_apart"


def test_birth_dates_contradict_through_others() -> None:
    built = clusters(3, ["19800102", None, "19661130"])
    support = {(0, 1): 0.99, (1, 2): 0.99}
    assert built.join(0, 1, support) is None
    assert built.join(1, 2, support) == "birth_dates_contradict"


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("19800102", "19800102", False),
        ("19800102", None, False),
        ("19800102", "19800201", False),
        ("19800102", "19810102", False),
        ("19800102", "19801128", True),
        ("19800102", "19561130", True),
    ],
)
def test_contradicting_birth_dates(left: str | None, right: str | None, expected: bool) -> None:
    assert contradict(left, right) is expected and contradict(right, left) is expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("山田　太郎 様", ("太郎", "山田")),
        ("Yamada, Taro", ("taro", "yamada")),
        ("Dr. Mary Ann Smith", ("mary ann", "smith")),
        ("山田太郎", ("太郎", "山田")),
        ("ヤマダ タロウ", ("たろう", "やまだ")),
        ("Prince", (None, "prince")),
        ("", (None, None)),
    ],
)
def test_names_in_one_field(written: str, expected: tuple[str | None, str | None]) -> None:
    assert split_name(written) == expected


def test_kana_and_romaji_sound_alike_and_kanji_do_not_sound() -> None:
    assert sound(name("サトウ")) == sound(name("satou")) == sound(name("Satō")) == "sato"
    assert romaji("きょうしゅ") == "kyoushu"
    assert sound("山田") is None
    forms = compare_forms(pd.DataFrame({"given_name": ["太郎"], "given_kana": ["タロウ"], "family_name": ["髙橋"]}))
    assert forms.loc[0, ["given", "given_sound", "family"]].tolist() == ["太郎", "taro", "高橋"]


def test_dates_are_read_as_the_column_writes_them() -> None:
    written = pd.Series(["3/25/1980", "4/3/1980", "1980年1月2日", "19800102", "1980-01-02T00:00:00", "never"])
    assert list(birth_dates(written).values()) == ["19800325", "19800403", "19800102", "19800102", "19800102", None]
    assert birth_dates(pd.Series(["04.03.1980"])) == {"04.03.1980": "19800304"}


def test_fields_are_folded() -> None:
    assert fold(" Ｍüller\u3000 X ") == "muller x"
    assert phone("+81 90-1234-5678") == phone("０９０１２３４５６７８") == "012345678"
    assert phone("0000000000") is None
