"""From the operator's TOML to the model, with every error at once."""
