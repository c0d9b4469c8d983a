"""The demo chat model: rules, no language model, no network."""
