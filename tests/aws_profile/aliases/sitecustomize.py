"""Names that Python had until 3.9, for the AWS CLI of 2018."""

import collections
import collections.abc

for name in collections.abc.__all__:
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))
