"""Gives people their accounts in the shop: names as typed, consent for e-mail and SMS, sometimes a second account."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.sandbox.chance import Chance
from connectors.sandbox.clock import WORLD_NOW, WORLD_START, moment
from connectors.sandbox.people import Person, account_opened_at

_FIRST_CUSTOMER_ID = 7_100_000_000_000
_EMAIL_STATES = {"SUBSCRIBED": 58, "NOT_SUBSCRIBED": 22, "UNSUBSCRIBED": 13, "PENDING": 4, "INVALID": 3}
_SMS_STATES = {"SUBSCRIBED": 30, "NOT_SUBSCRIBED": 52, "UNSUBSCRIBED": 13, "PENDING": 4, "REDACTED": 1}
_STATES = {"ENABLED": 78, "DISABLED": 14, "INVITED": 6, "DECLINED": 2}


@dataclass
class Account:
    """One Shopify customer; `updated_at` is filled once the orders are known."""

    id: int
    person_id: str
    created_at: datetime
    first_name: str
    last_name: str
    email: str | None
    verified_email: bool
    email_marketing_state: str
    email_opt_in_level: str | None
    email_marketing_updated_at: datetime | None
    phone: str | None
    sms_marketing_state: str | None
    sms_opt_in_level: str | None
    sms_marketing_updated_at: datetime | None
    address1: str | None
    address2: str | None
    city: str | None
    province_code: str | None
    country_code: str | None
    zip: str | None
    address_phone: str | None
    locale: str
    state: str
    is_second: bool = False
    tags: list[str] = field(default_factory=list)
    note: str | None = None


def open_accounts(seed: int, people: list[Person]) -> list[Account]:
    """One account for everybody who has one, and a second one under another e-mail for about one buyer in twenty."""
    accounts: list[Account] = []
    phones_in_use: set[str] = set()
    for person in people:
        chance = Chance(seed, "account", person.person_id)
        if person.has_account:
            first = _account(chance, person, phones_in_use)
            accounts.append(first)
            if person.second_email and person.role == "buyer" and chance.happens(0.25):
                accounts.append(_second_account(chance, person, first))
        elif person.role == "lead" and person.in_crm and chance.happens(0.2):
            # signed up in the shop and has not bought yet
            person.has_account = True
            accounts.append(_account(chance, person, phones_in_use))
    accounts.sort(key=lambda account: (account.created_at, account.person_id, account.is_second))
    for position, account in enumerate(accounts):
        account.id = _FIRST_CUSTOMER_ID + 7 * position
    return accounts


def _account(chance: Chance, person: Person, phones_in_use: set[str]) -> Account:
    if person.role == "buyer":
        assert person.first_order_at is not None
        created_at = account_opened_at(chance, person.first_order_at)
    elif person.role == "family" and person.buys_from > WORLD_START:
        created_at = person.buys_from
    elif person.role == "family":
        created_at = moment(WORLD_START - timedelta(days=500), WORLD_START, chance.number())
    else:
        created_at = moment(WORLD_NOW - timedelta(days=120), WORLD_NOW - timedelta(days=1), chance.number())
    first_name, last_name = _typed_name(chance, person)
    # Shopify takes a phone number for one customer only; the others have it in their address
    phone = None
    if chance.happens(0.72) and person.phone not in phones_in_use:
        phone = person.phone
        phones_in_use.add(person.phone)
    address_phone = person.phone if chance.happens(0.85) or (phone is None and person.role != "buyer") else None
    account = Account(
        0, person.person_id, created_at, first_name, last_name, person.email, chance.happens(0.86),
        "NOT_SUBSCRIBED", None, None, phone, None, None, None,
        person.address1, person.address2, person.city, person.province_code, person.country_code, person.postal_code,
        address_phone, "ja" if person.script == "japanese" or chance.happens(0.2) else "en", chance.weighted(_STATES),
    )  # fmt: skip
    _decide_marketing(chance, person, account)
    if chance.happens(0.06):
        account.tags.append(chance.pick(("wholesale", "店舗会員", "newsletter-2025", "event")))
    if chance.happens(0.02):
        account.note = chance.pick(("電話での連絡を希望", "Prefers delivery in the evening", "領収書が必要"))
    return account


def _second_account(chance: Chance, person: Person, first: Account) -> Account:
    """The same person again, who forgot the first account: another e-mail, the same phone in the address."""
    created_at = moment(first.created_at + timedelta(days=1), WORLD_NOW - timedelta(days=20), chance.number())
    first_name, last_name = (first.first_name, first.last_name)
    second = Account(
        0, person.person_id, created_at, first_name, last_name, person.second_email, chance.happens(0.7),
        "NOT_SUBSCRIBED", None, None, None, None, None, None,
        first.address1, first.address2, first.city, first.province_code, first.country_code, first.zip,
        person.phone, first.locale, "ENABLED", is_second=True,
    )  # fmt: skip
    _decide_marketing(chance, person, second)
    return second


def _typed_name(chance: Chance, person: Person) -> tuple[str, str]:
    """(first name, last name) as the person typed them into the shop's form."""
    if person.script == "japanese":
        form = chance.weighted({"kanji": 90, "romaji": 5, "kana": 3, "swapped": 2})
        if form == "romaji":
            return person.given_romaji, person.family_romaji
        if form == "kana":
            return person.given_kana or person.given_name, person.family_kana or person.family_name
    else:
        form = chance.weighted({"plain": 92, "lower": 5, "swapped": 3})
        if form == "lower":
            return person.given_name.lower(), person.family_name.lower()
    if form == "swapped":
        return person.family_name, person.given_name
    return person.given_name, person.family_name


def _decide_marketing(chance: Chance, person: Person, account: Account) -> None:
    last = WORLD_NOW - timedelta(hours=6)
    state = chance.weighted(_EMAIL_STATES)
    if state == "INVALID" and account.email and chance.happens(0.6):
        # carriers once gave out addresses that no standard allows
        local_part, domain = account.email.split("@")
        account.email = f"{local_part}..{chance.whole(1, 9)}.@{domain}"
        if not account.is_second:
            person.email = account.email
    account.email_marketing_state = state
    if state != "NOT_SUBSCRIBED":
        at_sign_up = state == "SUBSCRIBED" and chance.happens(0.6)
        account.email_marketing_updated_at = (
            account.created_at if at_sign_up else moment(account.created_at, last, chance.number())
        )
        account.email_opt_in_level = chance.weighted({"SINGLE_OPT_IN": 70, "CONFIRMED_OPT_IN": 24, "UNKNOWN": 6})
    if account.phone:
        account.sms_marketing_state = chance.weighted(_SMS_STATES)
        if account.sms_marketing_state != "NOT_SUBSCRIBED":
            account.sms_marketing_updated_at = moment(account.created_at, last, chance.number())
            account.sms_opt_in_level = chance.weighted({"SINGLE_OPT_IN": 80, "CONFIRMED_OPT_IN": 15, "UNKNOWN": 5})
