"""The message bus, locks and rate counters that processes of one system share."""
