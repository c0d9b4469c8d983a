"""What an operator does beside running the app, a file for each family; `__main__.py` puts them together.

Each has an `add(commands)` that names its arguments and, as `run`, what is called with them.
"""
