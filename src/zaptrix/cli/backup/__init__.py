"""`zaptrix backup` and `zaptrix restore`."""
