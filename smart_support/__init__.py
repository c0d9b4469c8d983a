"""Smart Support."""
