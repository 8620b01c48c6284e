"""The headless engine: one supervisor, N workers."""
