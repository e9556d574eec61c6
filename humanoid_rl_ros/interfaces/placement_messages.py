"""How a simulated robot is put into a state: parameters by name, in the request of a standard service.

No message of ROS carries positions, velocities, friction and mass of one robot, and a package in pure Python cannot
make one. `rcl_interfaces/srv/SetParametersAtomically` carries arrays by name, all or none, and answers with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError


def placement_request(values: Mapping[str, FloatArray]) -> SetParametersAtomically.Request:
    """The request.

    Args:
        values: by the names of a placement's fields [Shape (k,) each].
    """
    return SetParametersAtomically.Request(
        parameters=[
            Parameter(
                name=name,
                value=ParameterValue(
                    type=ParameterType.PARAMETER_DOUBLE_ARRAY, double_array_value=np.asarray(value).tolist()
                ),
            )
            for name, value in values.items()
        ]
    )


def placement_values(request: Any) -> dict[str, FloatArray]:
    """What a request sets, by name.

    Raises:
        StateError: a name comes twice, or its value is no array of numbers.
    """
    found: dict[str, FloatArray] = {}
    for parameter in request.parameters:
        value = parameter.value
        if value.type == ParameterType.PARAMETER_DOUBLE_ARRAY:
            numbers = value.double_array_value
        elif value.type == ParameterType.PARAMETER_DOUBLE:
            numbers = [value.double_value]
        else:
            raise StateError(f"'{parameter.name}' must be an array of doubles")
        if parameter.name in found:
            raise StateError(f"'{parameter.name}' is given twice")
        found[parameter.name] = np.array(numbers, dtype=np.float64)
    return found
