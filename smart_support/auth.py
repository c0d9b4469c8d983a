"""Identity: who is at a door. Without authentication everyone on this machine is one and the same."""

LOCAL_USER = "local user"
