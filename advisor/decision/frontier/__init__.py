"""Every way to train a given ensemble, and which of them are worth their time."""
