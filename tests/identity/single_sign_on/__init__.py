"""Tests of logins with the identity provider."""
