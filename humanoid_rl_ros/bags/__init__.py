"""Bags: written, read, replayed, compared. Nothing here needs ROS."""
