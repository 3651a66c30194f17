"""The evidence: what phases A and B and the trace collect. Imported whole before the fork or at start, never while capturing."""
