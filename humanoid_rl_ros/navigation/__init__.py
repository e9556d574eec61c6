"""From a map of the floor to a velocity command: the grid that is learned on, and the policy that is followed."""
