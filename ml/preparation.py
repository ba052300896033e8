"""The first step of every pipeline: a snapshot's columns as numbers, learned in training, only applied in scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.declaration import Features

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

UNSEEN = -1


def prepare(features: Features) -> ColumnTransformer:
    """Numbers pass with their gaps (the trees know missing values); text becomes codes, a text never seen becomes -1.

    At most 60 codes a column, rare texts sharing one: histogram trees take no more categories than they have bins.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=UNSEEN, max_categories=60)
    return ColumnTransformer(
        [("numeric", "passthrough", list(features.numeric)), ("text", codes, list(features.text))],
        sparse_threshold=0,
        verbose_feature_names_out=False,
    )
