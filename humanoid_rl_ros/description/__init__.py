"""A robot as the files that Gazebo and ros2_control read."""
