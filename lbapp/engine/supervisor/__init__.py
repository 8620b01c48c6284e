"""The parent process: sockets, workers, health, control."""
