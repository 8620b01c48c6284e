"""The lbapp command."""
