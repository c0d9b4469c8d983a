"""The gate without a graph."""
