"""`lbapp demo`: sample servers, an engine and traffic on loopback."""
