"""An API's own description, read, reviewed and turned into tools."""
