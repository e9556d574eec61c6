"""Physics behind one small interface: efforts in, robot states out; knows no ROS."""
