"""Vision models and what is asked of them."""
