"""The local page as a web application."""
