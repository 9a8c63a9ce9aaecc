"""Published training settings by family and data set, and the settings that a user may choose."""
