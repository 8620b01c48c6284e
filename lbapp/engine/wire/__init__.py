"""Protocol bytes to heads and back, without I/O."""
