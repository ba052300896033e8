"""Links that need no probability, for files that have not been through the warehouse: one identifier and the same name.

The warehouse makes its own (dbt_project/models/identity/identity_edges.sql) with more kinds of identifiers; the guards
are the same in kind. An identifier that many names share links nothing, one that a few share only records of one name.
"""

import pandas as pd

from ml.person_forms import compare_forms

# An e-mail or phone that more names than this use says nothing of a person.
SHARED_BY = 5


def certain_links(records: pd.DataFrame) -> pd.DataFrame:
    """`record_key, link_key` for every record that is one person with others beyond doubt.

    records: `record_key` and any of `person_forms.FIELDS`.
    """
    forms = compare_forms(records).assign(record_key=records["record_key"].astype(str))
    name = [
        "".join(sorted(f"{given}{family}".replace(" ", ""))) if given and family else None
        for given, family in zip(
            forms["given_sound"].where(forms["given_sound"].notna(), forms["given"]),
            forms["family_sound"].where(forms["family_sound"].notna(), forms["family"]),
            strict=True,
        )
    ]
    forms["name"] = pd.Series(name, forms.index, dtype=object)
    forms["any_name"] = forms["given"].fillna("") + "|" + forms["family"].fillna("")
    links = [by_identifier(forms, "email"), by_identifier(forms, "phone")]
    at_home = forms.dropna(subset=["name", "address", "postal_code"])
    key = "home|" + at_home["name"] + "|" + at_home["address"] + "|" + at_home["postal_code"]
    links.append(pd.DataFrame({"record_key": at_home["record_key"], "link_key": key}))
    return pd.concat(links, ignore_index=True).sort_values(["record_key", "link_key"]).reset_index(drop=True)


def by_identifier(forms: pd.DataFrame, field: str) -> pd.DataFrame:
    """Records of one identifier and one name; those without a name where there is one name at most."""
    known = forms.dropna(subset=[field])
    names = known.groupby(field)["name"].nunique()
    count = known[field].map(names)
    # half a name is no name to join by, but a crowd of them is a crowd
    spellings = known[field].map(known.groupby(field)["any_name"].nunique())
    is_linked = (count <= SHARED_BY) & (spellings <= 2 * SHARED_BY) & (known["name"].notna() | (count <= 1))
    linked = known[is_linked.astype(bool)]
    name = linked["name"].where(linked[field].map(names) > 1, "")
    return pd.DataFrame({"record_key": linked["record_key"], "link_key": f"{field}|" + linked[field] + "|" + name})
