"""`lbapp dns`: this node's records in a zone, as long as it is ready."""
