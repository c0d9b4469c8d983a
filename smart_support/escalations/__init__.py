"""Escalations: a conversation that needs a person, recorded and sent to a webhook."""
