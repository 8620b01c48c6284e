"""The balancing algorithms, one file each."""
