"""Tests of what is kept about a workspace: its bytes, whom it is trusted from, what is ours, and what stays true."""
