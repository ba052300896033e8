"""Writes dbt_project/macros/phone_patterns.sql from the phonenumbers library: `python -m tests.phone_patterns`.

SQL reads phones a million at a time and on Spark too, where the library cannot be called; its own patterns, written
without backslashes, say the same. A test fails when the installed library has newer ones."""

import re
from pathlib import Path
from typing import Any

import phonenumbers

FILE = Path(__file__).resolve().parent.parent / "dbt_project" / "macros" / "phone_patterns.sql"
KINDS = ("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan")


def metadata(code: int) -> Any:
    """The main region of a calling code."""
    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0]
    if region == "001":
        return phonenumbers.PhoneMetadata.metadata_for_nongeo_region(code)
    return phonenumbers.PhoneMetadata.metadata_for_region(region)


def drops_zero(code: int) -> bool:
    """Whether the 0 of +44 (0)20 is no part of the number: the library says so of every example it has."""
    known = metadata(code)
    examples = [getattr(known, kind).example_number for kind in KINDS if getattr(known, kind)]
    examples = [example for example in examples if example and not example.startswith("0")]
    general = re.compile(known.general_desc.national_number_pattern)
    if not examples or any(general.fullmatch(f"0{example}") for example in examples):
        return False
    parsed = [phonenumbers.parse(f"+{code}0{example}") for example in examples]
    return all(
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == f"+{code}{example}"
        for number, example in zip(parsed, examples, strict=True)
    )


def written() -> str:
    codes = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    abroad = [f"{code}(?:{metadata(code).general_desc.national_number_pattern})" for code in codes if code != 81]
    kinds = [getattr(metadata(81), kind) for kind in KINDS]
    japan = dict.fromkeys(kind.national_number_pattern for kind in kinds if kind)
    dropping = [str(code) for code in codes if drops_zero(code)]
    macros = {
        "japanese_numbers": ("Every number that is in use in Japan, without the 0.", "|".join(filter(None, japan))),
        "numbers_abroad": ("Every other country's, with the calling code.", "|".join(abroad)),
        "codes_dropping_zero": ("Calling codes after which a 0 is no part of the number.", "|".join(dropping)),
    }
    lines = ["{# Written by `python -m tests.phone_patterns` from the phonenumbers library; not by hand. #}"]
    for name, (meaning, pattern) in macros.items():
        pieces = [pattern.replace(r"\d", "[0-9]")[at : at + 100] for at in range(0, len(pattern) * 4, 100)]
        quoted = "\n    ~ ".join(f"'{piece}'" for piece in pieces if piece)
        lines += [
            f"\n{{# {meaning} #}}",
            f"{{% macro {name}() -%}}",
            f"  {{{{ return({quoted}) }}}}",
            "{%- endmacro %}",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(), "utf-8")
