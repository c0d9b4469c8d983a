"""The doors for programs: the socket and REST. They translate; no rule lives here."""
