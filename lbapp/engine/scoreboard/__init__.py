"""Shared memory between supervisor and workers: layout, segment, cells, totals."""
