"""Every vector of the vendors' pages, and the SQL twin equal to the Python one."""

from __future__ import annotations

import hashlib

import duckdb
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.identifiers import MAILCHIMP_ADDRESS, MAILCHIMP_SUBSCRIBER_HASH, META

RULES = {**{f"meta {key}": rule for key, rule in META.items()}, "mailchimp hash": MAILCHIMP_SUBSCRIBER_HASH}
RULES["mailchimp address"] = MAILCHIMP_ADDRESS

MAILCHIMP_VECTORS = [
    ("Urist.McVankab@freddiesjokes.com", "62eeb292278cc15f5817cb78f7790b08"),
    ("ada@example.com", "3e3417d7ef77d5932a6734b916515ed5"),
    ("  ADA@example.com\n", "3e3417d7ef77d5932a6734b916515ed5"),
]
META_VECTORS = [
    ("EMAIL", "John_Smith@gmail.com", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
    ("EMAIL", "\u3000john_smith@GMAIL.com ", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
    ("PHONE", "+1 (650) 555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
    ("PHONE", "0016505551212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
    ("FN", "Mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
    ("FN", "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
    ("LN", "정", "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
    ("COUNTRY", "US", "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
    ("GEN", "Female", "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"),
    ("CT", "Menlo Park", "0007a3d64c01e23d5075203c5977c14e4f7e01a3fc570686fcc50b5e1dd42685"),
    ("ZIP", "94025-1234", "b9a9cf3cd3723a2e91b7c23ecf68456e872b6e5d86e5cab7f3d45a7302da32c7"),
    ("ST", "CA", "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"),
]
EMPTY_HASHES = {hashlib.sha256(b"").hexdigest(), hashlib.md5(b"", usedforsecurity=False).hexdigest()}

# What addresses, names and phones are made of: Latin with accents, Greek, Cyrillic, kana, kanji, Hangul, full width.
CHARACTERS = st.one_of(
    st.sampled_from(" \t\n@.-_+'’()0123456789０１ＡａéÉßİıÅøΣσςЖжアあ漢字정　\u00a0\ufeff、。・"),
    st.characters(min_codepoint=0x20, max_codepoint=0x17F),
)
TEXTS = st.text(CHARACTERS, max_size=30)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


def in_sql(connection, rule, value):
    return connection.execute(f"SELECT {rule.sql('given')} FROM (SELECT ?::VARCHAR AS given)", [value]).fetchone()[0]


@pytest.mark.parametrize(("address", "expected"), MAILCHIMP_VECTORS)
def test_mailchimp_subscriber_hash_equals_the_vendors_vector(connection, address, expected):
    assert MAILCHIMP_SUBSCRIBER_HASH(address) == expected
    assert in_sql(connection, MAILCHIMP_SUBSCRIBER_HASH, address) == expected


@pytest.mark.parametrize(("key", "raw", "expected"), META_VECTORS)
def test_meta_hash_equals_the_vendors_vector(connection, key, raw, expected):
    assert META[key](raw) == expected
    assert in_sql(connection, META[key], raw) == expected


def test_national_phone_number_hashes_as_the_vendor_says_once_it_is_international():
    number = phonenumbers.parse("(650)555-1212", "US")
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert META["PHONE"](written) == META_VECTORS[2][2]


@pytest.mark.parametrize(
    ("key", "raw", "written"), [("DOBM", "7", "07"), ("DOBD", "31", "31"), ("DOBY", "1990", "1990")]
)
def test_parts_of_the_birthday_are_written_with_leading_zeros(key, raw, written):
    assert META[key](raw) == hashlib.sha256(written.encode()).hexdigest()


def test_advertiser_id_travels_in_clear():
    assert META["MADID"]("AB-12") == "ab-12"


def test_gmail_dots_stay_for_meta():
    assert META["EMAIL"]("a.b@gmail.com") != META["EMAIL"]("ab@gmail.com")


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("nothing", [None, "", "   ", "\u3000\t"])
def test_nothing_has_no_hash(connection, name, nothing):
    assert RULES[name](nothing) is None
    assert in_sql(connection, RULES[name], nothing) is None


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=30))
def test_sql_equals_python(connection, name, texts):
    rule = RULES[name]
    rows = connection.execute(
        f"SELECT given, {rule.sql('given')} FROM (SELECT unnest(?::VARCHAR[]) AS given)", [texts]
    ).fetchall()
    assert [row[1] for row in rows] == [rule(row[0]) for row in rows]
    assert not {row[1] for row in rows} & EMPTY_HASHES
