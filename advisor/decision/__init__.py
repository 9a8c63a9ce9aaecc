"""The choice of a design: search, ranking, reasons, alternatives, probes, and the switchover threshold."""
