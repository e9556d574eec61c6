"""Behaviours and safety monitor together: what answers a state, in a node, in a drill, in a replay."""
