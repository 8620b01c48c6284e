"""Figures, never timed tests: what lbapp costs beside its peers on this machine."""
