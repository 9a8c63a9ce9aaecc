"""What every command answers: frozen dataclasses, from which JSON, tables, pages and notebooks are made."""
