"""The companies some people work for, their shared addresses and switchboards, and the offers made to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from connectors.sandbox import typing_errors
from connectors.sandbox.chance import Chance
from connectors.sandbox.clock import WORLD_NOW, WORLD_START, moment
from connectors.sandbox.people import Person

_COMPANY_STEMS = (
    ("青空", "aozora"), ("若葉", "wakaba"), ("朝日", "asahi"), ("つばめ", "tsubame"), ("ひまわり", "himawari"),
    ("北斗", "hokuto"), ("清流", "seiryu"), ("楓", "kaede"), ("港", "minato"), ("山彦", "yamabiko"),
    ("Harbor", "harbor"), ("Maple", "maple"), ("Sunrise", "sunrise"), ("Lantern", "lantern"), ("Pine", "pine"),
)  # fmt: skip
_COMPANY_KINDS = (
    ("食堂", "RESTAURANTS"),
    ("商店", "RETAIL"),
    ("保育園", "EDUCATION_MANAGEMENT"),
    ("ホテル", "HOSPITALITY"),
    ("事務所", "LEGAL_SERVICES"),
)
_STAGES = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent", "closedwon", "closedlost")


class Employee(Protocol):
    """A contact as far as a company sees it."""

    id: int
    person_id: str
    created_at: datetime
    archived: bool
    email: str | None
    phone: str | None
    company_id: int | None


@dataclass
class Company:
    id: int
    created_at: datetime
    updated_at: datetime
    archived: bool
    name: str
    domain: str
    industry: str
    phone: str
    city: str
    country: str


@dataclass
class Deal:
    id: int
    created_at: datetime
    updated_at: datetime
    archived: bool
    dealname: str
    amount: Decimal
    deal_currency_code: str
    dealstage: str
    pipeline: str
    closedate: datetime
    contact_id: int
    company_id: int | None


def found_companies(seed: int, people_count: int) -> list[Company]:
    companies = []
    for number in range(1, max(4, people_count // 70) + 1):
        chance = Chance(seed, "company", number)
        stem, stem_romaji = chance.pick(_COMPANY_STEMS)
        kind, industry = chance.pick(_COMPANY_KINDS)
        created_at = moment(WORLD_START - timedelta(days=600), WORLD_NOW - timedelta(days=30), chance.number())
        phone = f"+813{chance.whole(3, 6)}{chance.whole(0, 9_999_999):07d}"
        companies.append(
            Company(
                710_000 + number,
                created_at,
                moment(created_at, WORLD_NOW - timedelta(days=1), chance.number()),
                chance.happens(0.02),
                f"{chance.pick(('株式会社', '有限会社', ''))}{stem}{kind}{number}",
                f"{stem_romaji}{number}.example.jp",
                industry,
                typing_errors.written_phone(chance, phone, "JP"),
                chance.pick(("東京", "大阪", "横浜", "福岡", "札幌")),
                "Japan",
            )
        )
    return companies


def employ(seed: int, contacts: Sequence[Employee], companies: list[Company], people: list[Person]) -> None:
    """Some contacts belong to a company; of each company one, at most, answers at its shared `info@` address.

    Now and then a colleague who buys as a guest leaves that shared address with an order, too.
    """
    persons = {person.person_id: person for person in people}
    answering: dict[int, str] = {}
    for contact in contacts:
        chance = Chance(seed, "company of", contact.person_id)
        is_lead = persons[contact.person_id].role == "lead"
        if not chance.happens(0.25 if is_lead else 0.02):
            continue
        company = chance.pick(companies)
        contact.company_id = company.id
        if contact.phone is None and chance.happens(0.4):
            # the company's switchboard, shared by everybody there
            contact.phone = company.phone
        if is_lead and company.id not in answering and chance.happens(0.2):
            answering[company.id] = f"{chance.pick(('info', 'info', 'office', 'shop'))}@{company.domain}"
            contact.email = answering[company.id]
    shared = sorted(answering.values())
    for person in people:
        chance = Chance(seed, "office address", person.person_id)
        if shared and person.has_account and person.guest_rate > 0 and chance.happens(0.025):
            person.office_email = chance.pick(shared)


def make_offers(seed: int, contacts: Sequence[Employee]) -> list[Deal]:
    """Offers to companies: catering, gift boxes, standing orders."""
    deals: list[Deal] = []
    for contact in contacts:
        chance = Chance(seed, "deal", contact.id)
        if contact.archived or not chance.happens(0.6 if contact.company_id else 0.02):
            continue
        created_at = moment(contact.created_at, WORLD_NOW - timedelta(days=1), chance.number())
        number = len(deals) + 1
        deals.append(
            Deal(
                910_000 + number,
                created_at,
                moment(created_at, WORLD_NOW - timedelta(hours=3), chance.number()),
                chance.happens(0.02),
                f"{chance.pick(('ケータリング', 'ギフトセット', 'Standing order', '年間契約'))} {number}",
                Decimal(chance.whole(5_000, 900_000)) / 100,
                "USD",
                chance.pick(_STAGES),
                "default",
                created_at + timedelta(days=chance.whole(5, 90)),
                contact.id,
                contact.company_id,
            )
        )
    return deals
