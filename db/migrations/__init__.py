"""Alembic's scripts, one a released schema; `db.session` runs them."""
