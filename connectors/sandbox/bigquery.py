"""to come"""

from flask import Blueprint


def blueprint(state):
    return Blueprint("bigquery", __name__)
