"""Fills the shop's CRM: contacts that know the shop's customers under other spellings, companies, deals and consents."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.sandbox import typing_errors
from connectors.sandbox.accounts import Account
from connectors.sandbox.chance import Chance
from connectors.sandbox.clock import WORLD_NOW, WORLD_START, moment
from connectors.sandbox.people import Person

_COUNTRIES = {"JP": ("Japan", "日本", "JP"), "US": ("United States", "USA")}
_COMPANY_STEMS = (
    "青空", "若葉", "朝日", "つばめ", "ひまわり", "北斗", "清流", "楓", "港", "山彦", "Harbor", "Maple", "Sunrise", "Lantern", "Pine",
)  # fmt: skip
_COMPANY_KINDS = {
    "食堂": "RESTAURANTS", "商店": "RETAIL", "保育園": "EDUCATION_MANAGEMENT", "ホテル": "HOSPITALITY", "事務所": "LEGAL_SERVICES",
}  # fmt: skip
_ROMAJI_STEMS = {
    "青空": "aozora", "若葉": "wakaba", "朝日": "asahi", "つばめ": "tsubame", "ひまわり": "himawari", "北斗": "hokuto",
    "清流": "seiryu", "楓": "kaede", "港": "minato", "山彦": "yamabiko",
}  # fmt: skip
_STAGES = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent", "closedwon", "closedlost")
_SUBSCRIPTIONS = (("318001", "Marketing Information", 0.85), ("318002", "Customer Service Communication", 0.3))
_LEGAL_BASES = {
    "CONSENT_WITH_NOTICE": 55, "LEGITIMATE_INTEREST_CLIENT": 20, "PERFORMANCE_OF_CONTRACT": 10, "NON_GDPR": 10, "PROCESS_AND_STORE": 5,
}  # fmt: skip


@dataclass
class Contact:
    """One HubSpot contact; `person_id` stays inside the world."""

    id: int
    person_id: str
    created_at: datetime
    updated_at: datetime
    archived: bool
    archived_at: datetime | None
    email: str | None
    firstname: str | None
    lastname: str | None
    phone: str | None
    mobilephone: str | None
    address: str | None
    city: str | None
    state: str | None
    zip: str | None
    country: str | None
    date_of_birth: str | None
    lifecyclestage: str
    company_id: int | None
    shopify_customer_id: str | None
    hs_email_optout: bool
    hs_merged_object_ids: str | None


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


@dataclass
class Consent:
    email: str
    subscription_id: str
    subscription_name: str
    status: str
    source: str
    legal_basis: str
    updated_at: datetime


@dataclass
class Crm:
    contacts: list[Contact]
    companies: list[Company]
    deals: list[Deal]
    consents: list[Consent]


def fill_crm(seed: int, people: list[Person], accounts: list[Account]) -> Crm:
    """Everything HubSpot holds. A contact's e-mail is unique there, as HubSpot demands."""
    companies = _companies(seed, len(people))
    first_accounts = {account.person_id: account for account in accounts if not account.is_second}
    second_accounts = {account.person_id for account in accounts if account.is_second}
    buyers = {person.household_id: person for person in people if person.role == "buyer"}
    contacts: list[Contact] = []
    for person in people:
        if not person.in_crm:
            continue
        chance = Chance(seed, "contact", person.person_id)
        contact = _contact(chance, person, first_accounts.get(person.person_id))
        buyer = buyers.get(person.household_id) if person.role == "family" else None
        if buyer is not None and not buyer.in_crm and chance.happens(0.03):
            # the family member left the buyer's address with the staff: an e-mail that two people share
            contact.email = buyer.email
        contacts.append(contact)
        has_other_email = person.second_email is not None and person.person_id not in second_accounts
        if chance.happens(0.03) and contact.email == person.email:
            other = _contact(chance, person, None, duplicate_of=contact)
            other.email = person.second_email if has_other_email else None
            contacts.append(other)
    _work_for_companies(seed, contacts, companies, people)
    _keep_emails_unique(contacts)
    contacts.sort(key=lambda contact: (contact.created_at, contact.person_id))
    for position, contact in enumerate(contacts):
        contact.id = 310_001 + 3 * position
    return Crm(contacts, companies, _deals(seed, contacts), _consents(seed, contacts))


def _contact(chance: Chance, person: Person, account: Account | None, duplicate_of: Contact | None = None) -> Contact:
    known_from = (
        account.created_at if account else moment(WORLD_START - timedelta(days=300), WORLD_NOW, chance.number())
    )
    created_at = min(known_from + timedelta(minutes=chance.whole(3, 60 * 24 * 30)), WORLD_NOW - timedelta(days=1))
    email = _contact_email(chance, person, account)
    # what else ties the contact to the shop's customer, when the e-mail does not
    if account is None:
        tie = "phone" if person.role != "buyer" else "none"
    elif email == person.email:
        tie = "number" if chance.happens(0.4) else "none"
    else:
        tie = chance.weighted({"number": 55, "phone": 41, "nothing": 4})
    if duplicate_of is not None:
        tie = "phone"
    name = typing_errors.written_name(chance, person, same_script=tie == "phone")
    mobile = landline = None
    if tie == "phone" or (tie != "nothing" and chance.happens(0.72)):
        mobile = typing_errors.written_phone(chance, person.phone, person.country_code)
    if person.landline and chance.happens(0.6):
        landline = typing_errors.written_phone(chance, person.landline, "JP")
    in_one_field = landline is None and chance.happens(0.55)
    has_address = chance.happens(0.7)
    archived = duplicate_of is None and chance.happens(0.012)
    updated_at = moment(created_at, WORLD_NOW - timedelta(hours=2), chance.number())
    return Contact(
        0, person.person_id, created_at, updated_at, archived, updated_at if archived else None,
        email, name.first, name.last,
        phone=mobile if in_one_field else landline, mobilephone=None if in_one_field else mobile,
        address=typing_errors.written_address(chance, person.address1) if has_address else None,
        city=person.city if has_address else None, state=person.prefecture if has_address else None,
        zip=_written_zip(chance, person.postal_code) if has_address else None,
        country=chance.pick(_COUNTRIES[person.country_code]) if has_address or person.country_code == "US" else None,
        date_of_birth=typing_errors.written_birth_date(chance, person)
        if person.knows_age or chance.happens(0.35) else None,
        lifecyclestage=_lifecycle_stage(chance, person), company_id=None,
        shopify_customer_id=str(account.id) if account is not None and tie == "number" else None,
        hs_email_optout=False,
        hs_merged_object_ids=str(chance.whole(200_001, 299_999)) if chance.happens(0.02) else None,
    )  # fmt: skip


def _contact_email(chance: Chance, person: Person, account: Account | None) -> str | None:
    if account is None:
        # nothing else would tie a guest's purchases to the contact
        return person.email if person.role == "buyer" or chance.happens(0.93) else None
    weights = {"same": 82.0, "capitals": 3.0, "mistyped": 4.0, "missing": 5.0}
    if person.second_email:
        weights["second"] = 25.0
    form = chance.weighted(weights)
    if form == "capitals":
        return person.email.upper() if chance.happens(0.3) else person.email.capitalize()
    if form == "mistyped":
        return typing_errors.mistyped_email(chance, person.email)
    if form == "second":
        return person.second_email
    return person.email if form == "same" else None


def _written_zip(chance: Chance, postal_code: str) -> str:
    form = chance.weighted({"plain": 75, "compact": 15, "mark": 10})
    if "-" not in postal_code or form == "plain":
        return postal_code
    return postal_code.replace("-", "") if form == "compact" else f"〒{postal_code}"


def _lifecycle_stage(chance: Chance, person: Person) -> str:
    if person.role == "lead" or not person.buying_share:
        return chance.weighted({"lead": 50, "subscriber": 25, "marketingqualifiedlead": 15, "opportunity": 10})
    return chance.weighted({"customer": 92, "evangelist": 3, "lead": 5})


def _keep_emails_unique(contacts: list[Contact]) -> None:
    """HubSpot refuses a second contact with an e-mail it has."""
    seen: set[str] = set()
    for contact in contacts:
        if contact.email and contact.email.lower() in seen:
            contact.email = None
        if contact.email:
            seen.add(contact.email.lower())


def _companies(seed: int, people_count: int) -> list[Company]:
    companies = []
    for number in range(max(4, people_count // 70)):
        chance = Chance(seed, "company", number)
        stem = chance.pick(_COMPANY_STEMS)
        kind = chance.pick(tuple(_COMPANY_KINDS))
        stem_romaji = _ROMAJI_STEMS.get(stem, stem).lower()
        created_at = moment(WORLD_START - timedelta(days=600), WORLD_NOW - timedelta(days=30), chance.number())
        phone = f"+813{chance.whole(3, 6)}{chance.whole(0, 9_999_999):07d}"
        companies.append(
            Company(
                710_001 + number,
                created_at,
                moment(created_at, WORLD_NOW - timedelta(days=1), chance.number()),
                chance.happens(0.02),
                f"{chance.pick(('株式会社', '有限会社', ''))}{stem}{kind}{number + 1}",
                f"{stem_romaji}{number + 1}.example.jp",
                _COMPANY_KINDS[kind],
                typing_errors.written_phone(chance, phone, "JP"),
                chance.pick(("東京", "大阪", "横浜", "福岡", "札幌")),
                "Japan",
            )  # fmt: skip
        )
    return companies


def _work_for_companies(seed: int, contacts: list[Contact], companies: list[Company], people: list[Person]) -> None:
    """Some contacts belong to a company; of each company one, at most, answers at its shared `info@` address."""
    roles = {person.person_id: person.role for person in people}
    answering: set[int] = set()
    for contact in contacts:
        chance = Chance(seed, "company of", contact.person_id)
        if not chance.happens(0.25 if roles[contact.person_id] == "lead" else 0.02):
            continue
        company = chance.pick(companies)
        contact.company_id = company.id
        if chance.happens(0.4):
            # the company's switchboard, shared by everybody there
            contact.phone = company.phone if contact.phone is None else contact.phone
        if roles[contact.person_id] == "lead" and company.id not in answering and chance.happens(0.2):
            answering.add(company.id)
            contact.email = f"{chance.pick(('info', 'info', 'office', 'shop'))}@{company.domain}"


def _deals(seed: int, contacts: list[Contact]) -> list[Deal]:
    """Offers to companies: catering, gift boxes, standing orders."""
    deals = []
    for contact in contacts:
        chance = Chance(seed, "deal", contact.id)
        if contact.archived or not chance.happens(0.6 if contact.company_id else 0.02):
            continue
        created_at = moment(contact.created_at, WORLD_NOW - timedelta(days=1), chance.number())
        stage = chance.pick(_STAGES)
        deals.append(
            Deal(
                910_001 + len(deals),
                created_at,
                moment(created_at, WORLD_NOW - timedelta(hours=3), chance.number()),
                chance.happens(0.02),
                f"{chance.pick(('ケータリング', 'ギフトセット', 'Standing order', '年間契約'))} {len(deals) + 1}",
                Decimal(chance.whole(5_000, 900_000)) / 100,
                "USD",
                stage,
                "default",
                created_at + timedelta(days=chance.whole(5, 90)),
                contact.id,
                contact.company_id,
            )  # fmt: skip
        )
    return deals


def _consents(seed: int, contacts: list[Contact]) -> list[Consent]:
    """What each address said to each kind of e-mail; a global opt-out is a no to all of them."""
    consents = []
    for contact in contacts:
        if contact.email is None:
            continue
        chance = Chance(seed, "consent", contact.id)
        contact.hs_email_optout = chance.happens(0.05)
        for subscription_id, name, probability in _SUBSCRIPTIONS:
            if not contact.hs_email_optout and not chance.happens(probability):
                continue
            status = chance.weighted({"SUBSCRIBED": 68, "UNSUBSCRIBED": 20, "NOT_SPECIFIED": 12})
            if contact.hs_email_optout:
                status = "UNSUBSCRIBED"
            said_at = moment(contact.created_at, WORLD_NOW - timedelta(hours=5), chance.number())
            source = chance.weighted({"FORM": 45, "PREFERENCE_PAGE": 25, "IMPORT": 20, "API": 10})
            consents.append(
                Consent(contact.email, subscription_id, name, status, source, chance.weighted(_LEGAL_BASES), said_at)
            )
            contact.updated_at = max(contact.updated_at, said_at)
    return consents
