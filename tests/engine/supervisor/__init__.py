"""Tests of lbapp.engine.supervisor."""
