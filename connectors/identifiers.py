"""How each vendor wants an e-mail, phone or name written and hashed: once in Python, once as SQL, held equal by a test.

The sync engine uses the SQL, so that nothing loops over customers; the Python twin is the readable definition and
serves single look-ups. Both expect contact points as the warehouse normalises them (lower-cased e-mail, E.164 phone)
and stay right when they are not.

A value that is empty after normalising has no hash: the SHA-256 of the empty string (e3b0c442...) would match every
other customer without that value.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

# What people paste around an address: spaces, tabs, line ends, no-break and full-width space, byte order mark.
_BLANKS = " \t\r\n\x0b\x0c\u00a0\u3000\ufeff"
_SQL_BLANKS = " || ".join(f"chr({ord(blank)})" for blank in _BLANKS)


def _lower(text: str) -> str:
    # DuckDB lowers character by character; str.lower() knows the final sigma and may lengthen. Same answer for both.
    return "".join(character.lower()[0] for character in text)


def _trimmed(text: str) -> str:
    return _lower(text.strip(_BLANKS))


def _letters(text: str) -> str:
    return "".join(c for c in _trimmed(text) if unicodedata.category(c)[0] not in "PSZC")


def _digits(text: str) -> str:
    return "".join(c for c in text if c in "0123456789")


def _ascii_letters(text: str) -> str:
    return "".join(c for c in _trimmed(text) if "a" <= c <= "z")


def _zip_code(text: str) -> str:
    return "".join(c for c in _trimmed(text).split("-")[0] if c not in _BLANKS)


def _sql_trimmed(column: str) -> str:
    return f"lower(trim({column}, {_SQL_BLANKS}))"


def _sql_letters(column: str) -> str:
    return rf"regexp_replace({_sql_trimmed(column)}, '[\pP\pS\pZ\pC]', '', 'g')"


@dataclass(frozen=True, slots=True)
class Rule:
    """One identifier at one vendor: its written form, as Python and as a SQL expression, and its hash (or none)."""

    normalise: Callable[[str], str]
    normalise_sql: Callable[[str], str]
    digest: str | None  # "md5", "sha256" or None for identifiers that travel in clear

    def __call__(self, value: str | None) -> str | None:
        """The value as the vendor wants it, or None when nothing is left to send."""
        written = self.normalise(value) if value is not None else ""
        if not written:
            return None
        if self.digest is None:
            return written
        return hashlib.new(self.digest, written.encode(), usedforsecurity=False).hexdigest()

    def sql(self, column: str) -> str:
        """The same as a SQL expression over a text column; NULL when nothing is left to send."""
        written = self.normalise_sql(column)
        result = written if self.digest is None else f"{self.digest}({written})"
        return f"CASE WHEN {written} <> '' THEN {result} END"


# Mailchimp's subscriber hash: MD5 of the lower-cased address (Marketing API 3.0).
MAILCHIMP_SUBSCRIBER_HASH = Rule(_trimmed, _sql_trimmed, "md5")
MAILCHIMP_ADDRESS = Rule(_trimmed, _sql_trimmed, None)

# Meta's customer file keys (Marketing API v26.0): normalise, SHA-256, lower-case hexadecimal.
META: dict[str, Rule] = {
    "EXTERN_ID": Rule(lambda text: text.strip(_BLANKS), lambda column: f"trim({column}, {_SQL_BLANKS})", "sha256"),
    "EMAIL": Rule(_trimmed, _sql_trimmed, "sha256"),
    # Digits with the country code, no plus, no leading zeros.
    "PHONE": Rule(
        lambda text: _digits(text).lstrip("0"),
        lambda column: f"ltrim(regexp_replace({column}, '[^0-9]', '', 'g'), '0')",
        "sha256",
    ),
    "GEN": Rule(lambda text: _ascii_letters(text)[:1], lambda column: f"{_sql_ascii(column)}[1:1]", "sha256"),
    "DOBY": Rule(_digits, lambda column: f"regexp_replace({column}, '[^0-9]', '', 'g')", "sha256"),
    "DOBM": Rule(lambda text: _two_digits(text), lambda column: _sql_two_digits(column), "sha256"),
    "DOBD": Rule(lambda text: _two_digits(text), lambda column: _sql_two_digits(column), "sha256"),
    # Accents and non-Latin scripts stay as they are.
    "FN": Rule(_letters, _sql_letters, "sha256"),
    "LN": Rule(_letters, _sql_letters, "sha256"),
    "FI": Rule(lambda text: _letters(text)[:1], lambda column: f"{_sql_letters(column)}[1:1]", "sha256"),
    "CT": Rule(_ascii_letters, lambda column: _sql_ascii(column), "sha256"),
    "ST": Rule(_letters, _sql_letters, "sha256"),
    "ZIP": Rule(_zip_code, lambda column: _sql_zip_code(column), "sha256"),
    "COUNTRY": Rule(lambda text: _ascii_letters(text)[:2], lambda column: f"{_sql_ascii(column)}[1:2]", "sha256"),
    "MADID": Rule(_trimmed, _sql_trimmed, None),
}


def _two_digits(text: str) -> str:
    digits = _digits(text)
    return digits.rjust(2, "0") if digits else ""


def _sql_two_digits(column: str) -> str:
    digits = f"regexp_replace({column}, '[^0-9]', '', 'g')"
    return f"CASE WHEN length({digits}) = 1 THEN '0' || {digits} ELSE {digits} END"


def _sql_ascii(column: str) -> str:
    return f"regexp_replace({_sql_trimmed(column)}, '[^a-z]', '', 'g')"


def _sql_zip_code(column: str) -> str:
    return f"translate(split_part({_sql_trimmed(column)}, '-', 1), {_SQL_BLANKS}, '')"
