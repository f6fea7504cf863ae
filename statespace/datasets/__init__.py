"""Small real series shipped with the package."""
