"""The public contract between engine, command line and TUI."""
