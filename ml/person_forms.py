"""Brings what records say of a person into forms that can be compared: one pass over the distinct values of a column.

The warehouse has normalised its own records already (dbt_project/macros/normalise.sql); this takes any file of people
as it comes, does nothing to a value that is in form, and never fails on one: what cannot be read is null.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

import pandas as pd

FIELDS = (
    "given_name",
    "family_name",
    "full_name",
    "given_kana",
    "family_kana",
    "birth_date",
    "email",
    "phone",
    "address",
    "postal_code",
    "city",
)
# What a person types into one field is shorter; a megabyte in a name must not cost a megabyte a comparison.
LONGEST = 120

_ACCENTS = re.compile("[\u0300-\u036f]")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff々〆]")
_KANA = re.compile(r"^[\u3041-\u3096ー ]+$")
_HONORIFICS = re.compile(r"(様|さま|さん|殿|先生|氏)$|^(mrs?|ms|miss|dr|prof)[. ]+|[, ]+(jr|sr|phd|md)[.]?$")
_OLDER_FORMS = str.maketrans("髙﨑碕嵜齋齊斉邊邉濱澤廣國嶋嶌櫻藏與眞冨", "高崎崎崎斎斎斎辺辺浜沢広国島島桜蔵与真富")
_KANJI_DIGITS = str.maketrans("〇一二三四五六七八九‐−–—ー", "0123456789-----")
ROLE_ADDRESS = re.compile(
    r"(info|sales|support|admin|administrator|office|contact|hello|help|mail|shop|store|orders?|billing|accounting|keiri|"
    r"soumu|jinji|eigyo|postmaster|webmaster|no-?reply|marketing|press|hr|team)@"
)
_KATAKANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_ROWS = {
    "": "あいうえお", "k": "かきくけこ", "s": "さしすせそ", "t": "たちつてと", "n": "なにぬねの", "h": "はひふへほ",
    "m": "まみむめも", "r": "らりるれろ", "g": "がぎぐげご", "z": "ざじずぜぞ", "d": "だぢづでど", "b": "ばびぶべぼ",
    "p": "ぱぴぷぺぽ",
}  # fmt: skip
_READINGS = {kana: row + vowel for row, line in _ROWS.items() for kana, vowel in zip(line, "aiueo", strict=True)} | {
    "し": "shi", "ち": "chi", "つ": "tsu", "ふ": "fu", "じ": "ji", "ぢ": "ji", "づ": "zu", "や": "ya", "ゆ": "yu",
    "よ": "yo", "わ": "wa", "を": "o", "ゐ": "i", "ゑ": "e", "ん": "n", "ゔ": "vu", "ー": "", "ぁ": "a", "ぃ": "i",
    "ぅ": "u", "ぇ": "e", "ぉ": "o", "ゎ": "wa", "っ": "", "ゃ": "ya", "ゅ": "yu", "ょ": "yo", "ゕ": "ka", "ゖ": "ke",
}  # fmt: skip


def fold(value: object) -> str | None:
    """NFKC, lower case, no accents, single spaces, at most `LONGEST` characters; null when nothing is left."""
    if value is None or value != value:
        return None
    text = unicodedata.normalize("NFKC", str(value)[: 4 * LONGEST]).casefold()
    text = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))
    return " ".join(text.split())[:LONGEST].strip() or None


def name(value: object) -> str | None:
    """A name without honorifics, punctuation and a middle initial, in hiragana where it was in katakana."""
    text = fold(value)
    if text is None:
        return None
    text = _HONORIFICS.sub("", text.translate(_KATAKANA).translate(_OLDER_FORMS).strip())
    text = re.sub(r"['’`.]", lambda mark: " " if mark.group() == "." else "", text)
    tokens = re.sub(r"[^\w\s]|_", " ", text).split()
    if len(tokens) > 1:
        tokens = [token for token in tokens if len(token) > 1 or not token.isascii()] or tokens
    return " ".join(tokens) or None


def romaji(value: str) -> str:
    """Hiragana as Hepburn without long vowels; other text as it is."""
    read = ""
    for letter in value:
        if letter in "ゃゅょ" and read.endswith("i"):
            stem = read[:-1]
            vowel = {"ゃ": "a", "ゅ": "u", "ょ": "o"}[letter]
            read = stem + (vowel if stem.endswith(("sh", "ch", "j")) else "y" + vowel)
        else:
            read += _READINGS.get(letter, letter)
    return read


def sound(value: str | None) -> str | None:
    """How a name in kana or Latin letters sounds, spelled one way; null for kanji, which have many readings."""
    if value is None or _HAN.search(value):
        return None
    text = romaji(value)
    for pattern, replacement in (
        (r"o[ou](?![aeiou])", "o"),
        ("uu", "u"),
        (r"oh(?![aeiouy])", "o"),
        ("m(?=[bpm])", "n"),
    ):
        text = re.sub(pattern, replacement, text)
    return re.sub(r"([kstpc])\1", r"\1", text) or None


def split_name(full: object) -> tuple[str | None, str | None]:
    """(given, family) of a name in one field: family first in Japanese and before a comma, last otherwise."""
    folded = fold(full)
    if folded is None:
        return None, None
    head, comma, tail = folded.partition(",")
    if comma and name(head) and name(tail):
        return name(tail), name(head)
    text = name(folded)
    if text is None:
        return None, None
    tokens = text.split()
    if len(tokens) == 1:
        is_whole_name = len(text) in (3, 4, 5) and all(_HAN.match(letter) for letter in text)
        return (text[2:], text[:2]) if is_whole_name else (None, text)
    if _HAN.search(text) or _KANA.match(text):
        return " ".join(tokens[1:]), tokens[0]
    return " ".join(tokens[:-1]), tokens[-1]


def email(value: object) -> str | None:
    """An address in lower case; null for an office's mailbox, which says nothing of a person."""
    text = fold(value)
    text = text.replace(" ", "") if text else None
    return text if text and 0 < text.find("@") < len(text) - 1 and not ROLE_ADDRESS.match(text) else None


def phone(value: object) -> str | None:
    """The last nine digits: what is left when the country code or the leading zero is written or not."""
    digits = re.sub(r"\D", "", fold(value) or "")
    return digits[-9:] if len(digits) >= 7 and len(set(digits)) > 2 else None


def postal_code(value: object) -> str | None:
    return re.sub(r"[^0-9a-z]", "", fold(value) or "") or None


def city(value: object) -> str | None:
    return " ".join(re.sub(r"[^\w\s]|_", " ", fold(value) or "").split()) or None


def address(value: object) -> str | None:
    """Digits and words; 丁目, 番地, 番 and 号 as spaces, kanji digits as digits."""
    text = (fold(value) or "").translate(_KATAKANA)
    text = re.sub("丁目|番地の|番地|番|号", "-", text).translate(_KANJI_DIGITS)
    text = re.sub(r"[^\w\s]|_", " ", text)
    return " ".join(re.sub(r"(?<=\D)(?=\d)|(?<=\d)(?=\D)", " ", text).split()) or None


_YEAR_FIRST = re.compile(r"^([12]\d{3})\D{1,2}(\d{1,2})\D{1,2}(\d{1,2})(?:\D.*)?$")
_YEAR_LAST = re.compile(r"^(\d{1,2})\D(\d{1,2})\D([12]\d{3})(?:\D.*)?$")


def birth_dates(values: "pd.Series[str]") -> dict[object, str | None]:
    """Each distinct value → eight digits, year first. Whether 3/4/1980 is in March or April is read off the column."""
    folded = {value: fold(value) for value in values.dropna().unique()}
    year_last = [found for text in folded.values() if text and (found := _YEAR_LAST.match(text))]
    is_month_first = any(int(found[2]) > 12 for found in year_last) and not any(
        int(found[1]) > 12 for found in year_last
    )
    read: dict[object, str | None] = {}
    for value, text in folded.items():
        read[value] = None
        if text is None:
            continue
        if re.fullmatch(r"[12]\d{7}", text):
            read[value] = text
        elif found := _YEAR_FIRST.match(text):
            read[value] = f"{found[1]}{int(found[2]):02d}{int(found[3]):02d}"
        elif found := _YEAR_LAST.match(text):
            first, second = (found[2], found[1]) if is_month_first else (found[1], found[2])
            read[value] = f"{found[3]}{int(second):02d}{int(first):02d}"
        else:
            has_year = re.search(r"(?<!\d)[12]\d{3}(?!\d)", text)
            moment = pd.to_datetime(text, errors="coerce") if has_year else pd.NaT
            is_read = not pd.isna(moment) and 1000 <= moment.year < 3000
            read[value] = f"{moment.year:04d}{moment.month:02d}{moment.day:02d}" if is_read else None
    return read


def compare_forms(records: pd.DataFrame) -> pd.DataFrame:
    """The columns that comparisons and blocking read, one row a record in the order given.

    records: any of `FIELDS` as text or dates; missing columns are null. Result: given, family, given_sound,
    family_sound, is_kanji, birth_date, email, email_user, email_domain, phone, address, address_numbers, postal_code,
    city.
    """
    raw = {
        field: records[field] if field in records else pd.Series(None, records.index, dtype=object) for field in FIELDS
    }
    full = _mapped(raw["full_name"], split_name)
    pairs = [
        _names(given, family, whole)
        for given, family, whole in zip(
            _mapped(raw["given_name"], name), _mapped(raw["family_name"], name), full, strict=True
        )
    ]
    forms = pd.DataFrame(index=records.index)
    for position, part in enumerate(("given", "family")):
        words = pd.Series([pair[position] for pair in pairs], records.index, dtype=object)
        kana = _mapped(_mapped(raw[f"{part}_kana"], name), sound)
        forms[part] = _mapped(words, lambda text: text if _HAN.search(text) else romaji(text))
        forms[f"{part}_sound"] = kana.where(kana.notna(), _mapped(words, sound))
        forms[f"{part}_is_kanji"] = [bool(text and _HAN.search(text)) for text in words]
    forms["birth_date"] = raw["birth_date"].map(birth_dates(raw["birth_date"]))
    forms["email"] = _mapped(raw["email"], email)
    forms["email_user"] = _mapped(forms["email"], lambda text: text.partition("@")[0].partition("+")[0] or None)
    forms["email_domain"] = _mapped(forms["email"], lambda text: text.partition("@")[2])
    forms["phone"] = _mapped(raw["phone"], phone)
    forms["address"] = _mapped(raw["address"], address)
    forms["address_numbers"] = _mapped(forms["address"], lambda text: " ".join(re.findall(r"\d+", text)) or None)
    forms["postal_code"] = _mapped(raw["postal_code"], postal_code)
    forms["city"] = _mapped(raw["city"], city)
    return forms.astype({column: object for column in forms if not str(column).endswith("is_kanji")})


def _names(
    given: str | None, family: str | None, full: tuple[str | None, str | None] | None
) -> tuple[str | None, str | None]:
    """Given and family name where one field may hold both, or a third one does."""
    if given is None and family is None:
        return full or (None, None)
    if given is None and family is not None and " " in family:
        return split_name(family)
    if family is None and given is not None and " " in given:
        return split_name(given)
    return given, family


def _mapped(values: "pd.Series", form: Callable[[str], object]) -> "pd.Series":
    """`form` of every distinct value, null for null."""
    known: Mapping[object, object] = {value: form(value) for value in values.dropna().unique()}
    found = [None if value is None or value != value else known[value] for value in values]
    return pd.Series(found, values.index, dtype=object)
