"""lbapp: a load-balancer appliance that is run from a terminal."""

__version__ = "0.1.0"
