"""The vendors Kizuna reads. A new one is one file here and one line in this list."""

from connectors.stream import Source

SOURCES: list[Source] = []
