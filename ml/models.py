"""The list of models: a new one is a file of its own and a line here."""

from __future__ import annotations

from ml.churn import CHURN
from ml.declaration import Model
from ml.propensity import PROPENSITY

MODELS: dict[str, Model] = {model.name: model for model in (CHURN, PROPENSITY)}


def find(model: Model | str) -> Model:
    """A model by name; raises `KeyError` naming the models there are."""
    if isinstance(model, Model):
        return model
    if model not in MODELS:
        raise KeyError(f"there is no model {model!r}; ml/models.py lists {', '.join(sorted(MODELS))}")
    return MODELS[model]
