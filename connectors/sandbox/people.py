"""Invents the people behind the households: buyers, family members, leads in the CRM and unknown visitors."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from connectors.sandbox import names, places
from connectors.sandbox.chance import Chance
from connectors.sandbox.clock import WORLD_NOW, WORLD_START, moment

_JAPANESE_DOMAINS = {
    "gmail.example.com": 30,
    "docomo.example.jp": 16,
    "yahoo.example.jp": 16,
    "ezweb.example.jp": 9,
    "softbank.example.jp": 9,
    "icloud.example.com": 11,
    "mail.example.jp": 9,
}
_WESTERN_DOMAINS = {
    "gmail.example.com": 45,
    "outlook.example.com": 20,
    "icloud.example.com": 15,
    "mail.example.com": 20,
}
_TAGGING_DOMAINS = ("gmail.example.com", "icloud.example.com", "outlook.example.com")

# Share of households in which a second person has records of their own, by the size the data state.
_FAMILY_RATE = {None: 0.27, "1": 0.0, "2": 0.34, "3": 0.45, "4": 0.5, "5+": 0.55}
_AGE_BANDS = {
    "19-24": (19, 24),
    "25-34": (25, 34),
    "35-44": (35, 44),
    "45-54": (45, 54),
    "55-64": (55, 64),
    "65+": (65, 84),
}
_TODAY = date(2026, 10, 19)


@dataclass(frozen=True)
class Household:
    """What the purchase data say of one household; the two times are UTC."""

    household_id: int
    order_count: int
    first_order_at: datetime
    last_order_at: datetime
    age: str | None
    household_size: str | None


@dataclass
class Person:
    """One invented person; the fields after `role` stay inside the world and are no columns of `persons`."""

    person_id: str
    household_id: int | None
    family_name: str
    given_name: str
    family_kana: str | None
    given_kana: str | None
    family_romaji: str
    given_romaji: str
    script: str
    email: str
    phone: str
    birth_date: date
    gender: str
    postal_code: str
    prefecture: str
    city: str
    address1: str
    role: str
    address2: str | None = None
    province_code: str = ""
    country_code: str = "JP"
    second_email: str | None = None
    landline: str | None = None
    knows_age: bool = False
    # how this person buys: a share of the household's baskets from a day on, signed in or as a guest
    buying_share: float = 0.0
    buys_from: datetime = WORLD_START
    first_order_at: datetime | None = None
    has_account: bool = False
    in_crm: bool = False
    guest_rate: float = 0.0
    office_email: str | None = None


class _Registry:
    """Hands out e-mails and phones that nobody else in the world has."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def email(self, person_part: str, domain: str, chance: Chance) -> str:
        address = f"{person_part}@{domain}"
        while address.lower() in self._taken:
            address = f"{person_part}{chance.whole(2, 9999)}@{domain}"
        self._taken.add(address.lower())
        return address

    def phone(self, country_code: str, area_codes: tuple[str, ...], chance: Chance) -> str:
        while True:
            if country_code == "JP":
                # a mobile number never has a zero after 090, 080 or 070
                number = f"+81{chance.pick(('90', '80', '70'))}{chance.whole(1, 9)}{chance.whole(0, 9_999_999):07d}"
            else:
                number = f"+1{chance.pick(area_codes)}55501{chance.whole(0, 99):02d}"
            if number not in self._taken:
                self._taken.add(number)
                return number


def invent_people(seed: int, households: Iterable[Household]) -> list[Person]:
    """Everybody in the world: one buyer a household, some family, and leads and unknown visitors in proportion."""
    registry = _Registry()
    people: list[Person] = []
    households = sorted(households, key=lambda household: household.household_id)
    for household in households:
        chance = Chance(seed, "household", household.household_id)
        buyer = _person(chance, registry, f"p-{household.household_id:04d}-1", household.household_id, "buyer")
        buyer.birth_date = _birth_date(chance, household.age)
        buyer.knows_age = household.age is not None
        buyer.first_order_at = household.first_order_at
        buyer.buying_share = 1.0
        # people with few baskets are those who never made an account
        buyer.has_account = not (household.order_count <= 25 and chance.happens(0.22))
        if not buyer.has_account:
            buyer.guest_rate = 1.0
        elif chance.happens(0.45):
            buyer.guest_rate = 0.12
        buyer.in_crm = chance.happens(0.8)
        people.append(buyer)
        if buyer.has_account and chance.happens(_FAMILY_RATE[household.household_size]):
            people.append(_family_member(chance, registry, household, buyer))
    for number in range(1, round(len(households) * 0.25) + 1):
        lead = _person(Chance(seed, "lead", number), registry, f"lead-{number:04d}", None, "lead")
        lead.in_crm = True
        people.append(lead)
    for number in range(1, round(len(households) * 0.15) + 1):
        # visits the shop's site and is in no other system: nothing can or should be joined to them
        people.append(_person(Chance(seed, "visitor", number), registry, f"visitor-{number:04d}", None, "lead"))
    return people


def _person(chance: Chance, registry: _Registry, person_id: str, household_id: int | None, role: str) -> Person:
    gender = "female" if chance.happens(0.58) else "male"
    if chance.happens(0.76):
        # surnames stand in order of frequency: the square favours the common ones
        surname, surname_kana = names.JAPANESE_SURNAMES[int(chance.number() ** 1.6 * len(names.JAPANESE_SURNAMES))]
        given, given_kana = chance.pick(names.JAPANESE_GIVEN[gender])
        family_romaji, given_romaji = names.romaji(surname_kana), names.romaji(given_kana)
        kana: tuple[str | None, str | None] = (names.katakana(surname_kana), names.katakana(given_kana))
        script, domains = "japanese", _JAPANESE_DOMAINS
    else:
        surname = family_romaji = chance.pick(names.WESTERN_SURNAMES)
        given = given_romaji = chance.pick(names.WESTERN_GIVEN[gender])
        kana, script, domains = (None, None), "western", _WESTERN_DOMAINS
    birth_date = _birth_date(chance, None)
    domain = chance.weighted(domains)
    base = _local_part(chance, family_romaji, given_romaji, birth_date.year)
    tagged = domain in _TAGGING_DOMAINS and chance.happens(0.06)
    email = registry.email(base + (chance.pick(("+shop", "+kizuna", "+ec")) if tagged else ""), domain, chance)
    if chance.happens(0.05):
        email = email[0].upper() + email[1:] if chance.happens(0.7) else email.upper()
    second_email = None
    if tagged:
        second_email = registry.email(base, domain, chance)
    elif chance.happens(0.2):
        other = _local_part(chance, family_romaji, given_romaji, birth_date.year)
        second_email = registry.email(other, chance.weighted(domains), chance)
    person = Person(
        person_id, household_id, surname, given, kana[0], kana[1], family_romaji, given_romaji, script,
        email=email, phone="", birth_date=birth_date, gender=gender, postal_code="", prefecture="", city="",
        address1="", role=role, second_email=second_email,
    )  # fmt: skip
    _settle(person, chance, registry)
    return person


def _settle(person: Person, chance: Chance, registry: _Registry) -> None:
    """Gives the person a home and the phone numbers that go with it."""
    if person.script == "western" and chance.happens(0.35):
        state, code, city, zip_start, area_codes = chance.pick(places.AMERICA)
        person.prefecture, person.province_code, person.country_code, person.city = state, code, "US", city
        person.postal_code = f"{zip_start}{chance.whole(1, 99):02d}"
        person.address1 = f"{chance.whole(1, 4999)} {chance.pick(places.AMERICAN_STREETS)}"
        person.phone = registry.phone("US", area_codes, chance)
        return
    place = chance.weighted({place: place.weight for place in places.JAPAN})
    person.prefecture, person.province_code, person.city = place.region, place.code, place.city
    person.postal_code = f"{place.zip_start}-{chance.whole(1, 99):04d}"
    person.address1 = f"{chance.pick(place.towns)}{chance.whole(1, 6)}丁目{chance.whole(1, 30)}-{chance.whole(1, 20)}"
    if chance.happens(0.45):
        person.address2 = f"{chance.pick(places.BUILDINGS)}{chance.whole(1, 12)}{chance.whole(1, 9):02d}号室"
    if chance.happens(0.3):
        person.landline = f"+813{chance.whole(3, 6)}{chance.whole(0, 9_999_999):07d}"
    person.phone = registry.phone("JP", (), chance)


def _family_member(chance: Chance, registry: _Registry, household: Household, buyer: Person) -> Person:
    member = _person(chance, registry, f"p-{household.household_id:04d}-2", household.household_id, "family")
    if member.script != buyer.script or member.given_name == buyer.given_name:
        _rename(member, buyer, chance, registry)
    member.family_name, member.family_kana = buyer.family_name, buyer.family_kana
    member.family_romaji = buyer.family_romaji
    for field in (
        "postal_code",
        "prefecture",
        "city",
        "address1",
        "address2",
        "province_code",
        "country_code",
        "landline",
    ):
        setattr(member, field, getattr(buyer, field))
    if chance.happens(0.7):
        member.phone = buyer.phone
    elif buyer.country_code == "JP" and member.phone.startswith("+1"):
        member.phone = registry.phone("JP", (), chance)
    member.has_account = chance.happens(0.75)
    member.in_crm = chance.happens(0.55) or not member.has_account
    if member.has_account:
        member.buying_share = 0.15 + 0.35 * chance.number()
        if chance.happens(0.3):
            # made their own account lately: the shop's newest customers
            member.buys_from = WORLD_NOW - timedelta(days=chance.whole(2, 45))
        else:
            member.buys_from = WORLD_START
        member.guest_rate = 0.1 if chance.happens(0.2) else 0.0
    return member


def _rename(member: Person, buyer: Person, chance: Chance, registry: _Registry) -> None:
    """Another given name in the buyer's script, and an address that goes with it."""
    member.script = buyer.script
    while True:
        if buyer.script == "japanese":
            member.given_name, given_kana = chance.pick(names.JAPANESE_GIVEN[member.gender])
            member.given_kana, member.given_romaji = names.katakana(given_kana), names.romaji(given_kana)
        else:
            member.given_name = member.given_romaji = chance.pick(names.WESTERN_GIVEN[member.gender])
            member.given_kana = None
        if member.given_romaji != buyer.given_romaji:
            break
    domains = _JAPANESE_DOMAINS if buyer.script == "japanese" else _WESTERN_DOMAINS
    local_part = _local_part(chance, buyer.family_romaji, member.given_romaji, member.birth_date.year)
    member.email = registry.email(local_part, chance.weighted(domains), chance)
    member.second_email = None


def _birth_date(chance: Chance, age_band: str | None) -> date:
    """A day of birth that gives an age within the band on the world's last day."""
    youngest, oldest = _AGE_BANDS[age_band] if age_band else (19, 78)
    age = chance.whole(youngest, oldest)
    return _TODAY.replace(year=_TODAY.year - age) - timedelta(days=chance.whole(0, 364))


def _local_part(chance: Chance, family: str, given: str, year: int) -> str:
    family, given = (part.lower().replace("'", "") for part in (family, given))
    return chance.pick(
        (
            f"{given}.{family}",
            f"{family}.{given}",
            f"{given}{family[0]}{year % 100:02d}",
            f"{family}_{given}",
            f"{given[0]}.{family}{chance.whole(1, 99)}",
            f"{given}{year}",
            f"{given}-{family}{chance.whole(1, 9)}",
        )
    )


def account_opened_at(chance: Chance, first_order_at: datetime) -> datetime:
    """When a person made their account: never after their first order.

    Who already bought in the year's first weeks was a customer before it; of the others most signed up to order.
    """
    if first_order_at < WORLD_START + timedelta(days=45):
        return moment(WORLD_START - timedelta(days=700), WORLD_START, chance.number())
    if chance.happens(0.6):
        return first_order_at - timedelta(minutes=chance.whole(2, 600))
    return moment(first_order_at - timedelta(days=200), first_order_at - timedelta(hours=10), chance.number())
