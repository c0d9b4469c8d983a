"""Messages, locks and rate counters shared by processes."""
