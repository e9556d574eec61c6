"""`python -m humanoid_rl_ros` is `humanoid_rl`."""

from humanoid_rl_ros.cli.main import main

main()
