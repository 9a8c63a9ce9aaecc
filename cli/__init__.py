"""cli speaks: commands, tables and JSON. Only `cli.workflows` joins the other rooms."""
