"""This node's addresses on the network: whether routers send clients here."""
