"""How nodes stand beside each other: the store that they share, their routes, their records in DNS."""
