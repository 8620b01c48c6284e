"""Decisions as plain functions and small state machines, without I/O or clock."""
