"""Fills the shop's CRM: contacts that know the shop's customers under other spellings, and what they consented to."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.sandbox import typing_errors
from connectors.sandbox.accounts import Account
from connectors.sandbox.chance import Chance
from connectors.sandbox.clock import WORLD_NOW, WORLD_START, moment
from connectors.sandbox.companies import Company, employ
from connectors.sandbox.people import Person

_COUNTRIES = {"JP": ("Japan", "日本", "JP"), "US": ("United States", "USA")}
_SUBSCRIPTIONS = (("318001", "Marketing Information", 0.85), ("318002", "Customer Service Communication", 0.3))
_LEGAL_BASES = {
    "CONSENT_WITH_NOTICE": 55,
    "LEGITIMATE_INTEREST_CLIENT": 20,
    "PERFORMANCE_OF_CONTRACT": 10,
    "NON_GDPR": 10,
    "PROCESS_AND_STORE": 5,
}


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
class Consent:
    email: str
    subscription_id: str
    subscription_name: str
    status: str
    source: str
    legal_basis: str
    updated_at: datetime


def write_contacts(
    seed: int, people: list[Person], accounts: list[Account], companies: list[Company]
) -> tuple[list[Contact], list[Consent]]:
    """HubSpot's contacts and what each address consented to. An e-mail is unique there, as HubSpot demands."""
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
    _reuse_phones(seed, contacts, people)
    employ(seed, contacts, companies, people)
    _keep_emails_unique(contacts)
    contacts.sort(key=lambda contact: (contact.created_at, contact.person_id))
    for position, contact in enumerate(contacts):
        contact.id = 310_001 + 3 * position
    return contacts, _consents(seed, contacts)


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


def _reuse_phones(seed: int, contacts: list[Contact], people: list[Person]) -> None:
    """A number given up by one person and handed to another: a few leads have a phone that once was a buyer's."""
    buyers = [person for person in people if person.role == "buyer" and person.country_code == "JP"]
    leads = {person.person_id for person in people if person.role == "lead" and person.country_code == "JP"}
    for contact in contacts:
        chance = Chance(seed, "reused phone", contact.person_id)
        if contact.person_id in leads and chance.happens(0.03):
            contact.mobilephone = typing_errors.written_phone(chance, chance.pick(buyers).phone, "JP")
            contact.phone = None


def _keep_emails_unique(contacts: list[Contact]) -> None:
    """HubSpot refuses a second contact with an e-mail it has."""
    seen: set[str] = set()
    for contact in contacts:
        if contact.email and contact.email.lower() in seen:
            contact.email = None
        if contact.email:
            seen.add(contact.email.lower())


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
