"""Connections that outlive the route that led to their node: the hand-off ring."""
