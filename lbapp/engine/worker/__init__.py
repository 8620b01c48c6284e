"""A data-plane process: accepts, relays, records."""
