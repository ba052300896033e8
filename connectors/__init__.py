"""All that talks to vendors: sources, destinations, the HTTP layer, landing, the sync engine and the sandbox."""
