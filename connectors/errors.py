"""What can go wrong between us and a vendor, and messages that are safe to log.

VendorError
├── VendorDown        no usable answer (5xx, time-out, refused connection) for as long as we were told to try
├── Throttled         the vendor kept saying "slow down", or asks to wait longer than we may
├── AuthError         credentials refused; names the environment variable
├── RequestRefused    the vendor understood and said no (other 4xx); `.status` and `.answer` tell why
├── MalformedAnswer   the answer is not what the protocol promises (broken JSON, a cursor that stands still)
├── OutcomeUnknown    a write that may not be repeated was sent and no answer came back
└── ContractError     a declared field disappeared or changed type; names stream, field and a sample
"""

import re
from typing import Any

EMAIL = re.compile(r"[^\s\"'<>()=&/,;:]+(?:@|%40)[^\s\"'<>()=&/,;]+", re.IGNORECASE)
PHONE = re.compile(r"(?:\+|%2B)\d{8,15}\b")
# Digests of e-mails identify people as well as the address does.
DIGEST = re.compile(r"\b[0-9a-f]{32}(?:[0-9a-f]{8})?(?:[0-9a-f]{24})?\b")
SECRET_PARAMETER = re.compile(
    r"(?i)(access_token|refresh_token|client_secret|api_key|apikey|assertion|authorization|bearer|basic|signature)"
    r"(\"?\s*[=:]?\s*\"?)(?:(?:bearer|basic)\s+)?([^\s\"&,}]+)"
)


class VendorError(Exception):
    """Anything that went wrong between us and a vendor; the message is safe to log."""


class VendorDown(VendorError):
    """No usable answer within the time allowed."""


class Throttled(VendorError):
    """The vendor's limits did not let us through within the time allowed."""


class AuthError(VendorError):
    """The vendor refuses the credentials."""


class RequestRefused(VendorError):
    """The vendor answered 4xx. `answer` is its parsed JSON (may hold personal data: never log it), None if not JSON."""

    def __init__(self, message: str, status: int, answer: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer


class MalformedAnswer(VendorError):
    """The answer breaks the vendor's own protocol."""


class OutcomeUnknown(VendorError):
    """A write left us and its outcome is not known; it must not be repeated blindly."""


class ContractError(VendorError):
    """Rows no longer look as declared."""

    def __init__(self, stream: str, field: str, problem: str, sample: str | None = None) -> None:
        shown = "" if sample is None else f"; sample: {sample}"
        super().__init__(f"{stream}.{field}: {problem}{shown}")
        self.stream, self.field, self.problem, self.sample = stream, field, problem, sample


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """The text without the given secrets, tokens in parameters, e-mails, phone numbers and digests of them."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = SECRET_PARAMETER.sub(r"\1\2***", text)
    return DIGEST.sub("<digest>", PHONE.sub("<phone>", EMAIL.sub("<email>", text)))
