"""OpenAPI and Swagger documents become tools."""
