"""How staff and customers mistype what they enter: one phone, name, e-mail or address in its many written forms."""

from typing import NamedTuple

from connectors.sandbox.chance import Chance
from connectors.sandbox.people import Person

_FULL_WIDTH = str.maketrans("0123456789-", "０１２３４５６７８９－")
# The older form of a character, which families use and keyboards offer second.
_OLDER_FORMS = str.maketrans("高崎斎辺浜沢広", "髙﨑齋邊濱澤廣")
_KANJI_DIGITS = str.maketrans("123456789", "一二三四五六七八九")


class WrittenName(NamedTuple):
    first: str | None
    last: str | None


def written_phone(chance: Chance, phone: str, country_code: str) -> str:
    """An E.164 number as somebody types it; the country is always that of the person's address."""
    if country_code == "US":
        area, exchange, line = phone[2:5], phone[5:8], phone[8:]
        return chance.pick(
            (f"({area}) {exchange}-{line}", f"+1 {area}-{exchange}-{line}", f"{area}.{exchange}.{line}", phone)
        )
    digits = phone[3:]
    split = 1 if digits.startswith("3") else 2
    parts = (f"0{digits[:split]}", digits[split : split + 4], digits[split + 4 :])
    form = chance.weighted(
        {"dashes": 42, "plain": 20, "plus": 12, "full width": 10, "no zero": 5, "spaces": 5, "bracket": 3, "odd": 3}
    )
    if form == "plain":
        return "".join(parts)
    if form == "plus":
        return chance.pick(
            (phone, f"+81 {digits[:split]}-{parts[1]}-{parts[2]}", f"+81(0){digits[:split]}-{parts[1]}-{parts[2]}")
        )
    if form == "full width":
        return "-".join(parts).translate(_FULL_WIDTH)
    if form == "no zero":
        # a spreadsheet took it for a number
        return digits
    if form == "spaces":
        return " ".join(parts)
    if form == "bracket":
        return f"{parts[0]}({parts[1]}){parts[2]}"
    if form == "odd":
        return chance.pick(("‐".join(parts), "ー".join(parts), f"TEL: {'-'.join(parts)}"))
    return "-".join(parts)


def written_name(chance: Chance, person: Person, same_script: bool) -> WrittenName:
    """The person's name as the CRM has it; `same_script` keeps to forms that compare with the shop's own."""
    first, last = person.given_name, person.family_name
    if person.script == "western":
        form = chance.weighted({"plain": 78, "capitals": 6, "lower": 5, "swapped": 6, "initial": 5})
        if form == "capitals":
            return WrittenName(first.upper(), last.upper())
        if form == "lower":
            return WrittenName(first.lower(), last.lower())
        if form == "initial":
            return WrittenName(f"{first} {chance.pick('ABCDEFGHJKLMRST')}.", last)
    else:
        weights = {"plain": 64, "swapped": 7, "honorific": 6, "spaced": 4, "older": 3}
        if not same_script:
            weights |= {"kana": 9, "romaji": 7}
        form = chance.weighted(weights)
        if form == "kana":
            return WrittenName(person.given_kana, person.family_kana)
        if form == "romaji":
            return WrittenName(
                *chance.pick(
                    (
                        (person.given_romaji, person.family_romaji),
                        (person.given_romaji.upper(), person.family_romaji.upper()),
                    )
                )
            )
        if form == "honorific":
            return chance.pick(
                (
                    WrittenName(f"{first}様", last),
                    WrittenName(f"{first} 様", last),
                    WrittenName(None, f"{last}　{first} 様"),
                )
            )
        if form == "spaced":
            return chance.pick((WrittenName(None, f"{last}　{first}"), WrittenName(f" {first}", f"{last}　")))
        if form == "older":
            return WrittenName(first, last.translate(_OLDER_FORMS))
    return WrittenName(last, first) if form == "swapped" else WrittenName(first, last)


def mistyped_email(chance: Chance, email: str) -> str:
    """An address with one slip of the finger; nobody's address in the world looks like it."""
    local_part, domain = email.split("@")
    slip = chance.weighted({"doubled": 40, "dropped": 40, "domain": 20})
    if slip == "domain":
        # the slip stays below the reserved name: a slip in `example` could be somebody's real domain
        carrier, reserved = domain.split(".", 1)
        return f"{local_part}@{carrier[0]}{carrier[2]}{carrier[1]}{carrier[3:]}.{reserved}"
    place = chance.whole(1, max(1, len(local_part) - 2))
    if slip == "doubled":
        return f"{local_part[:place]}{local_part[place - 1]}{local_part[place:]}@{domain}"
    return f"{local_part[:place]}{local_part[place + 1 :]}@{domain}"


def written_address(chance: Chance, address1: str) -> str:
    """A Japanese house number in one of the ways people write it (`3丁目12-5`, `3-12-5`, full-width, kanji)."""
    form = chance.weighted({"plain": 45, "dashes": 25, "full width": 15, "kanji": 15})
    if "丁目" not in address1 or form == "plain":
        return address1
    if form == "kanji":
        head, tail = address1.split("丁目")
        return f"{head[:-1]}{head[-1].translate(_KANJI_DIGITS)}丁目{tail.replace('-', '番')}号"
    dashed = address1.replace("丁目", "-")
    return dashed.translate(_FULL_WIDTH) if form == "full width" else dashed


def written_birth_date(chance: Chance, person: Person) -> str:
    day = person.birth_date
    form = chance.weighted({"iso": 84, "slashes": 8, "kanji": 5, "compact": 3})
    if form == "slashes":
        return f"{day.year}/{day.month}/{day.day}"
    if form == "kanji":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day:%Y%m%d}" if form == "compact" else day.isoformat()
