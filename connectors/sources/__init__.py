"""The vendors Kizuna reads. A new one is one file here and one line in this list."""

from connectors.sources import ga4, hubspot, mailchimp, shopify
from connectors.stream import Source

SOURCES: list[Source] = [shopify.SOURCE, hubspot.SOURCE, ga4.SOURCE, mailchimp.SOURCE]
