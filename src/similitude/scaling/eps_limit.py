"""What an entrywise optimizer trains as once eps is larger than the gradients that it is compared with; paper 14,
Section 2.2.
"""

from __future__ import annotations

from dataclasses import replace

from similitude.core.citation import cites
from similitude.scaling.abcd import Parametrization
from similitude.scaling.regime import classify


@cites(14, "Section 2.2: parametrizations that are not faithful")
def where_eps_wins(parametrization: Parametrization) -> Parametrization:
    """Return the parametrization that networks train in which are so wide that eps decides.

    An update g / (|g| + eps) is g / eps there: the layer trains as under SGD, with the same exponents. Gradients of the
    layers below may fall by that, so that eps wins there too. A parametrization whose eps goes as n^-d stays as it is.

    Args:
        parametrization: The exponents.

    Example:
        muP with the constant eps of everyday code ends as a kernel: its head still learns, its features do not.

        >>> from similitude.scaling.abcd import abcd
        >>> mup = abcd("mup", "entrywise").folded()
        >>> constant = Parametrization("eps stays", tuple(replace(x, d=x.d * 0) for x in mup.layers))
        >>> end = classify(where_eps_wins(constant))
        >>> end.kind, str(end.r), [x.family for x in end.parametrization.layers]
        ('kernel', '1', ['sgd', 'sgd', 'entrywise'])
    """
    found = parametrization
    while True:
        missing = classify(found).faithful
        layers = tuple(
            replace(x, family="sgd") if x.family == "entrywise" and m > 0 else x
            for x, m in zip(found.layers, missing, strict=True)
        )
        if layers == found.layers:
            return found
        found = replace(found, layers=layers)
