"""The stores of processes that share a Postgres: each is for many what its namesake above is for one."""
