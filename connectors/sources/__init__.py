"""The vendors Kizuna reads. A new one is one file here and one line in this list."""

from connectors.sources import ga4, google_ads, hubspot, mailchimp, meta_insights, shopify
from connectors.stream import Source

SOURCES: list[Source] = [
    shopify.SOURCE,
    hubspot.SOURCE,
    ga4.SOURCE,
    mailchimp.SOURCE,
    meta_insights.SOURCE,
    google_ads.SOURCE,
]
