"""Run a learned policy on a humanoid with ROS 2, keep the robot safe, and see what happened."""

__version__ = "0.1.0"
