"""How many clients a process can serve with the files that it may have open.

Responsible for the arithmetic between the two. Knows nothing of who opens what.

Invariant: clients, pipes and what is spare never need more files than there may be.
"""

from __future__ import annotations

from lbapp.model.limits import DESCRIPTORS_PER_CLIENT, DESCRIPTORS_PER_PIPE, DESCRIPTORS_SPARE, PIPES_MAX


def pipes_max(descriptors: int) -> int:
    """Return how many pipes a process may have that may have so many files open."""
    return min(PIPES_MAX, descriptors // DESCRIPTORS_PER_PIPE)


def room_for_clients(descriptors: int) -> int:
    """Return how many clients a process may serve that may have so many files open."""
    return max(1, (descriptors - DESCRIPTORS_SPARE - 2 * pipes_max(descriptors)) // DESCRIPTORS_PER_CLIENT)


def descriptors_for(clients: int) -> int:
    """Return how many files a process has to be allowed that may serve so many clients: the fewest that do."""
    needed = 0
    while (more := clients * DESCRIPTORS_PER_CLIENT + DESCRIPTORS_SPARE + 2 * pipes_max(needed)) > needed:
        needed = more
    return needed
