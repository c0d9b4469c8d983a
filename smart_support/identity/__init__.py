"""Users, API keys, logins and roles."""
