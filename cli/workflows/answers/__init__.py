"""The answers of every command: frozen dataclasses, which JSON, tables, pages and notebooks are made from."""
