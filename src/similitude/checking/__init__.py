"""Checking: do networks of several widths learn alike under a plan, and which tensor is to blame if not."""
