"""Entities, states, limits and readings of lbapp: plain data and plain functions, no I/O."""
