"""What tests of every area may ask for."""

from tests.testbed_fixture import testbed

__all__ = ["testbed"]
