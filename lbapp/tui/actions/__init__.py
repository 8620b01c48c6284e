"""What an operator can have done, as data and plain functions."""
